"""What a reader of shards did in steady state: its speed, and the CPU time of its process and all its workers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sized
from dataclasses import dataclass
from typing import Any

import psutil


@dataclass(frozen=True)
class Window:
    """The batches behind the warm-up.

    Attributes:
        samples: in them.
        wall_s: from the arrival of the last batch of the warm-up to that of the last one.
        cpu_s: user and system time of this process and its descendants meanwhile.
        first_batch_s: from the process's start to its first batch: imports, workers, filled buffers.
    """

    samples: int
    wall_s: float
    cpu_s: float
    first_batch_s: float


def read(batches: Iterator[Any], batch_size: int, warm_up: int, num_batches: int) -> Window:
    """Read `warm_up` (at least 1) batches, then measure `num_batches` more.

    What a worker has prepared beforehand at both ends differs by no more than its queue, two batches.
    """
    _full(next(batches), batch_size)
    first_batch_s = time.time() - psutil.Process().create_time()
    for _ in range(warm_up - 1):
        next(batches)
    started, cpu_s = time.monotonic(), tree_cpu_s()
    for _ in range(num_batches):
        _full(next(batches), batch_size)
    wall_s = time.monotonic() - started
    return Window(num_batches * batch_size, wall_s, tree_cpu_s() - cpu_s, first_batch_s)


def tree_cpu_s() -> float:
    """User and system time of this process and its living descendants so far."""
    process = psutil.Process()
    times = [each.cpu_times() for each in [process, *process.children(recursive=True)]]
    return sum(one.user + one.system for one in times)


def _full(batch: Any, batch_size: int) -> None:
    """See that a batch has as many pairs as it should: a short one would be counted as a full one."""
    pictures = batch[0] if isinstance(batch, (list, tuple)) else batch.image_BHWC
    assert isinstance(pictures, Sized)
    assert len(pictures) == batch_size, (len(pictures), batch_size)
