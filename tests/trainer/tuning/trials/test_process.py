"""A trial's processes: those that are killed, refused or diverge, and what becomes of the trial."""

import dataclasses
import os
import signal
import time

import pytest

from taxonomy.errors import BadInputError, WorkFailedError
from tests.trainer.tuning import small_search
from trainer.steps.guard import Guard, TooManyBadSteps
from trainer.tuning.config import load
from trainer.tuning.prepare import prepare
from trainer.tuning.search_folder import shared_settings
from trainer.tuning.trials.folder import DIVERGED, TrialResult
from trainer.tuning.trials.process import TrialProcess, TrialUpdate, process_environment
from trainer.tuning.trials.result import MAX_CRASHES
from trainer.tuning.trials.spec import STOP, TrialSpec

pytestmark = pytest.mark.process


@pytest.fixture
def spec(tmp_path) -> TrialSpec:
    """Trial 1 of a search that has begun."""
    search = prepare(*load(small_search.flags(tmp_path, "--max-steps", "36")))
    with search.folder.locked():
        search.folder.begin(search.settings(), shared_settings(dataclasses.asdict(search.shared)))
    return search.specs[1]


def started(spec: TrialSpec) -> TrialProcess:
    """A run whose process has noted its start."""
    before = len(small_search.starts(spec.files))
    run = TrialProcess(spec)
    small_search.wait_until(lambda: len(small_search.starts(spec.files)) > before)
    return run


def told(run: TrialProcess) -> TrialUpdate:
    """The next news that is any."""
    until = time.monotonic() + small_search.TIMEOUT_S
    while (update := run.poll(1.0)) == TrialUpdate():
        assert time.monotonic() < until
    return update


def test_a_killed_process_fails_and_too_many_give_the_trial_up(spec):
    for number in range(1, MAX_CRASHES + 1):
        run = started(spec)
        os.kill(small_search.starts(spec.files)[-1], signal.SIGKILL)
        if number < MAX_CRASHES:
            with pytest.raises(WorkFailedError, match="trial_001: its process was killed by signal 9"):
                told(run)
            assert spec.files.result() is None
    result = told(run).result
    assert result == spec.files.result()
    assert result is not None
    assert (result.status, result.metric) == ("failed", None)
    assert result.reason == f"given up after {MAX_CRASHES} processes: its process was killed by signal 9"
    assert not spec.files.is_running()


def test_what_the_trainer_refuses_is_bad_input_and_no_result(spec, tmp_path):
    (tmp_path / "data" / "manifest.json").unlink()
    with pytest.raises(BadInputError, match=r"^--train-data .*manifest.json: no such file$"):
        told(TrialProcess(spec))
    assert spec.files.result() is None


def test_a_trial_that_is_done_starts_no_process(spec):
    spec.files.path.mkdir(parents=True)
    result = TrialResult(1, "ok", spec.settings, 0.5, 36, 1.0)
    spec.files.write_result(result)
    assert told(TrialProcess(spec)).result == result
    assert small_search.starts(spec.files) == []


def test_a_trial_that_is_ended_before_it_learnt_anything_has_no_result(spec):
    run = started(spec)
    run.end()
    assert not spec.files.is_running()
    assert spec.files.result() is None


def test_trials_save_and_end_when_the_search_is_to_stop_and_none_begins(spec, tmp_path):
    run = started(spec)
    (tmp_path / "tuned" / STOP).touch()
    assert told(run) == TrialUpdate(was_stopped=True)
    assert not spec.files.is_running()
    late = TrialProcess(spec)
    time.sleep(0.5)
    assert told(late) == TrialUpdate(was_stopped=True)
    assert spec.files.result() is None
    assert len(small_search.starts(spec.files)) == 1


def test_a_trial_that_its_scheduler_stopped_is_done_when_it_has_ended(spec):
    run = started(spec)
    spec.files.write_early_stop(12, 0.25, "behind")
    run.end()
    assert not spec.files.is_running()
    assert (result := spec.files.result()) is not None
    assert (result.status, result.metric, result.reason) == ("stopped", 0.25, "behind")


def test_the_environment_is_rays_no_more(monkeypatch):
    monkeypatch.setenv("RAY_SOMETHING", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = process_environment({"OMP_NUM_THREADS": None, "EXTRA": "2"})
    assert "RAY_SOMETHING" not in found
    assert "OMP_NUM_THREADS" not in found
    assert found["EXTRA"] == "2"
    assert process_environment({"OMP_NUM_THREADS": "3"})["OMP_NUM_THREADS"] == "3"


def test_the_guard_says_what_is_looked_for():
    guard = Guard()
    with pytest.raises(TooManyBadSteps, match=DIVERGED):
        for _ in range(100):
            guard.judge(float("nan"), 1.0)


@pytest.mark.torch
def test_a_trial_that_diverges_has_failed_for_good(spec):
    wild = dataclasses.replace(spec, settings=spec.settings | {"lr": 1e30})
    result = told(TrialProcess(wild)).result
    assert result is not None
    assert (result.status, result.metric) == ("failed", None)
    assert result.reason is not None
    assert result.reason.startswith(f"{DIVERGED}, the last because the loss is nan")
    assert told(TrialProcess(wild)).result == result
    assert len(small_search.starts(spec.files)) == 1
