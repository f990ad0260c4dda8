"""The parent of a trial's trainer: one at a time, each noted, told once when those above it end."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import PROJECT
from trainer.tuning.trials.folder import TrialFolder
from trainer.tuning.trials.supervisor import command

pytestmark = pytest.mark.process

TIMEOUT_S = 60.0
ENVIRONMENT = os.environ | {"PYTHONPATH": str(PROJECT)}


def start(files: TrialFolder, code: str, starter: int | None = None) -> subprocess.Popen:
    words = command(os.getpid() if starter is None else starter, files, [])
    becomes = words.index("--") + 1
    return subprocess.Popen([*words[:becomes], sys.executable, "-S", "-c", code], env=ENVIRONMENT)


def wait_until(condition) -> None:
    until = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def files(tmp_path) -> TrialFolder:
    files = TrialFolder(tmp_path, 4)
    files.path.mkdir()
    return files


def test_two_processes_of_a_trial_never_overlap(files):
    written = files.path / "written"
    code = (
        f"import time; file = open({str(written)!r}, 'a'); print('in', file=file, flush=True); "
        "time.sleep(0.3); print('out', file=file, flush=True)"
    )
    processes = [start(files, code) for _ in range(3)]
    wait_until(files.is_running)
    assert [process.wait(TIMEOUT_S) for process in processes] == [0, 0, 0]
    assert written.read_text().split() == ["in", "out"] * 3
    lines = files.processes()
    assert [line["event"] for line in lines] == ["start", "end"] * 3
    assert all(start["pid"] == end["pid"] for start, end in zip(lines[::2], lines[1::2], strict=True))
    assert not files.is_running()


@pytest.mark.parametrize("code", [0, 1, 2, -signal.SIGKILL, -signal.SIGTERM])
def test_it_ends_as_the_trainer_does(files, code):
    ends = f"os.kill(os.getpid(), {-code})" if code < 0 else f"sys.exit({code})"
    assert start(files, f"import os, sys; {ends}").wait(TIMEOUT_S) == code
    assert files.processes()[-1]["code"] == code


TAUGHT = """
import os, signal, sys, time
heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
print("ready", flush=True)
while not heard:
    time.sleep(0.01)
time.sleep(0.5)
open({path!r}, "w").write(str(len(heard)))
"""


def test_however_often_it_is_told_the_trainer_hears_it_once(files):
    process = start(files, TAUGHT.format(path=str(files.path / "heard")))
    wait_until(files.processes)
    time.sleep(0.3)
    for _ in range(20):
        process.terminate()
        time.sleep(0.01)
    assert process.wait(TIMEOUT_S) == 0
    assert (files.path / "heard").read_text() == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
@pytest.mark.parametrize("victim", ["starter", "supervisor"])
def test_the_trainer_hears_once_that_a_process_above_it_was_killed(files, victim):
    """The starter has many threads, as Ray's have: each of them ends by itself."""
    heard = files.path / "heard"
    code = f"""
import subprocess, sys, threading, time
from pathlib import Path
from tests.trainer.tuning.trials.test_supervisor import TAUGHT, start
from trainer.tuning.trials.folder import TrialFolder
for _ in range(30):
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
process = start(TrialFolder(Path({str(files.trials)!r}), 4), TAUGHT.format(path={str(heard)!r}))
print(process.pid, flush=True)
process.wait()
time.sleep(600)
"""
    starter = subprocess.Popen([sys.executable, "-c", code], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    try:
        assert starter.stdout is not None
        supervisor = int(starter.stdout.readline())
        wait_until(files.processes)
        time.sleep(0.3)
        os.kill(starter.pid if victim == "starter" else supervisor, signal.SIGKILL)
        while not heard.exists():  # what it does after it was told is under the lock too
            assert files.is_running() or heard.exists()
        wait_until(lambda: not files.is_running())
        assert heard.read_text() == "1"
    finally:
        starter.kill()
        starter.communicate()


def test_a_trial_whose_starter_is_gone_already_is_not_begun(files):
    assert start(files, "raise SystemExit(0)", starter=1).wait(TIMEOUT_S) == 1
    assert files.processes() == []
