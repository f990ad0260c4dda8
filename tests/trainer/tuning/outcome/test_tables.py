"""What a search leaves: the choice of the best, its recipe, the table; and what it tells meanwhile."""

import csv
import dataclasses
import json

import pytest

from tests.trainer.tuning.small_search import flags
from tests.trainer.tuning.trials.test_folder import SETTINGS, evaluation, make_spec, write_log
from trainer.settings.config import load
from trainer.tuning.outcome.best import best_recipe, best_trial, remove_checkpoints
from trainer.tuning.outcome.progress import Progress
from trainer.tuning.outcome.tables import write_tables
from trainer.tuning.search_folder import SearchFolder, shared_settings
from trainer.tuning.trials.folder import TrialResult

ABOUT = {
    "metric": "val-top1",
    "recipe": "tiny",
    "seed": 0,
    "scheduler": "asha",
    "num_trials": 4,
    "best": 1,
    "default": 0,
    "space": {"lr": (1e-4, 1e-2)},
    "comparison": None,
}


def result(trial: int, metric: float | None, status: str = "ok", **changes) -> TrialResult:
    return dataclasses.replace(TrialResult(trial, status, SETTINGS, metric, 60, 8.0), **changes)


@pytest.mark.parametrize(
    ("results", "best"),
    [
        ([], None),
        ([result(0, 0.5)], 0),
        ([result(0, 0.5), result(1, 0.6), result(2, 0.55)], 1),
        ([result(2, 0.5), result(1, 0.5), result(0, 0.5)], 0),  # of equals the default
        ([result(0, 0.5), result(1, 0.9, "stopped")], 0),  # of fewer steps
        ([result(0, None, "failed"), result(1, 0.0)], 1),
        ([result(0, None, "failed"), result(1, 0.9, "stopped")], None),
    ],
)
def test_the_best_is_the_highest_of_those_trained_to_the_end(results, best):
    found = best_trial(results)
    assert (found and found.trial) == best


def test_the_best_recipe_trains_with_the_best_settings_and_all_others_as_given(tmp_path):
    given = flags(tmp_path)
    base = load([*given[:4], "--epochs", "7", "--caption-kinds", "sci=2,com=1", "--image-std", "0.1", "0.2", "0.3"])
    best = result(1, 0.6, settings={"lr": 1.234e-5, "beta1": 0.94437, "beta2": 0.990219, "wd": 0.004461})
    path = tmp_path / "best.toml"
    path.write_text(best_recipe(shared_settings(dataclasses.asdict(base)), best, ABOUT))
    again = load(["--recipe", str(path)])
    own = {"logs", "name", "recipe"} | set(best.settings)
    assert {name: getattr(again, name) for name in best.settings} == best.settings
    for field in dataclasses.fields(base):
        if field.name not in own:
            assert getattr(again, field.name) == getattr(base, field.name), field.name
    assert "trial 1" in path.read_text()
    assert "val-top1: 0.6000 after 60 steps" in path.read_text()


def test_the_tables_say_what_the_folders_say(tmp_path):
    specs = [make_spec(tmp_path / "trials", number) for number in range(3)]
    write_log(specs[0].files, {"step": 10, "loss": 3.0}, evaluation(60, 0.5), {"event": "done", "step": 60})
    specs[0].files.write_result(result(0, 0.5))
    specs[1].files.write_result(result(1, None, "failed", reason='said "no", twice\nover'))
    write_log(specs[2].files, {"step": 10, "loss": 4.0}, evaluation(12, 0.25), {"step": 20, "loss": 3.5})
    page = write_tables(SearchFolder(tmp_path), specs, ABOUT | {"best": 0})
    rows = json.loads((tmp_path / "trials.json").read_bytes())
    assert [(row["trial"], row["status"], row["metric"], row["steps"]) for row in rows] == [
        (0, "ok", 0.5, 60),
        (1, "failed", None, 60),
        (2, "running", 0.25, 20),
    ]
    assert rows[0]["curve"] == [[10, 3.0]]
    assert rows[2]["evals"] == [[12, 0.25]]
    with (tmp_path / "trials.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert table[1]["reason"] == 'said "no", twice\nover'
    assert [float(table[0][name]) for name in SETTINGS] == list(SETTINGS.values())
    assert page.read_text().startswith("<!")


def test_checkpoints_of_best_and_default_alone_are_kept(tmp_path):
    folder = SearchFolder(tmp_path)
    results = [result(0, 0.1), result(1, 0.3), result(2, 0.4), result(3, 0.9, "stopped"), result(4, None, "failed")]
    for number in range(6):  # the last is not done
        (folder.trial(number).path / "checkpoints" / "step_000060").mkdir(parents=True)
    remove_checkpoints(folder, results[:2])
    assert len(list(tmp_path.glob("trials/*/checkpoints/step_000060"))) == 6
    remove_checkpoints(folder, results)
    assert sorted(path.parent.name for path in tmp_path.glob("trials/*/checkpoints")) == [
        "trial_000",
        "trial_002",
        "trial_005",
    ]
    assert len(list(tmp_path.glob("trials/*"))) == 6


def test_trials_that_have_not_begun_are_in_no_table(tmp_path):
    spec = make_spec(tmp_path / "trials", 0)
    spec.files.path.rmdir()
    write_tables(SearchFolder(tmp_path), [spec], ABOUT | {"best": None})
    assert json.loads((tmp_path / "trials.json").read_bytes()) == []


def test_progress_tells_of_each_trial_the_best_and_the_time_to_come(capsys):
    progress = Progress(4, "val-top1", [result(0, 0.5)])
    progress.report(result(1, 0.25, "stopped", steps=12))
    line = capsys.readouterr().err.strip()
    assert line.startswith(
        "trial 1 (2 of 4) stopped: lr 0.001, beta1 0.9, beta2 0.98, wd 0.2: val-top1 0.2500 at step 12; "
        "best trial 0 with 0.5000; about"
    )
    assert progress.line(result(1, 0.25), 60.0).endswith("about 2 min to come")
    progress.report(result(2, None, "failed", reason="10 steps in a row were bad"))
    assert "trial 2 (3 of 4) failed: " in (told := capsys.readouterr().err)
    assert "10 steps in a row were bad" in told
    progress.report(result(3, 0.75))
    assert capsys.readouterr().err.strip().endswith("val-top1 0.7500; best trial 3 with 0.7500")
