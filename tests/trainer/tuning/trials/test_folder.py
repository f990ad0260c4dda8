"""What a trial's files say: measured values, times, and whether it is done."""

import json
import os

import pytest

from taxonomy.errors import WorkFailedError
from trainer.tuning.trials.folder import TrialFolder, TrialResult
from trainer.tuning.trials.result import derive_result
from trainer.tuning.trials.spec import TrialSpec

SETTINGS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.98, "wd": 0.2}


def make_spec(folder, number: int = 7) -> TrialSpec:
    spec = TrialSpec(str(folder), number, SETTINGS, "base.toml", "val-top1", 60, str(folder), {})
    spec.files.path.mkdir(parents=True)
    return spec


def write_log(files: TrialFolder, *lines: dict, torn: str = "") -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines) + torn
    (files.path / "train.jsonl").write_text(text)


def evaluation(step: int, value: float | None) -> dict:
    return {"event": "evaluation", "step": step, "val-top1": value, "val-top5": 0.9}


def test_nothing_is_known_of_a_trial_that_has_not_begun(tmp_path):
    files = TrialFolder(tmp_path, 3)
    assert files.path == tmp_path / "trial_003"
    assert files.result() is files.early_stop() is files.last_log_time() is None
    assert files.evaluations("val-top1") == files.curve() == files.processes() == []
    assert (files.steps(), files.seconds(), files.is_running(), files.last_output_line()) == (0, 0.0, False, "")


def test_evaluations_and_curve_leave_out_what_is_torn_or_no_number(tmp_path):
    files = make_spec(tmp_path).files
    write_log(
        files,
        {"step": 10, "loss": 3.0},
        evaluation(12, 0.25),
        {"step": 20, "loss": None},
        evaluation(24, None),
        {"event": "evaluation", "step": 30, "loss": 1.0},
        torn='{"step": 40, "loss": 2.',
    )
    assert files.evaluations("val-top1") == [(12, 0.25)]
    assert files.curve() == [(10, 3.0)]
    assert files.steps() == 30
    assert not files.is_trained()


def test_a_result_is_read_back(tmp_path):
    files = make_spec(tmp_path).files
    result = TrialResult(7, "failed", SETTINGS, None, 12, 3.5, "\N{SNOWMAN} \n")
    files.write_result(result)
    assert files.result() == result


def test_seconds_count_processes_whose_end_nobody_saw_until_their_last_line(tmp_path):
    files = make_spec(tmp_path).files
    lines = [
        {"event": "start", "pid": 1, "time": 100.0, "last_log_time": None},
        {"event": "end", "pid": 1, "time": 110.0, "code": 1},
        {"event": "start", "pid": 2, "time": 200.0, "last_log_time": 109.0},
        {"event": "start", "pid": 3, "time": 300.0, "last_log_time": 205.0},
    ]
    (files.path / "processes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_log(files, {"step": 10, "loss": 3.0})
    os.utime(files.path / "train.jsonl", (307.0, 307.0))
    assert files.seconds() == 10 + 5 + 7


def test_last_words_are_the_last_line_without_the_program(tmp_path):
    files = make_spec(tmp_path).files
    files.output.write_bytes(b"x" * 30_000 + b"\nstep 3\ntaxaflow: \xff 10 steps\n\n")
    assert files.last_output_line() == "\N{REPLACEMENT CHARACTER} 10 steps"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], None),
        ([evaluation(60, 0.5)], None),
        ([evaluation(60, 0.5), {"event": "stopped", "step": 60}], None),
        ([evaluation(30, 0.7), evaluation(60, 0.5), {"event": "done", "step": 60}], ("ok", 0.5)),
        ([evaluation(30, 0.7), {"event": "done", "step": 60}], ("failed", None)),
    ],
)
def test_a_trial_is_settled_when_it_is_trained_and_measured_at_the_end(tmp_path, lines, expected):
    spec = make_spec(tmp_path)
    write_log(spec.files, *lines)
    result = derive_result(spec)
    assert (result and (result.status, result.metric)) == expected


def test_a_decision_to_stop_stands_whatever_the_run_did_since(tmp_path):
    spec = make_spec(tmp_path)
    spec.files.write_early_stop(30, 0.1, "behind")
    write_log(spec.files, evaluation(30, 0.1), evaluation(60, 0.5), {"event": "done", "step": 60})
    result = derive_result(spec)
    assert result is not None
    assert (result.status, result.metric, result.reason) == ("stopped", 0.1, "behind")


def test_a_result_is_never_replaced(tmp_path):
    spec = make_spec(tmp_path)
    result = TrialResult(7, "ok", SETTINGS, 0.9, 60, 1.0)
    spec.files.write_result(result)
    spec.files.write_early_stop(30, 0.1, "behind")
    assert derive_result(spec) == result


@pytest.mark.parametrize("name", ["result.json", "stop.json"])
@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"[]", b"{}", b'{"trial": 7, "status"'])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, name, content):
    spec = make_spec(tmp_path)
    (spec.files.path / name).write_bytes(content)
    with pytest.raises(WorkFailedError, match=rf"{name} is damaged .*; remove it, and the trial goes on"):
        derive_result(spec)
