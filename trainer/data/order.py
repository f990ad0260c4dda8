"""Which items an optimizer step trains on: a function of (seed, epoch, step) alone, so that a position is one number.

An epoch's order: the shards permuted, cut into groups of 64, the items of a group permuted. Only the groups in use are
held, and reads stay within 64 files. Step j of an epoch takes items jG .. (j+1)G-1 of the order, G = W * B * k; the
last n mod G items of an epoch's order are left out of it. Source: docs/design.md, Order, position, resume.

Shapes: B pairs of a micro-batch.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from taxonomy.errors import BadInputError
from trainer.data.draws import hash_text, permutation

GROUP_SHARDS = 64
_GROUPS_HELD = 2
_SHARDS, _ITEMS = hash_text("order of shards"), hash_text("order of items")


class Order:
    """The order of n = sum(sizes) items; item numbers count through the shards as they are given.

    Args:
        sizes: items per shard.
        seed: of all epochs' orders.
    """

    def __init__(self, sizes: Sequence[int], seed: int) -> None:
        self._sizes = np.asarray(sizes, dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(self._sizes)])
        self._seed = seed
        self._epoch_plans: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._groups: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def items(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """The item numbers at places start .. stop-1 of an epoch's order, int64."""
        assert 0 <= start <= stop <= len(self), (start, stop)
        _, ends = self._epoch_plan(epoch)
        parts = [np.empty(0, dtype=np.int64)]
        group = int(np.searchsorted(ends, start, side="right"))
        while start < stop:
            first, end = int(ends[group - 1]) if group else 0, int(ends[group])
            parts.append(self._group(epoch, group)[start - first : min(stop, end) - first])
            start, group = min(stop, end), group + 1
        return np.concatenate(parts)

    def first_shards(self, epoch: int, place: int) -> np.ndarray:
        """The shards of the group that a place of an epoch's order lies in: those that are read first from there."""
        shards, ends = self._epoch_plan(epoch)
        group = min(int(np.searchsorted(ends, place, side="right")), len(ends) - 1)
        return shards[group * GROUP_SHARDS : (group + 1) * GROUP_SHARDS]

    def _epoch_plan(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The epoch's shards in order, and for each group the place behind its last item."""
        if epoch not in self._epoch_plans:
            shards = permutation(len(self._sizes), self._seed, epoch, _SHARDS)
            sizes = np.add.reduceat(self._sizes[shards], np.arange(0, len(shards), GROUP_SHARDS))
            self._epoch_plans[epoch] = shards, np.cumsum(sizes)
            _drop_oldest(self._epoch_plans)
        return self._epoch_plans[epoch]

    def _group(self, epoch: int, group: int) -> np.ndarray:
        if (epoch, group) not in self._groups:
            shards, _ = self._epoch_plan(epoch)
            members = shards[group * GROUP_SHARDS : (group + 1) * GROUP_SHARDS]
            items = np.concatenate([np.arange(*self._starts[shard : shard + 2].tolist()) for shard in members.tolist()])
            self._groups[epoch, group] = items[permutation(len(items), self._seed, epoch, group, _ITEMS)]
            _drop_oldest(self._groups)
        return self._groups[epoch, group]


def _drop_oldest(held: OrderedDict) -> None:
    while len(held) > _GROUPS_HELD:
        held.popitem(last=False)


@dataclass(frozen=True)
class BatchPlan:
    """The pairs of one micro-batch of one rank.

    Attributes:
        step: the optimizer step it belongs to, counted over the run from 0.
        micro: its number within the step, from 0.
        epoch: counted from 0.
        place_B: each pair's place in the epoch's order, int64.
        item_B: each pair's item number, int64.
    """

    step: int
    micro: int
    epoch: int
    place_B: np.ndarray
    item_B: np.ndarray


@dataclass(frozen=True)
class Split:
    """How the items of an order are dealt out: W ranks of k micro-batches of B pairs each per step.

    Attributes:
        order: the items.
        rank: of W.
        num_ranks: W.
        accum_freq: k.
        batch_size: B.
        items_sha256: what the items are, hex; a position among others has no meaning.

    Raises:
        BadInputError: the order has fewer items than one step takes.
    """

    order: Order
    rank: int
    num_ranks: int
    accum_freq: int
    batch_size: int
    items_sha256: str = ""

    def __post_init__(self) -> None:
        if self.step_size > len(self.order):
            raise BadInputError(
                f"--batch-size {self.batch_size}: one step takes {self.step_size:,} pairs ({self.batch_size} x "
                f"{self.num_ranks} processes x {self.accum_freq} accumulated), but there are only "
                f"{len(self.order):,}; choose at most {len(self.order) // (self.num_ranks * self.accum_freq):,}"
            )

    @property
    def step_size(self) -> int:
        """G, the pairs of one optimizer step over all ranks."""
        return self.num_ranks * self.batch_size * self.accum_freq

    @property
    def steps_per_epoch(self) -> int:
        """Whole steps in an epoch, at least 1."""
        return len(self.order) // self.step_size

    def plans(self, step: int) -> Iterator[BatchPlan]:
        """The rank's micro-batches from an optimizer step of the run on, without end."""
        while True:
            epoch, step_of_epoch = divmod(step, self.steps_per_epoch)
            start = step_of_epoch * self.step_size
            items = self.order.items(epoch, start, start + self.step_size)
            places = np.arange(start, start + self.step_size)
            for micro in range(self.accum_freq):
                # Rank's part [r::W], and of that the micro-batch's part [m::k].
                part = slice(self.rank + micro * self.num_ranks, None, self.num_ranks * self.accum_freq)
                yield BatchPlan(step, micro, epoch, places[part], items[part])
            step += 1
