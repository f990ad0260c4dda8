"""Time and memory of a command and of all that it starts, and of nothing else."""

import subprocess
import sys

import pytest

from bench.process_tree import CommandFailed, measure

pytestmark = pytest.mark.process

BURN = "import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\n"


def run_python(code, log):
    return measure([sys.executable, "-c", code], log)


def test_cpu_time_of_children_and_of_orphans_is_counted(tmp_path):
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN.format(seconds=0.6)!r}])"
    orphan = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {BURN.format(seconds=0.6)!r}])"
    for code in (child, orphan):
        assert 0.6 <= run_python(code, tmp_path / "log").cpu_s < 3


def test_memory_of_a_grandchild_is_counted(tmp_path):
    hold = "import time\nblock = bytearray(b'x' * 200_000_000)\ntime.sleep(1.5)"
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {hold!r}])"
    used = run_python(code, tmp_path / "log")
    assert 200 <= used.peak_pss_mb < 400
    assert 1.5 <= used.wall_s < 10


def test_output_is_returned_and_failure_names_the_last_words(tmp_path):
    assert run_python("print('done')", tmp_path / "log").output == "done\n"
    with pytest.raises(CommandFailed, match=r"ended with 3:\nno such thing"):
        run_python("import sys\nprint('no such thing', file=sys.stderr)\nsys.exit(3)", tmp_path / "log")


def test_other_children_are_neither_counted_nor_awaited(tmp_path):
    hold = "block = bytearray(b'x' * 200_000_000)\nprint('ready', flush=True)\nimport time\ntime.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None and other.stdout.readline() == b"ready\n"
        used = run_python("import time\ntime.sleep(1)", tmp_path / "log")
        assert used.peak_pss_mb < 150
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_process_that_stays_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.process_tree.ORPHANS_END_S", 0.2)
    code = "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(2)'])"
    with pytest.raises(CommandFailed, match="left the processes"):
        run_python(code, tmp_path / "log")
