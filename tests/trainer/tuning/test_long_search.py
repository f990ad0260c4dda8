"""Searches that take minutes: twenty trials with kills, and what Ctrl-C and SIGTERM do."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.trainer.command import tree
from tests.trainer.tuning import small_search
from trainer.tuning.ray_search.leftovers import core_processes, processes_in
from trainer.tuning.trials.folder import OK, STOPPED

pytestmark = [pytest.mark.torch, pytest.mark.process, pytest.mark.long, pytest.mark.timeout(3600)]
linux_alone = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")

STEPS = 60


@linux_alone
def test_twenty_tiny_trials_of_60_steps_with_kills(tmp_path):
    """The search is killed in trial 4, a trial's own process in trial 11; rungs stop some."""
    manifest = small_search.write_splits(tmp_path / "data", 120)
    search_flags = ["--recipe", "tiny", "--train-data", str(manifest), "--out", str(tmp_path / "tuned")]
    search_flags += [*small_search.QUIET, "--batch-size", "40", "--max-steps", str(STEPS), "--log-every-n-steps", "1"]
    trials = [small_search.trial(tmp_path, number) for number in range(20)]

    search = small_search.start_with(tmp_path, search_flags)
    small_search.wait_until(lambda: trials[4].steps() >= 5, search)
    search.kill()
    search.communicate()
    small_search.wait_until(lambda: not trials[4].is_running())
    done = {number: _without_checkpoints(trials[number].path) for number in range(4)}

    search = small_search.start_with(tmp_path, search_flags)
    small_search.wait_until(lambda: trials[11].steps() >= 5, search)
    os.kill(small_search.starts(trials[11])[0], signal.SIGKILL)
    code, stdout, stderr = small_search.finish(search)
    assert code == 0, stderr
    assert "best on val: trial" in stdout

    assert {number: _without_checkpoints(trials[number].path) for number in range(4)} == done
    twice = {4, 11}
    assert {number: len(small_search.starts(files)) for number, files in enumerate(trials)} == {
        number: 2 if number in twice else 1 for number in range(20)
    }
    results = [files.result() for files in trials]
    for files, result in zip(trials, results, strict=True):
        assert result is not None
        assert result.status in (OK, STOPPED)
        if result.status == OK:
            small_search.assert_trained_once(files, STEPS)
        assert (files.early_stop() is not None) is (result.status == STOPPED)
        assert files.curve() == sorted(set(files.curve()))
    assert {result.status for result in results if result} == {OK, STOPPED}
    assert results[0] is not None
    assert results[0].status == OK
    comparison = json.loads((tmp_path / "tuned" / "comparison.json").read_bytes())
    best = max((one for one in results if one and one.status == OK), key=lambda one: (one.metric or 0, -one.trial))
    assert comparison["best"]["trial"] == best.trial


def _without_checkpoints(folder: Path) -> dict[str, str]:
    """The content of a trial's folder; its checkpoints are removed when another is better."""
    return {name: content for name, content in tree(folder).items() if not name.startswith("checkpoints")}


@linux_alone
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_search_that_is_asked_to_stop_saves_and_goes_on(tmp_path, number, code):
    more = ("--trials", "2", "--max-steps", "400", "--scheduler", "random")
    first, second = (small_search.trial(tmp_path, number) for number in range(2))
    search = small_search.start(tmp_path, *more)
    small_search.wait_until(lambda: first.steps() >= 20, search)
    session = Path((tmp_path / "tuned" / ".session").read_text())
    search.send_signal(number)
    found, _, stderr = small_search.finish(search)
    assert found == code, stderr
    assert "run the same command again to go on" in stderr.splitlines()[-1]
    assert not first.is_running()
    assert first.result() is None
    assert [line for line in first.log() if line.get("event") == "stopped"]
    assert not session.exists()
    assert not processes_in(session)
    rows = json.loads((tmp_path / "tuned" / "trials.json").read_bytes())
    assert [(row["trial"], row["status"]) for row in rows] == [(0, "running")]

    code, _, stderr = small_search.finish(small_search.start(tmp_path, *more))
    assert code == 0, stderr
    assert [len(small_search.starts(files)) for files in (first, second)] == [2, 1]
    for files in (first, second):
        small_search.assert_trained_once(files, 400)


@linux_alone
def test_a_search_whose_ray_is_killed_says_so_and_goes_on_then_grows(tmp_path):
    more = ("--max-steps", "120", "--scheduler", "random")
    trials = [small_search.trial(tmp_path, number) for number in range(3)]
    search = small_search.start(tmp_path, *more, "--trials", "1")
    small_search.wait_until(lambda: trials[0].steps() >= 5, search)
    names = {(Path("/proc") / str(one) / "comm").read_text().strip(): one for one in core_processes(tmp_path / "tuned")}
    os.kill(names["raylet"], signal.SIGKILL)
    code, _, stderr = small_search.finish(search)
    assert code == 1, stderr
    assert stderr.splitlines()[-1] == "taxaflow: Ray's processes were killed; run the same command again to go on"

    for number in (1, 3):
        code, _, stderr = small_search.finish(small_search.start(tmp_path, *more, "--trials", str(number)))
        assert code == 0, stderr
        comparison = json.loads((tmp_path / "tuned" / "comparison.json").read_bytes())
        results = [result for files in trials if (result := files.result()) is not None]
        assert [result.trial for result in results] == list(range(number))
        assert comparison["best"]["trial"] == max(results, key=lambda one: (one.metric or 0, -one.trial)).trial
    assert [len(small_search.starts(files)) for files in trials] == [2, 1, 1]
