"""Going on with other settings, data or folders than before: what is taken over, refused, and said."""

import json
from pathlib import Path

import pytest

from taxonomy.errors import BadInputError
from tests.trainer.run_here import run_here
from tests.trainer.small_runs import checkpoint_of, events, logged, saved_steps, write_data, write_recipe
from trainer.checkpoints.checkpoint import load
from trainer.record.run_folder import RunFolder

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]


@pytest.fixture
def stopped(tmp_path: Path) -> list[str]:
    """The flags of a run `run`, stopped after step 3."""
    flags = ["--recipe", str(write_recipe(tmp_path)), *write_data("shards", tmp_path / "data")]
    flags += ["--workers", "0", "--max-steps", "6", "--logs", str(tmp_path / "logs"), "--name", "run"]
    flags += ["--resume", "latest"]
    run_here(flags, stop_after=3)
    return flags


def run_folder(flags: list[str]) -> Path:
    return Path(flags[flags.index("--logs") + 1]) / flags[flags.index("--name") + 1]


def test_the_optimizer_goes_on_with_the_settings_of_now(stopped: list[str], capsys):
    run_here([*stopped, "--wd", "0.7", "--beta1", "0.5", "--eps", "1e-3"])
    groups = load(checkpoint_of(run_folder(stopped), 6)).optimizer_state["param_groups"]
    assert [group["weight_decay"] for group in groups] == [0.0, 0.7]
    assert {(group["betas"][0], group["eps"]) for group in groups} == {(0.5, 1e-3)}
    said = capsys.readouterr().err
    assert "--resume: changed since the checkpoint: wd 0.2 -> 0.7, beta1 0.9 -> 0.5, eps 1e-08 -> 0.001" in said


def test_pictures_made_otherwise_are_refused(stopped: list[str], capsys):
    before = logged(run_folder(stopped))
    with pytest.raises(BadInputError, match=r"image_mean \[0.5, 0.5, 0.5\], this run has \[0.1, 0.5, 0.5\]; .*--force"):
        run_here([*stopped, "--image-mean", "0.1", "0.5", "0.5"])
    assert logged(run_folder(stopped)) == before
    run_here([*stopped, "--image-mean", "0.1", "0.5", "0.5", "--force"])
    assert "forced: --resume" in capsys.readouterr().err
    assert saved_steps(run_folder(stopped))[-1] == 6


def test_data_of_another_kind_is_refused(stopped: list[str], tmp_path: Path):
    tars = write_data("webdataset", tmp_path / "tars")
    with pytest.raises(BadInputError, match="--resume-at epoch"):
        run_here([*stopped, *tars])
    run_here([*stopped, *tars, "--resume-at", "epoch"])
    assert saved_steps(run_folder(stopped))[-1] == 6


def test_a_run_begun_from_another_ones_checkpoint_has_its_own_at_once(stopped: list[str]):
    source = checkpoint_of(run_folder(stopped), 3)
    flags = [*stopped, "--name", "second", "--resume", str(source)]
    run_here(flags, stop_after=4)
    second = run_folder(stopped).with_name("second")
    assert saved_steps(second) == [3, 4]
    assert saved_steps(run_folder(stopped)) == [3]


def test_a_run_that_another_process_holds_is_not_looked_at(stopped: list[str]):
    folder = run_folder(stopped)
    other = RunFolder(folder.parent, folder.name)
    other.hold()
    unfinished = folder / "checkpoints" / ".step_000004.tmp"
    unfinished.mkdir()
    with pytest.raises(BadInputError, match="trains in"):
        run_here(stopped)
    assert unfinished.exists(), "the other process may be writing it"
    other.release()
    run_here(stopped)
    assert not unfinished.exists()


def test_a_stop_at_an_epochs_end_leaves_the_evaluation_for_later(tmp_path: Path):
    flags = ["--recipe", str(write_recipe(tmp_path)), *write_data("shards", tmp_path / "data")]
    manifest = Path(flags[flags.index("--train-data") + 1])
    content = json.loads(manifest.read_bytes())
    content["splits"]["val"] = content["splits"]["train"]
    manifest.write_text(json.dumps(content))
    flags += ["--workers", "0", "--max-steps", "4", "--batch-size", "16", "--zeroshot-frequency", "1"]
    flags += ["--logs", str(tmp_path / "logs"), "--name", "run", "--resume", "latest"]
    run_here(flags, stop_after=4)
    state = json.loads((checkpoint_of(tmp_path / "logs" / "run", 4) / "state.json").read_text())
    assert state["owes_evaluation"] and events(tmp_path / "logs" / "run", "stopped") == [4]
    assert events(tmp_path / "logs" / "run", "evaluation")[-1:] != [4]
    assert run_here(flags) == []
    assert events(tmp_path / "logs" / "run", "evaluation")[-1] == 4
    assert events(tmp_path / "logs" / "run", "done") == [4]
    assert run_here(flags) == [] and events(tmp_path / "logs" / "run", "done") == [4], "nothing is left to do"
