"""Who of a process tree used the CPU: driver, JVM, Spark's Python workers, or anything else.

The kernel alone cannot say: Spark's Python daemon ignores SIGCHLD, so the time of its workers reaches nobody's
RUSAGE_CHILDREN. The ledger therefore reads /proc at every look, and keeps what it saw of processes that have ended.
Of each process it misses what the kernel's ticks cut off (10 ms of user and of system time at most) and, unless its
parent waits for it, what it used after the last look.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

DRIVER, JVM, WORKERS, OTHER = "driver", "jvm", "workers", "other"
GROUPS = (DRIVER, JVM, WORKERS, OTHER)
"""The command itself; Java; Python below Java (Spark's daemon and its forks); shells and whatever else."""


@dataclass
class Seen:
    """What the last look at one process found."""

    pid: int
    started: int
    """Clock ticks since boot; with the pid, the identity of a process."""
    parent: int
    name: str
    own_s: float
    """User and system time of all its threads."""
    reaped_s: float
    """The same of children it waited for, with all that those had waited for."""
    rss_bytes: int
    below_java: bool = False
    peak_rss_bytes: int = 0
    settled: bool = False
    """Seen twice under one name. A child that has yet to become another program shares its parent's memory."""


class ProcessLedger:
    """CPU time and memory of all processes below a command, by group.

    Args:
        root: pid whose descendants are watched, normally of this process.
    """

    def __init__(self, root: int | None = None) -> None:
        self._root = root or os.getpid()
        self._seen: dict[int, Seen] = {}
        self._ended: list[Seen] = []
        self._foreign: set[int] = set()
        self._command: tuple[int, int] | None = None
        self.peak_rss_mb = 0.0
        """The largest sum of RSS over the tree seen at one look; shared pages count once per process."""

    def look(self, others: Set[int] = frozenset()) -> None:
        """Reads every process of the tree once; call it often: what a process uses after its last look is lost.

        Args:
            others: children of root to leave out, with all below them.
        """
        present = {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208  # 20 times a second
        self._foreign &= present
        for pid in list(self._seen):
            self._look_again(pid)
        for pid in sorted(present - self._seen.keys() - self._foreign):
            self._look_first(pid, others)
        rss = sum(one.rss_bytes for one in self._seen.values() if one.settled)
        self.peak_rss_mb = max(self.peak_rss_mb, rss / 1e6)

    def cpu_s(self, *groups: str) -> float:
        """User and system time of all processes of these groups, ended ones included; of all groups where none given.

        Time that a process got from children it waited for, beyond what was seen of them, counts as its own.
        """
        return sum(one.own_s + self._unseen_s(one) for one in self._all() if not groups or self._group(one) in groups)

    def peak_rss_of_one_mb(self, *groups: str) -> float:
        """The largest resident set that one process of these groups (of all, where none given) ever had."""
        sizes = [one.peak_rss_bytes for one in self._all() if not groups or self._group(one) in groups]
        return max(sizes, default=0) / 1e6

    def num_processes(self, group: str) -> int:
        """How many processes of a group there were."""
        return sum(self._group(one) == group for one in self._all())

    def _all(self) -> Iterator[Seen]:
        yield from self._ended
        yield from self._seen.values()

    def _look_again(self, pid: int) -> None:
        old, now = self._seen[pid], read_stat(pid)
        if now is None or now.started != old.started:
            self._ended.append(self._seen.pop(pid))
            return
        now.below_java, now.settled = old.below_java, now.name == old.name
        now.peak_rss_bytes = max(old.peak_rss_bytes if now.settled else 0, read_peak_rss_bytes(pid))
        self._seen[pid] = now

    def _look_first(self, pid: int, others: Set[int]) -> None:
        now = read_stat(pid)
        if now is None:
            return
        parent = self._seen.get(now.parent)
        if parent is None and (now.parent != self._root or pid in others):
            self._foreign.add(pid)
            return
        now.below_java = parent is not None and (parent.below_java or parent.name == "java")
        now.peak_rss_bytes = read_peak_rss_bytes(pid)
        if self._command is None:
            self._command = (pid, now.started)
        self._seen[pid] = now

    def _group(self, one: Seen) -> str:
        if (one.pid, one.started) == self._command:
            return DRIVER
        if one.name == "java":
            return JVM
        return WORKERS if one.below_java and one.name.startswith("python") else OTHER

    def _unseen_s(self, one: Seen) -> float:
        children = (child for child in self._ended if child.parent == one.pid and child.started >= one.started)
        return max(0.0, one.reaped_s - sum(child.own_s + child.reaped_s for child in children))


def read_stat(pid: int) -> Seen | None:
    """One process as it is now, or as it ended where nobody has waited for it yet; None where there is none.

    Source: proc(5), /proc/pid/stat; the name may hold blanks and parentheses.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    own, reaped = (sum(map(int, fields[i : i + 2])) * TICK_S for i in (11, 13))
    return Seen(pid, int(fields[19]), int(fields[1]), name, own, reaped, int(fields[21]) * PAGE_BYTES)


def read_peak_rss_bytes(pid: int) -> int:
    """The high-water mark of a process's resident set; 0 where it has ended. A fork starts with what it shares."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
