"""`taxaflow train --nproc`: stopped, and ended. A script plays torchrun here; test_stop.py starts the real one."""

import os
import signal
import subprocess

import pytest

from trainer import launch as launching
from trainer.launch import launch

LEAVE_WORD = """\
echo '{"line": "taxaflow: no such thing", "code": 2}' > "$TAXAFLOW_LAUNCH_FOLDER/ending.json"
exit 1
"""
WAIT_FOR_STOP = 'while [ ! -e "$TAXAFLOW_LAUNCH_FOLDER/stop" ]; do sleep 0.02; done'


def test_the_processes_get_the_flags(torchrun, tmp_path):
    torchrun("exit 0")
    assert launch(["--logs", "x"], 2) == 0
    arguments, _ = (tmp_path / "arguments").read_text().splitlines()
    assert arguments == "-m evaluation.torchrun --standalone --nproc-per-node 2 -m trainer -- --logs x"


def test_what_a_process_said_last_is_the_last_line_and_its_code_the_code(torchrun, capfd):
    torchrun(LEAVE_WORD)
    assert launch([], 2) == 2
    assert capfd.readouterr().err == "taxaflow: no such thing\n"


@pytest.mark.parametrize(("lines", "code"), [("exit 1", 1), ("exit 7", 7), ("kill -9 $$", 1)])
def test_without_a_word_the_code_is_that_of_torchrun_and_1_if_it_was_killed(torchrun, capfd, lines, code):
    torchrun(lines)
    assert launch([], 2) == code
    assert capfd.readouterr().err == ""


def test_a_signal_asks_to_stop_and_a_second_ends_torchrun(torchrun):
    torchrun(f"kill -TERM $PPID\n{WAIT_FOR_STOP}")
    assert launch([], 2) == 0
    torchrun(
        f"trap 'exit 143' TERM\nkill -TERM $PPID\n{WAIT_FOR_STOP}\nkill -TERM $PPID\nwhile true; do sleep 0.05; done"
    )
    assert launch([], 2) == 143


def test_ctrl_c_is_an_interrupt(torchrun):
    torchrun(f"kill -INT $PPID\n{WAIT_FOR_STOP}")
    with pytest.raises(KeyboardInterrupt):
        launch([], 2)


@pytest.mark.parametrize("num_signals", [1, 2])
def test_a_signal_while_torchrun_starts_is_answered_too(torchrun, monkeypatch, num_signals):
    start = subprocess.Popen

    def start_late(*arguments, **more):
        for _ in range(num_signals):
            os.kill(os.getpid(), signal.SIGTERM)
        return start(*arguments, **more)

    monkeypatch.setattr(launching.subprocess, "Popen", start_late)
    torchrun(WAIT_FOR_STOP if num_signals == 1 else "exec sleep 60")
    assert (launch([], 2) == 0) == (num_signals == 1)  # two end it before its minute is over
