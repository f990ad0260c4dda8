"""SparingASHA: who goes on, who is stopped; the default never; what an earlier life saw counts."""

import json
from types import SimpleNamespace

import pytest

from tests.trainer.tuning.trials.test_folder import SETTINGS, make_spec
from trainer.tuning.plan.schedule import Schedule
from trainer.tuning.trials.folder import TrialFolder, TrialResult

scheduler = pytest.importorskip("trainer.tuning.ray_search.scheduler", reason="needs ray")

SCHEDULE = Schedule(total_steps=90, epochs_between=1, rungs=(10, 30))


class Searched:
    """A scheduler and the trials that report to it."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.scheduler = scheduler.SparingASHA(SCHEDULE, 3)
        self.trials = {}

    def report(self, number: int, step: int, value: float) -> bool:
        """Whether the trial goes on."""
        if number not in self.trials:
            config = {scheduler.SPEC: make_spec(self.folder, number)}
            self.trials[number] = SimpleNamespace(trial_id=f"id-{number}", config=config)
            self.scheduler.on_trial_add(None, self.trials[number])
        result = {scheduler.STEP: step, scheduler.METRIC: value}
        return self.scheduler.on_trial_result(None, self.trials[number], result) == "CONTINUE"


def test_the_best_third_at_a_rung_goes_on(tmp_path):
    searched = Searched(tmp_path)
    goes_on = [searched.report(number, 10, value) for number, value in enumerate([0.5, 0.6, 0.3, 0.7, 0.55], start=1)]
    # The least that goes on is the 67th percentile of what was seen before: none, 0.5, 0.567, 0.533, 0.6.
    assert goes_on == [True, True, False, True, False]


def test_between_rungs_nobody_is_stopped(tmp_path):
    searched = Searched(tmp_path)
    assert searched.report(1, 10, 0.9)
    assert searched.report(2, 9, 0.1)
    assert not searched.report(2, 10, 0.1)
    assert searched.report(1, 20, 0.0)
    assert searched.report(1, 30, 0.0)  # the first at its rung
    assert searched.report(3, 10, 0.95)
    assert searched.report(3, 29, 0.0)


def test_a_look_that_finds_nothing_new_decides_nothing(tmp_path):
    searched = Searched(tmp_path)
    searched.report(1, 10, 0.9)
    assert searched.scheduler.on_trial_result(None, searched.trials[1], {"pid": 1}) == "CONTINUE"


def test_the_default_is_never_stopped_and_counts(tmp_path):
    searched = Searched(tmp_path)
    assert searched.report(1, 10, 0.9)
    assert searched.report(0, 10, 0.1)
    assert searched.report(0, 30, 0.1)
    assert searched.trials[0].config[scheduler.SPEC].files.early_stop() is None
    assert searched.report(2, 10, 0.9)
    assert searched.report(2, 30, 0.2)  # better than the default's 0.1
    searched.report(3, 10, 0.9)
    assert not searched.report(3, 30, 0.1)


def test_a_stop_is_in_the_trials_folder_before_anything_happens(tmp_path):
    searched = Searched(tmp_path)
    searched.report(1, 10, 0.9)
    assert not searched.report(2, 10, 0.25)
    found = json.loads((tmp_path / "trial_002" / "stop.json").read_bytes())
    assert (found["step"], found["metric"]) == (10, 0.25)
    assert found["reason"] == "at step 10 behind most trials: val-top1 0.25"
    assert not TrialFolder(tmp_path, 1).path.joinpath("stop.json").exists()


def test_decisions_are_the_same_after_a_restart(tmp_path):
    values = {number: (number * 37 % 20 / 20, number * 53 % 20 / 20) for number in range(1, 16)}

    def run(searched: Searched, numbers) -> list[tuple[int, bool]]:
        decided = []
        for number in numbers:
            for step, value in zip(SCHEDULE.rungs, values[number], strict=True):
                decided.append((number, goes_on := searched.report(number, step, value)))
                if not goes_on:
                    break
        return decided

    whole = run(Searched(tmp_path / "whole"), values)
    assert {goes_on for _, goes_on in whole} == {True, False}
    for cut in range(1, 15):
        searched = Searched(tmp_path / f"cut-{cut}")
        for number in range(1, cut + 1):
            seen = [goes_on for one, goes_on in whole if one == number]
            status = "ok" if seen[-1] else "stopped"
            evaluations = list(zip(SCHEDULE.rungs, values[number], strict=True))[: len(seen)]
            searched.scheduler.replay(TrialResult(number, status, SETTINGS, 0.5, 90, 1.0), evaluations)
        later = [number for number in values if number > cut]
        assert run(searched, later) == [(number, goes_on) for number, goes_on in whole if number > cut]


def test_a_failed_trial_without_a_value_is_no_trouble(tmp_path):
    searched = Searched(tmp_path)
    searched.scheduler.replay(TrialResult(1, "failed", SETTINGS, None, 3, 1.0, "10 steps"), [])
    assert searched.report(2, 10, 0.0)
