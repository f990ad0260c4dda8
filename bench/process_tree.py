"""Runs one command and measures its whole process tree: wall clock, CPU, and memory that is really its own (PSS)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_S = 0.5
LOOK_S = 0.05
ORPHANS_END_S = 60
PR_SET_CHILD_SUBREAPER = 36
"""Source: linux/prctl.h."""


class CommandFailed(RuntimeError):
    """A measured command ended with an exit code other than 0."""


@dataclass(frozen=True)
class Usage:
    """What one command used."""

    wall_s: float
    """Until the command itself ended."""
    cpu_s: float
    """User and system time of all its processes, also those that outlived it; not of children of a process that
    ignores SIGCHLD, like the workers of Spark's Python daemon."""
    peak_pss_mb: float
    """The largest sum of PSS over its processes seen at one sample, in units of 1,000,000 bytes; 0 with a look."""
    output: str
    """Its standard output."""


def measure(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    look: Callable[[Set[int]], None] | None = None,
) -> Usage:
    """Runs a command to its end and awaits what it leaves behind; its stderr goes to log, its stdout beside it.

    Args:
        command: program and arguments.
        log: file for its stderr.
        environment: variables to add to this process's.
        look: called every LOOK_S, until the last process has ended, with the pids of this process's other children;
            takes the place of the look at PSS, which costs too much to be taken often.

    Raises:
        CommandFailed: exit code not 0, with the last lines of stderr; or a process that outlived it by ORPHANS_END_S.
    """
    others = {child.pid for child in psutil.Process().children()}
    before, started = _children_cpu_s(), time.monotonic()
    with _adopting_orphans(), log.open("wb") as errors, log.with_suffix(".out").open("w+b") as output:
        environ = {**os.environ, **(environment or {})}
        process = subprocess.Popen(list(command), stdout=output, stderr=errors, env=environ)
        peak = 0
        while process.poll() is None:
            if look is None:
                peak = max(peak, tree_pss_bytes(others))
            else:
                look(others)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SAMPLE_S if look is None else LOOK_S)
        wall_s = time.monotonic() - started
        _await_orphans(others, command, look)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if process.returncode != 0:
        tail = log.read_text(errors="replace").strip().splitlines()[-5:]
        raise CommandFailed(f"{' '.join(command)} ended with {process.returncode}:\n" + "\n".join(tail))
    return Usage(wall_s, _children_cpu_s() - before, peak / 1e6, text)


def tree_pss_bytes(others: Set[int] = frozenset()) -> int:
    """The sum of the proportional set sizes of this process's descendants; those that end meanwhile count 0.

    Args:
        others: children to leave out, with all below them.
    """
    total = 0
    for child in psutil.Process().children():
        if child.pid in others:
            continue
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(_pss_bytes(each.pid) for each in [child, *child.children(recursive=True)])
    return total


def _pss_bytes(pid: int) -> int:
    """The PSS of one process; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


@contextlib.contextmanager
def _adopting_orphans() -> Iterator[None]:
    """Makes orphaned descendants children of this process meanwhile, so that their CPU time is counted."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed; Linux 3.4 or newer is needed")
    try:
        yield
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _await_orphans(others: Set[int], command: Sequence[str], look: Callable[[Set[int]], None] | None) -> None:
    """Waits until no child but the others is left."""
    deadline = time.monotonic() + ORPHANS_END_S
    while orphans := [child.pid for child in psutil.Process().children() if child.pid not in others]:
        if look is not None:
            look(others)
        for pid in orphans:
            os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > deadline:
            raise CommandFailed(f"{' '.join(command)} left the processes {orphans} running")
        time.sleep(0.05)


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
