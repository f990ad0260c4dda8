"""A run that is stopped twice, in an epoch and at its end, is the run that never stopped, whatever its settings."""

import json
from pathlib import Path

import pytest
import torch

from taxonomy.errors import BadInputError
from tests.trainer.run_here import EPOCH_END, run_here
from tests.trainer.small_dataset import write_dataset
from tests.trainer.small_runs import (
    assert_as_never_stopped,
    checkpoint_of,
    events,
    logged,
    saved_steps,
    trajectory,
    write_data,
    write_recipe,
)
from trainer.steps.guard import TooManyBadSteps

pytestmark = [pytest.mark.torch, pytest.mark.timeout(600)]

CASES = {
    "no worker": ("shards", "--workers 0 --accum-freq 1"),
    "two workers": ("shards", "--workers 2"),
    "tars without worker": ("webdataset", "--workers 0 --text_type random"),
    "tars with two workers": ("webdataset", "--workers 2 --accum-freq 1 --batch-size 8"),
    "drawn tars": ("webdataset", "--workers 2 --dataset-resampled"),
    "csv": ("csv", "--workers 2 --loss infonce --accum-freq 1"),
    "synthetic": ("synthetic", "--workers 0 --loss siglip"),
    "infonce": ("shards", "--loss infonce --text_type random"),
    "siglip": ("shards", "--loss siglip --accum-freq 1 --caption-kinds sci=2,com=1"),
    "a line every 4 steps": ("shards", "--log-every-n-steps 4"),
    "dropped patches": ("shards", "--force-patch-dropout 0.5 --grad-clip-norm 0.5"),
    "dropped patches of single batches": ("synthetic", "--force-patch-dropout 0.5 --accum-freq 1"),
    "bf16": ("synthetic", "--precision bf16 --lr-scheduler const-cooldown --epochs 2 --epochs-cooldown 1"),
    "bf16 weights": ("synthetic", "--precision bf16_published --lock-text"),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def flags_of(tmp_path_factory: pytest.TempPathFactory):
    """Dataset type -> flags of a run of 12 steps over it; 7 or 8 steps are an epoch, or 15 or 16 of single batches."""
    folder = tmp_path_factory.mktemp("data")
    made: dict[str, list[str]] = {}

    def flags(dataset_type: str) -> list[str]:
        if dataset_type not in made:
            made[dataset_type] = write_data(dataset_type, folder / dataset_type)
        return ["--recipe", str(write_recipe(folder)), *made[dataset_type], "--batch-size", "8", "--max-steps", "18"]

    return flags


@pytest.mark.parametrize("case", CASES)
def test_stopped_in_an_epoch_and_at_its_end(tmp_path: Path, flags_of, case: str):
    dataset_type, more = CASES[case]
    flags = [*flags_of(dataset_type), *more.split(), "--logs", str(tmp_path)]
    num_steps = len(run_here([*flags, "--name", "undisturbed"]))
    flags += ["--name", "run", "--resume", "latest"]
    first = run_here(flags, stop_after=3)
    second = run_here(flags, stop_after=EPOCH_END)
    third = run_here(flags)
    assert first[-1] == 3 and second[0] == 4 and third[0] == second[-1] + 1 > 5
    assert first + second + third == list(range(1, num_steps + 1))
    assert events(tmp_path / "run", "resume") == [3, second[-1]]
    every = 4 if "every 4" in case else 1
    assert_as_never_stopped(tmp_path / "run", tmp_path / "undisturbed", every)


def test_what_the_guard_knows_outlives_a_stop(tmp_path: Path, flags_of):
    flags = [*flags_of("synthetic"), "--spike-factor", "1.01", "--lr", "0.3", "--logs", str(tmp_path)]
    spoilt = (4, 6, 7)
    run_here([*flags, "--name", "undisturbed"], spoilt_steps=spoilt)
    flags += ["--name", "run", "--resume", "latest"]
    run_here(flags, stop_after=6, spoilt_steps=spoilt)
    run_here(flags, spoilt_steps=spoilt)
    assert_as_never_stopped(tmp_path / "run", tmp_path / "undisturbed")
    skipped = [
        [line["skipped_steps"] for line in logged(tmp_path / name) if "event" not in line]
        for name in ("run", "undisturbed")
    ]
    assert skipped[0] == skipped[1]
    assert skipped[0][6] >= len(spoilt) and skipped[0][-1] > skipped[0][6]


def test_a_run_that_failed_before_its_first_checkpoint_begins_anew(tmp_path: Path, flags_of, capsys):
    flags = [*flags_of("shards"), "--save-steps", "50", "--logs", str(tmp_path)]
    run = tmp_path / "run"
    run_here([*flags, "--name", "undisturbed"])
    flags += ["--name", "run", "--resume", "latest"]
    with pytest.raises(TooManyBadSteps):
        run_here(flags, spoilt_steps=range(4, 14))
    assert (len(trajectory(run)), saved_steps(run)) == (12, [])
    capsys.readouterr()
    assert run_here(flags)[0] == 1
    assert f"--resume latest: no checkpoint in {run / 'checkpoints'}, begins anew" in capsys.readouterr().err
    assert events(run, "resume") == [0]
    assert_as_never_stopped(run, tmp_path / "undisturbed")


def test_an_evaluation_changes_nothing(tmp_path: Path, flags_of):
    manifest = write_dataset(tmp_path / "data", [60, 52, 20])
    content = json.loads(manifest.read_bytes())
    content["splits"]["val"] = [content["splits"]["train"].pop()]
    manifest.write_text(json.dumps(content))
    flags = [*flags_of("shards"), "--train-data", str(manifest), "--logs", str(tmp_path)]
    flags += ["--force-patch-dropout", "0.5"]
    evaluated = [*flags, "--zeroshot-frequency", "1", "--val-frequency", "1"]
    run_here([*flags, "--name", "undisturbed"])
    run_here([*evaluated, "--name", "evaluated"])
    assert events(tmp_path / "undisturbed", "evaluation") == []
    assert events(tmp_path / "evaluated", "evaluation") == [7, 14, 18]
    assert_as_never_stopped(tmp_path / "evaluated", tmp_path / "undisturbed")

    evaluated += ["--name", "run", "--resume", "latest"]
    run_here(evaluated, stop_after=7)
    run_here(evaluated, stop_after=10)
    run_here(evaluated)
    assert_as_never_stopped(tmp_path / "run", tmp_path / "undisturbed")
    assert evaluations(tmp_path / "run") == evaluations(tmp_path / "evaluated")


def evaluations(run: Path) -> list[dict]:
    return [line for line in logged(run) if line.get("event") == "evaluation"]


def test_a_damaged_checkpoint_costs_steps_but_changes_nothing(tmp_path: Path, flags_of, capsys):
    flags = [*flags_of("shards"), "--save-steps", "3", "--logs", str(tmp_path)]
    run, undisturbed = tmp_path / "run", tmp_path / "undisturbed"
    run_here([*flags, "--name", "undisturbed"])
    flags += ["--name", "run", "--resume", "latest"]
    run_here(flags, stop_after=8)
    assert saved_steps(run) == [3, 6, 8]
    cut_short(checkpoint_of(run, 8) / "model.safetensors")
    cut_short(checkpoint_of(run, 6) / "ranks.json")
    capsys.readouterr()
    assert run_here(flags)[0] == 4
    said = [line for line in capsys.readouterr().err.splitlines() if "falling back to the one before" in line]
    assert ["step_000008 is damaged" in said[0], "step_000006 is damaged" in said[1]] == [True, True]
    assert_as_never_stopped(run, undisturbed)
    assert events(run, "resume") == [3]
    assert saved_steps(run) == saved_steps(undisturbed)  # the damaged ones written anew, that of step 8 gone
    for step in saved_steps(run):
        cut_short(checkpoint_of(run, step) / "optimizer.pt")
    before = trajectory(run)
    with pytest.raises(BadInputError, match=r"--resume latest: .* is damaged .* and there is none"):
        run_here(flags)
    assert trajectory(run) == before


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])
