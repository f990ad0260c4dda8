"""A search whose process is killed goes on: no trial is lost, none is run twice, nothing of it stays behind."""

import json
import os
import signal
import sys
from pathlib import Path
from unittest.mock import ANY

import pytest

from tests.trainer.command import tree
from tests.trainer.tuning import small_search
from trainer.settings.config import load
from trainer.tuning import cli
from trainer.tuning.ray_search.leftovers import processes_in

pytestmark = [pytest.mark.torch, pytest.mark.process, pytest.mark.timeout(900)]

STEPS = 120
SEARCH = f"--trials 3 --max-steps {STEPS} --seed 3 --scheduler random --zeroshot-frequency 5".split()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
def test_three_trials_with_one_kill(tmp_path, capsys):
    first, second, third = (small_search.trial(tmp_path, number) for number in range(3))
    search = small_search.start(tmp_path, *SEARCH)
    small_search.wait_until(lambda: second.steps() >= 20, search)
    session = Path((tmp_path / "tuned" / ".session").read_text())
    assert processes_in(session)
    (trainer,) = small_search.starts(second)
    os.kill(trainer, signal.SIGSTOP)  # so that it cannot be done before it is told
    search.kill()
    search.communicate()
    small_search.wait_until(lambda: is_told_to_end(trainer))
    os.kill(trainer, signal.SIGCONT)

    small_search.wait_until(lambda: not second.is_running())
    assert second.result() is None
    saved = [line["step"] for line in second.log() if line.get("event") == "stopped"]
    assert len(saved) == 1, (second.log()[-1], second.processes(), second.last_output_line())
    assert 20 <= saved[0] < STEPS
    assert small_search.starts(third) == []
    done = tree(first.path)

    code, stdout, stderr = small_search.finish(small_search.start(tmp_path, *SEARCH))
    assert code == 0, stderr
    assert "goes on: 1 are done" in stderr, stderr
    assert tree(first.path) == done
    assert [len(small_search.starts(files)) for files in (first, second, third)] == [1, 2, 1]
    assert [line["step"] for line in second.log() if line.get("event") == "resume"] == saved
    for files in (first, second, third):
        small_search.assert_trained_once(files, STEPS)
        assert (result := files.result()) is not None
        assert (result.status, result.steps) == ("ok", STEPS)
        assert result.metric == files.evaluations("val-top1")[-1][1]
    assert not session.exists()
    assert not processes_in(session)
    assert not (tmp_path / "tuned" / ".ray").exists()
    _check_outcome(tmp_path / "tuned", stdout)

    before = tree(tmp_path / "tuned")
    cli.main(small_search.flags(tmp_path, *SEARCH))
    assert capsys.readouterr().out == stdout
    assert tree(tmp_path / "tuned") == before | {".lock": ANY}


def is_told_to_end(process: int) -> bool:
    """Whether SIGTERM waits for a stopped process."""
    status = Path(f"/proc/{process}/status").read_text()
    pending = next(line for line in status.splitlines() if line.startswith("ShdPnd:"))
    return bool(int(pending.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def _check_outcome(out: Path, stdout: str) -> None:
    """Best by val, its recipe, and one comparison on test."""
    rows = json.loads((out / "trials.json").read_bytes())
    assert [row["status"] for row in rows] == ["ok"] * 3
    best = max(rows, key=lambda row: (row["metric"], -row["trial"]))
    comparison = json.loads((out / "comparison.json").read_bytes())
    assert (comparison["best"]["trial"], comparison["default"]["trial"]) == (best["trial"], 0)
    assert comparison["best"]["val"] == best["metric"]
    assert comparison["num_images"] == 24
    assert comparison["best_is_default"] is (best["trial"] == 0)
    if (difference := comparison["difference"]) is not None:
        gap = comparison["best"]["top1"]["value"] - comparison["default"]["top1"]["value"]
        assert difference["top1"]["value"] == pytest.approx(gap)
        assert difference["top1"]["low"] <= gap <= difference["top1"]["high"]
    recipe = load(["--recipe", str(out / "best.toml")])
    assert {name: getattr(recipe, name) for name in best["settings"]} == best["settings"]
    assert recipe.max_steps == STEPS
    assert f"best on val: trial {best['trial']}," in stdout
    assert f"page: {out / 'tune.html'}" in stdout
    assert len(list((out / "test").glob("*/*.npz"))) == len({0, best["trial"]})
