"""What happened between two logged steps: losses, pictures, counts, times. Nothing here waits for a device."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Window:
    """The steps since the last logged one.

    Attributes:
        num_steps: good and bad ones.
        num_samples: pictures of this rank.
        loss: mean over the good steps; None where there was none.
        counts: of the batches, such as "caption/sci" and "bad/no_caption", on this rank.
        wall_s: seconds, without those of `Meter.paused`. Of this life of the process alone, as are the next two.
        wait_s: seconds of these in which this rank waited for a batch.
        timed_steps: steps in these seconds: fewer than `num_steps` right after a resume.
        timed_samples: pictures in these seconds.
    """

    num_steps: int
    num_samples: int
    loss: float | None
    counts: Mapping[str, int]
    wall_s: float
    wait_s: float
    timed_steps: int
    timed_samples: int

    @property
    def images_per_s(self) -> float:
        """Pictures of this rank per second."""
        return self.timed_samples / self.wall_s if self.wall_s > 0 else 0.0

    @property
    def data_wait_share(self) -> float:
        """The share of the time that went by waiting for batches, 0 to 1."""
        return min(1.0, self.wait_s / self.wall_s) if self.wall_s > 0 else 0.0


class Meter:
    """Sums up steps until `take`; its time begins when it is made.

    The sums go into checkpoints, so that a run resumed between two logged steps logs the same to the last bit.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._begin()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around taking the next batch."""
        start = self._clock()
        try:
            yield
        finally:
            self._wait_s += self._clock() - start

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Around what is no training, such as an evaluation or a checkpoint."""
        start = self._clock()
        try:
            yield
        finally:
            self._start += self._clock() - start

    def add(self, num_samples: int, counts: Mapping[str, int]) -> None:
        """Count a micro-batch: its pictures and what they were."""
        self._num_samples += num_samples
        self._timed_samples += num_samples
        self._counts.update(counts)

    def add_step(self) -> None:
        """Count an optimizer step."""
        self._num_steps += 1
        self._timed_steps += 1

    def add_losses(self, losses: Iterable[float]) -> None:
        """Count the losses of good steps, in their order; at the latest before `take` and `state`."""
        for loss in losses:
            self._loss_sum += loss
            self._num_losses += 1

    def take(self, losses: Iterable[float] = ()) -> Window:
        """What there was since the last `take`, with these last losses, and begin anew."""
        self.add_losses(losses)
        window = Window(
            num_steps=self._num_steps,
            num_samples=self._num_samples,
            loss=self._loss_sum / self._num_losses if self._num_losses else None,
            counts=dict(self._counts),
            wall_s=self._clock() - self._start,
            wait_s=self._wait_s,
            timed_steps=self._timed_steps,
            timed_samples=self._timed_samples,
        )
        self._begin()
        return window

    def state(self) -> dict[str, Any]:
        """All but the times, JSON-able; `load` goes on from it."""
        return {
            "num_steps": self._num_steps,
            "num_samples": self._num_samples,
            "loss_sum": self._loss_sum,
            "num_losses": self._num_losses,
            "counts": dict(self._counts),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned; the time begins now."""
        self._begin()
        self._num_steps, self._num_samples = state["num_steps"], state["num_samples"]
        self._loss_sum, self._num_losses = state["loss_sum"], state["num_losses"]
        self._counts = Counter(state["counts"])

    def _begin(self) -> None:
        self._start = self._clock()
        self._wait_s = self._loss_sum = 0.0
        self._num_steps = self._num_samples = self._num_losses = self._timed_steps = self._timed_samples = 0
        self._counts: Counter[str] = Counter()
