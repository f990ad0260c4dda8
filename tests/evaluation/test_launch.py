"""`--nproc`: one ending for many processes. A script plays torchrun here; test_run_config.py starts the real one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.launch import launch

LEAVE_WORD = """\
echo '{"line": "taxaflow: no such thing", "code": 2}' > "$TAXAFLOW_LAUNCH_FOLDER/ending.json"
exit 1
"""


def test_the_processes_get_the_flags_and_share_the_cores(torchrun, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    torchrun("exit 0")
    assert launch(["--fungi", "--logs", "x"], 2) == 0
    arguments, threads = (tmp_path / "arguments").read_text().splitlines()
    assert arguments == "-m evaluation.torchrun --standalone --nproc-per-node 2 -m evaluation -- --fungi --logs x"
    assert threads == "3"


def test_what_a_process_said_last_is_the_last_line_and_its_code_the_code(torchrun, capfd):
    torchrun(LEAVE_WORD)
    assert launch([], 2) == 2
    assert capfd.readouterr().err == "taxaflow: no such thing\n"


@pytest.mark.parametrize(("lines", "code"), [("exit 1", 1), ("exit 7", 7), ("kill -9 $$", 137)])
def test_without_a_word_the_code_is_that_of_torchrun(torchrun, capfd, lines, code):
    torchrun(lines)
    assert launch([], 2) == code
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_processes_too(torchrun, number):
    torchrun(f"trap 'exit 143' TERM\nkill -{number.value} $PPID\nwhile true; do sleep 0.05; done")
    if number == signal.SIGINT:
        with pytest.raises(KeyboardInterrupt):
            launch([], 2)
    else:
        assert launch([], 2) == 143


def test_the_folder_of_the_words_is_gone_afterwards(torchrun, tmp_path):
    torchrun(f"echo $TAXAFLOW_LAUNCH_FOLDER > {tmp_path}/folder; {LEAVE_WORD}")
    launch([], 2)
    folder = Path((tmp_path / "folder").read_text().strip())
    assert folder.is_absolute() and not folder.exists()


def test_the_parent_needs_no_torch():
    program = "import sys, evaluation.launch; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
