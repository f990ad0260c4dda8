"""CPU time and memory by group of processes, of real trees; what the processes say of themselves is the truth."""

import os
import shlex
import sys

import pytest

from bench.download_ledger import DRIVER, JVM, OTHER, WORKERS, ProcessLedger, read_peak_rss_bytes, read_stat
from bench.process_tree import measure

BURN = "import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\n"
FORKS_THAT_NOBODY_WAITS_FOR = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
ends = []
for _ in range(3):
    end, start = os.pipe()
    if os.fork() == 0:
        while time.process_time() < 0.25: pass
        time.sleep(0.2)
        os.write(start, str(sum(os.times()[:2])).encode())
        os._exit(0)
    os.close(start)
    ends.append(end)
print(sum(float(os.read(end, 100)) for end in ends) + sum(os.times()[:2]))
"""
CHILDREN_TOO_SHORT_TO_BE_SEEN = """
import os, time
for _ in range(25):
    if os.fork() == 0:
        start = time.process_time()
        while time.process_time() < start + 0.02: pass
        os._exit(0)
    os.wait()
time.sleep(0.2)
print(sum(os.times()[:4]))
"""


TICKS = 0.1
"""What may be missing: clock ticks cut off, two per process, and what the command did after the last look."""


def watch(code, log):
    ledger = ProcessLedger()
    return ledger, measure([sys.executable, "-c", code], log, look=ledger.look)


def test_children_of_a_parent_that_ignores_sigchld_are_counted(tmp_path):
    ledger, used = watch(FORKS_THAT_NOBODY_WAITS_FOR, tmp_path / "log")
    assert float(used.output) == pytest.approx(ledger.cpu_s(), abs=TICKS)
    assert ledger.cpu_s() >= 0.75 - TICKS > used.cpu_s + 0.3  # the kernel's own sum has lost them
    assert ledger.num_processes(OTHER) == 3


def test_children_that_live_between_two_looks_are_counted_where_they_are_waited_for(tmp_path):
    ledger, used = watch(CHILDREN_TOO_SHORT_TO_BE_SEEN, tmp_path / "log")
    assert float(used.output) == pytest.approx(ledger.cpu_s(), abs=TICKS)
    assert used.cpu_s == pytest.approx(ledger.cpu_s(), abs=TICKS)
    assert ledger.cpu_s(DRIVER) >= 0.5 - TICKS


@pytest.fixture
def spark_like(tmp_path):
    """A Python that starts `java`, which starts a Python that forks one: as Spark's processes are."""
    (tmp_path / "java").symlink_to("/bin/sh")
    hold = "block = bytearray(b'x') * 120_000_000\n"
    fork = f"import os\nif os.fork() == 0:\n    {hold}    t = 0.3\nelse:\n    t = 0.1\n" + BURN.format(seconds="t")
    fork += "import time\ntime.sleep(0.2)\n"
    (tmp_path / "worker.py").write_text(fork)
    below = f"{shlex.join([sys.executable, str(tmp_path / 'worker.py')])}; sleep 0.5; true"
    code = f"import subprocess\nsubprocess.run([{str(tmp_path / 'java')!r}, '-c', {below!r}])\n" + BURN.format(
        seconds=0.2
    )
    return watch(code, tmp_path / "log")[0]


def test_time_and_memory_belong_to_their_group(spark_like):
    assert 0.2 - TICKS <= spark_like.cpu_s(DRIVER) < 0.4
    assert 0.4 - TICKS <= spark_like.cpu_s(WORKERS) < 1.0
    assert spark_like.cpu_s(JVM) < 0.1
    assert spark_like.num_processes(WORKERS) == 2
    assert (spark_like.num_processes(DRIVER), spark_like.num_processes(JVM)) == (1, 1)
    total = sum(spark_like.cpu_s(group) for group in (DRIVER, JVM, WORKERS, OTHER))
    assert total == pytest.approx(spark_like.cpu_s())
    assert 120 <= spark_like.peak_rss_of_one_mb(WORKERS) < 160
    assert spark_like.peak_rss_of_one_mb(DRIVER) < 60
    assert 120 <= spark_like.peak_rss_of_one_mb() <= spark_like.peak_rss_mb


def test_other_children_are_left_out():
    ledger = ProcessLedger()
    ledger.look({pid for pid in range(1, 2**22)})
    assert ledger.cpu_s() == 0
    assert ledger.peak_rss_of_one_mb() == 0


def test_a_process_is_read_as_it_is():
    own = read_stat(os.getpid())
    assert own is not None
    assert own.parent == os.getppid()
    assert own.own_s == pytest.approx(sum(os.times()[:2]), abs=0.05)
    assert read_peak_rss_bytes(os.getpid()) >= own.rss_bytes * 0.9 > 10e6


def test_a_process_that_is_gone_is_nothing():
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    assert read_stat(pid) is None
    assert read_peak_rss_bytes(pid) == 0


def test_memory_of_the_program_that_a_process_was_before_is_not_its_own(tmp_path):
    code = "block = bytearray(b'x') * 120_000_000\nimport os, time\ntime.sleep(0.2)\n"
    code += "os.execv('/bin/sleep', ['sleep', '0.3'])"
    ledger, _ = watch(code, tmp_path / "log")
    assert ledger.peak_rss_of_one_mb() < 20
    assert 120 <= ledger.peak_rss_mb < 160
