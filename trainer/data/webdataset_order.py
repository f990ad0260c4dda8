"""In which order a loader worker gives the undecoded samples of its shards, and from where it can go on.

A worker visits shards. Without resampling it visits its part of the epoch's permutation, again and again until it has
given its share of the epoch; such a round is a pass. With resampling visit j is a draw, and j runs on from epoch to
epoch. What it reads is cut into windows, each permuted by itself. A window holds neighbouring samples of one pass or
of any number of draws, so that a small set is still seen whole before anything comes again.
"""

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, count, islice

from taxonomy.errors import WorkFailedError
from trainer.data.draws import hash64, permutation
from trainer.data.webdataset_list import ShardList
from trainer.data.webdataset_shard import read_shard

_SHARDS, _WINDOW, _DRAW, _ITEM, _OCCASION = range(1, 6)
"""What a hash is for, so that no two uses share one."""

EPOCH_OF_DRAWS = 1 << 32
"""Draws set aside for an epoch, for runs that start at an epoch's beginning without knowing how many were used."""

_MAX_EMPTY_DRAWS = 1000


@dataclass(frozen=True)
class Cursor:
    """Where a worker stands behind a sample.

    Attributes:
        epoch: of the shards' order; 0 throughout with resampling.
        visit: the visit, in this epoch or of all draws, that gave the window's first sample.
        sample: which sample of that shard it is, from 0.
        window: the window's number in this epoch, or of all draws.
        taken: samples of the window given so far, good or bad.
    """

    epoch: int
    visit: int = 0
    sample: int = 0
    window: int = 0
    taken: int = 0


@dataclass(frozen=True)
class RawSample:
    """An undecoded sample.

    Attributes:
        members: suffix in lower case -> content.
        url: of its shard.
        visit: which visit of its worker it was read in.
        place: which sample of the shard it is, from 0.
        item: a number of the sample that no order changes, 63 bits.
        occasion: tells this reading of it from others, in place of the epoch in hashes.
    """

    members: dict[str, bytes]
    url: str
    visit: int
    place: int
    item: int
    occasion: int


@dataclass(frozen=True)
class Order:
    """Which shards one worker of one rank visits; the rest of the order follows from these.

    Attributes:
        shards: the list, the same on every rank.
        resampled: draw shards instead of permuting them.
        seed: the same on every rank.
        window: samples permuted together.
        rank, num_ranks: whose worker it is.
        worker, num_workers: of that rank.
    """

    shards: ShardList
    resampled: bool
    seed: int
    window: int
    rank: int
    num_ranks: int
    worker: int
    num_workers: int

    def shards_of_pass(self, epoch: int) -> list[int]:
        """The shards, by place in the list, that this worker visits before it begins again."""
        order = permutation(len(self.shards.urls), self.seed, epoch, _SHARDS)
        return order[self.rank :: self.num_ranks][self.worker :: self.num_workers].tolist()

    def draw(self, visit: int) -> int:
        """The shard, by place in the list, of a draw."""
        share = (hash64(self.seed, self.rank, self.worker, visit, _DRAW) >> 11) / 2**53
        return bisect(self._ends_of_weights, share * self._ends_of_weights[-1])

    @cached_property
    def _ends_of_weights(self) -> list[float]:
        return list(accumulate(self.shards.weights or [1.0] * len(self.shards.urls)))


def ordered_samples(order: Order, start: Cursor) -> Iterator[tuple[RawSample, Cursor]]:
    """Endless: the samples behind a cursor, each with the cursor behind it.

    Raises:
        WorkFailedError: a shard cannot be read, or none of them holds a sample.
    """
    if order.resampled:
        yield from _windows(order, start, _drawn_samples(order, start))
    shards = order.shards_of_pass(start.epoch)
    while True:
        last = start
        for sample, last in _windows(order, start, _samples_of_pass(order, shards, start)):
            yield sample, last
        next_pass = (start.visit // len(shards) + 1) * len(shards)
        start = Cursor(start.epoch, next_pass, 0, last.window + 1)


def _windows(order: Order, start: Cursor, source: Iterator[RawSample]) -> Iterator[tuple[RawSample, Cursor]]:
    """The samples of a source, window by window.

    While one window is given the next one is read, sample for sample: no wait at their border, and no more samples
    held than one window's.
    """
    window: list[RawSample | None] = list(islice(source, order.window))
    while window:
        keys = order.seed, start.epoch, order.rank, order.worker, start.window, _WINDOW
        upcoming: list[RawSample | None] = []
        for taken, place in enumerate(permutation(len(window), *keys).tolist(), start=1):
            sample, window[place] = window[place], None
            if taken > start.taken:
                assert sample is not None
                yield sample, replace(start, taken=taken)
                upcoming += islice(source, 1)
        upcoming += islice(source, order.window - len(upcoming))
        window = upcoming
        if window:
            assert window[0] is not None
            start = Cursor(start.epoch, window[0].visit, window[0].place, start.window + 1)


def _samples_of_pass(order: Order, shards: list[int], start: Cursor) -> Iterator[RawSample]:
    """From a cursor's window to the end of its pass."""
    empty = True
    for visit in range(start.visit, (start.visit // len(shards) + 1) * len(shards)):
        occasion = hash64(start.epoch, visit // len(shards), _OCCASION)
        for sample in _visit(order, shards[visit % len(shards)], visit, occasion, start):
            empty = False
            yield sample
    if empty:
        raise WorkFailedError(
            f"no sample in any of the {len(shards)} shards of a loader worker, as {_named(order, shards)}"
        )


def _drawn_samples(order: Order, start: Cursor) -> Iterator[RawSample]:
    """From a cursor's window on, without end."""
    num_empty = 0
    for visit in count(start.visit):
        shard = order.draw(visit)
        occasion = hash64(order.rank, order.worker, visit, _OCCASION)
        num_empty += 1
        for sample in _visit(order, shard, visit, occasion, start):
            num_empty = 0
            yield sample
        if num_empty >= _MAX_EMPTY_DRAWS:
            raise WorkFailedError(f"no sample in {num_empty} draws of shards in a row, as {_named(order, [shard])}")


def _visit(order: Order, shard: int, visit: int, occasion: int, start: Cursor) -> Iterator[RawSample]:
    url = order.shards.urls[shard]
    skip = start.sample if visit == start.visit else 0
    for place, members in enumerate(read_shard(url, skip), start=skip):
        yield RawSample(members, url, visit, place, hash64(shard, place, _ITEM) >> 1, occasion)


def _named(order: Order, shards: list[int]) -> str:
    return order.shards.urls[shards[0]]
