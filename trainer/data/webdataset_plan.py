"""How much an epoch of tar shards is, what each loader worker is told, and where a rank stands.

Micro-batch m of a rank comes from its loader worker m mod workers and belongs to epoch m // batches_per_epoch. A
position is the number of the next micro-batch and the cursor of each worker behind the last batch trained on.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from taxonomy.errors import BadInputError
from trainer.data.batch import DataSettings
from trainer.data.webdataset_list import ShardList
from trainer.data.webdataset_order import EPOCH_OF_DRAWS, Cursor, Order


@dataclass(frozen=True)
class Plan:
    """What the loader workers of a rank are told.

    Attributes:
        settings: how pairs become batches.
        shards: the list.
        rank, num_ranks: whose workers they are.
        num_samples: in the whole set.
    """

    settings: DataSettings
    shards: ShardList
    rank: int
    num_ranks: int
    num_samples: int

    @property
    def num_workers(self) -> int:
        """Logical workers: the trainer's own process counts as one."""
        return max(1, self.settings.num_workers)

    @property
    def batches_per_epoch(self) -> int:
        """Micro-batches of a rank in an epoch: the set once, rounded up to whole batches of every worker, as published.

        Those that fill no optimizer step are left out.
        """
        batches = math.ceil(self.num_samples / (self.num_ranks * self.settings.batch_size))
        batches = math.ceil(batches / self.num_workers) * self.num_workers
        return batches // self.settings.accum_freq * self.settings.accum_freq

    def epoch_of_order(self, number: int) -> int:
        """The epoch in whose order micro-batch `number` is read; 0 throughout where shards are drawn."""
        return 0 if self.settings.resampled else number // self.batches_per_epoch

    def order(self, worker: int) -> Order:
        """The order of one of the rank's workers."""
        settings = self.settings
        return Order(
            shards=self.shards,
            resampled=settings.resampled,
            seed=settings.seed,
            window=settings.shuffle_window,
            rank=self.rank,
            num_ranks=self.num_ranks,
            worker=worker,
            num_workers=self.num_workers,
        )

    def identity(self) -> dict[str, object]:
        """What must be the same for a position to have a meaning, by the flag that sets it."""
        return {
            "number of ranks": self.num_ranks,
            "--workers": self.num_workers,
            "--batch-size": self.settings.batch_size,
            "--seed": self.settings.seed,
            "--shuffle-window": self.settings.shuffle_window,
            "--dataset-resampled": self.settings.resampled,
            "batches per epoch": self.batches_per_epoch,
            "--train-data (sha256 of the shard list)": self.shards.sha256,
        }

    def check(self) -> None:
        """Raise BadInputError where the shards do not suffice for the workers, or the samples for a step."""
        if self.settings.shuffle_window < 1:
            raise BadInputError(f"--shuffle-window must be at least 1, got {self.settings.shuffle_window}")
        if self.batches_per_epoch < 1:
            raise BadInputError(
                f"--accum-freq {self.settings.accum_freq} is more than the micro-batches of an epoch: "
                f"{self.num_samples} samples, {self.num_ranks} ranks of --batch-size {self.settings.batch_size}"
            )
        per_rank = len(self.shards.urls) // self.num_ranks
        if not self.settings.resampled and per_rank < self.num_workers:
            raise BadInputError(
                f"--workers {self.num_workers} is more than the shards of a rank: {per_rank} "
                f"({len(self.shards.urls)} shards, {self.num_ranks} ranks); use fewer workers or --dataset-resampled"
            )


@dataclass(frozen=True)
class Position:
    """Where a rank stands.

    Attributes:
        next_batch: number of its next micro-batch, over all epochs.
        cursors: of each worker; None where a worker begins with the epoch that its next batch belongs to.
        first_draw: with resampling, where a worker without a cursor begins.
    """

    next_batch: int
    cursors: tuple[Cursor | None, ...]
    first_draw: int = 0

    @classmethod
    def load(cls, saved: Mapping[str, object] | None, plan: Plan) -> "Position":
        """What `WebdatasetData.position` gave, `{"epoch": e}` for the beginning of an epoch, or None for the start.

        Raises:
            BadInputError: the position belongs to another set, order or number of workers.
        """
        none = (None,) * plan.num_workers
        if saved is None:
            return cls(0, none)
        if "epoch" in saved:
            epoch = int(str(saved["epoch"]))
            return cls(epoch * plan.batches_per_epoch, none, epoch * EPOCH_OF_DRAWS)
        before, now = saved.get("identity"), plan.identity()
        if not isinstance(before, dict) or before.keys() != now.keys():
            raise BadInputError("the checkpoint's data position is not one of webdataset shards; use --resume-at epoch")
        changes = [f"{name} was {before[name]} and is {now[name]}" for name in now if before[name] != now[name]]
        if changes:
            raise BadInputError(
                f"cannot go on inside an epoch: {'; '.join(changes)}; set them back or use --resume-at epoch"
            )
        cursors = tuple(cursor and Cursor(**cursor) for cursor in saved["cursors"])  # pyright: ignore
        return cls(int(str(saved["next_batch"])), cursors, int(str(saved["first_draw"])))

    def save(self, plan: Plan) -> dict[str, object]:
        """The JSON-able form that `load` takes."""
        saved = asdict(self)
        return {**saved, "cursors": list(saved["cursors"]), "identity": plan.identity()}

    def behind(self, number: int, cursor: Cursor) -> "Position":
        """The position once micro-batch `number`, the next one, was trained on.

        Args:
            number: of the micro-batch.
            cursor: of its worker behind it.
        """
        assert number == self.next_batch, f"batch {number} instead of {self.next_batch}"
        cursors = list(self.cursors)
        cursors[number % len(cursors)] = cursor
        return Position(number + 1, tuple(cursors), self.first_draw)

    def cursor_for(self, number: int, plan: Plan) -> Cursor:
        """Where the worker of micro-batch `number` stands: behind its last one, or where the epoch begins."""
        cursor = self.cursors[number % len(self.cursors)]
        first_visit = self.first_draw if plan.settings.resampled else 0
        return cursor or Cursor(plan.epoch_of_order(number), first_visit)
