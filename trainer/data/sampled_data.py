"""A source with random access to its items -> endless batches, the same whatever the number of workers.

`shards`, `csv` and `synthetic` are such sources.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

import torch
from torch.utils.data import DataLoader, Sampler

from taxonomy.errors import BadInputError
from trainer.data.bad_samples import BadSample
from trainer.data.batch import Batch, DataSettings
from trainer.data.batch_maker import BatchMaker, Failure, ItemSource
from trainer.data.caption_choice import choose
from trainer.data.draws import generator
from trainer.data.loader_workers import LoaderRun, outlive_signals
from trainer.data.order import BatchPlan, Split

CHECKED_LABELS = 256


class PlanSampler(Sampler[BatchPlan]):
    """A rank's plans from a step on, without end."""

    def __init__(self, split: Split, step: int) -> None:
        self._split, self._step = split, step

    def __iter__(self) -> Iterator[BatchPlan]:
        return self._split.plans(self._step)


class SampledData:
    """A source's batches for one rank: trainer.data.batch.TrainData.

    Args:
        source: the items.
        split: their order, and this rank's part of it.
        settings: how items become batches.
        position: from `position()` of any rank; {"epoch": e} begins that epoch; None begins the run.

    Raises:
        BadInputError: the position belongs to other data or settings, or captions of the kinds asked for are nowhere.
    """

    def __init__(
        self, source: ItemSource, split: Split, settings: DataSettings, position: Mapping[str, object] | None
    ) -> None:
        self.num_samples = len(split.order)
        self.batches_per_epoch = split.steps_per_epoch * split.accum_freq
        self._split, self._seed = split, settings.seed
        self._step = first_step(split, settings.seed, position)
        check_captions(source, split, settings, self._step)
        workers = {
            "prefetch_factor": settings.prefetch_batches,
            "worker_init_fn": outlive_signals,
            "multiprocessing_context": "fork",  # a worker of a fork server does not see that its trainer was killed
        }
        self._loader = DataLoader(
            BatchMaker(source, self.num_samples, settings),
            sampler=PlanSampler(split, self._step),
            batch_size=None,
            num_workers=settings.num_workers,
            pin_memory=settings.pin_memory,
            generator=torch.Generator(),  # otherwise opening the data would draw from torch's own
            **(workers if settings.num_workers else {}),
        )
        self._run: LoaderRun[Batch | Failure] | None = None

    def batches(self) -> Iterator[Batch]:
        """Endless, from the position on; call it once.

        Raises:
            WorkFailedError: a shard turned out to be damaged, no item is usable, or a worker died.
        """
        self._run = LoaderRun(self._loader)
        for batch in self._run:
            if isinstance(batch, Failure):
                self._run.close()
                raise batch.error
            yield batch

    def trained_on(self, batch: Batch) -> None:
        """Note a batch; the position moves on with the last one of a step."""
        assert isinstance(batch.cursor, dict)
        if batch.cursor["micro"] == self._split.accum_freq - 1:
            self._step = batch.cursor["step"] + 1

    def position(self) -> dict[str, object]:
        """`step`: optimizer steps trained on, the same on every rank; the rest tells whose position it is."""
        return {"step": self._step} | _identity(self._split, self._seed)

    def close(self) -> None:
        """End the workers."""
        if self._run is not None:
            self._run.close()


def first_step(split: Split, seed: int, position: Mapping[str, object] | None) -> int:
    """The step that a position begins at.

    Raises:
        BadInputError: it was noted with other data, another seed or another number of pairs per step.
    """
    if position is None:
        return 0
    if "step" not in position and "epoch" not in position:
        raise BadInputError(
            "--resume: the checkpoint's data was of another --dataset-type; use it, or --resume-at epoch"
        )
    if "step" not in position:
        return int(str(position["epoch"])) * split.steps_per_epoch
    for name, now in _identity(split, seed).items():
        if position.get(name, now) != now:
            raise BadInputError(
                f"--resume: the checkpoint was trained with {name.replace('_', ' ')} {position[name]}, this run has "
                f"{now}; resume with the same data, --seed and pairs per step, or with --resume-at epoch"
            )
    return int(str(position["step"]))


def check_captions(source: ItemSource, split: Split, settings: DataSettings, step: int) -> None:
    """See that the first items have captions of the kinds asked for.

    Raises:
        BadInputError: none of them has.
    """
    epoch, step_of_epoch = divmod(step, split.steps_per_epoch)
    start = step_of_epoch * split.step_size
    seen: Counter[str] = Counter()
    items = split.order.items(epoch, start, min(start + CHECKED_LABELS, len(split.order)))
    for item in items.tolist():
        try:
            texts = source.label(item).texts
            choose(settings.caption, texts, generator(0, 0, 0, "check"), settings.caption.kinds[0])
            return
        except BadSample as bad:
            seen.update([bad.reason] if bad.reason != "no_caption" else texts)
    wanted = ", ".join(settings.caption.kinds)
    found = ", ".join(sorted(seen)) or "none"
    raise BadInputError(
        f"--text_type: none of {len(items)} items looked at has a caption of kind {wanted}; found: {found}"
    )


def _identity(split: Split, seed: int) -> dict[str, object]:
    return {
        "num_samples": len(split.order),
        "pairs_per_step": split.step_size,
        "seed": seed,
        "data_sha256": split.items_sha256,
    }
