"""`--dataset-type webdataset`: batches from any tar shards, with an order and a position of our own.

webdataset's shuffle buffer cannot be resumed, so that the library only opens shards here. The order of the samples is
in webdataset_order.py, the shares of workers and epochs in webdataset_plan.py.

Shapes: B pairs.
"""

import atexit
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from taxonomy.errors import BadInputError, WorkFailedError
from trainer.data.batch import BadSample, Batch, DataSettings, trimmed_tokens
from trainer.data.batch_maker import Failure
from trainer.data.caption_choice import kind_of_step
from trainer.data.loader_workers import outlive_signals
from trainer.data.webdataset_list import count_samples, expand_shards
from trainer.data.webdataset_order import Cursor, RawSample, ordered_samples
from trainer.data.webdataset_pairs import Pair, pair_of
from trainer.data.webdataset_plan import Plan, Position

_LOG = logging.getLogger(__name__)

MAX_BAD_IN_A_ROW = 10_000
"""So many useless samples behind one another, and a worker gives up instead of reading forever."""


def open_webdataset(
    settings: DataSettings,
    train_data: str,
    split: str,
    rank: int,
    num_ranks: int,
    position: Mapping[str, object] | None,
) -> "WebdatasetData":
    """The training set that `--train-data` names, from a position on (Position.load); `split` is not used.

    Raises:
        BadInputError: the list of shards, their count or the position does not fit the settings.
    """
    shards = expand_shards(train_data, settings.upsampling_factors, settings.resampled)
    plan = Plan(settings, shards, rank, num_ranks, count_samples(shards, settings.num_samples))
    plan.check()
    return WebdatasetData(plan, Position.load(position, plan))


class WebdatasetData:
    """An open set of tar shards; see trainer.data.batch.TrainData.

    Attributes:
        num_samples: in the whole set, by what its folder or the flag says.
        batches_per_epoch: a multiple of accum_freq, the same on every rank.
    """

    def __init__(self, plan: Plan, position: Position) -> None:
        self.num_samples = plan.num_samples
        self.batches_per_epoch = plan.batches_per_epoch
        self._plan = plan
        self._position = position
        self._incoming: Iterator[Batch | Failure] | None = None

    def batches(self) -> Iterator[Batch]:
        """Endless, from the position given at opening; a second call goes on where the first one was left.

        Raises:
            WorkFailedError: a shard cannot be read, or a worker was killed.
            BadInputError: a sample lacks the taxon that the loss needs.
        """
        if self._incoming is None:
            _LOG.info(
                "reading shards; each loader worker first fills a window of %d", self._plan.settings.shuffle_window
            )
            self._incoming = iter(_loader(self._plan, self._position))
            atexit.register(self.close)  # Python waits for workers at its end, and these ignore being told to end
        while self._incoming is not None:
            item = _next_of_workers(self._incoming)
            if isinstance(item, Failure):
                raise item.error
            yield item

    def trained_on(self, batch: Batch) -> None:
        """Note that a batch needs no repeating after a resume; call it for every batch, in order."""
        assert isinstance(batch.cursor, dict)
        self._position = self._position.behind(batch.cursor["batch"], Cursor(**batch.cursor["behind"]))

    def position(self) -> dict[str, object]:
        """Where this rank stands after the last batch trained on; JSON-able, given back at opening."""
        return self._position.save(self._plan)

    def close(self) -> None:
        """End the workers, also those that wait for the network."""
        atexit.unregister(self.close)
        workers = getattr(self._incoming, "_workers", [])
        self._incoming = None  # the loader asks them to end and waits some seconds
        for worker in workers:
            worker.kill()
            worker.join(timeout=5)


def _next_of_workers(incoming: Iterator[Batch | Failure]) -> Batch | Failure:
    try:
        return next(incoming)
    except RuntimeError as error:
        if str(error).startswith("DataLoader worker"):  # killed from outside, often for want of memory
            raise WorkFailedError(" ".join(str(error).split())) from error
        raise


def _loader(plan: Plan, position: Position) -> DataLoader:
    num_workers = plan.settings.num_workers
    return DataLoader(
        _WorkerBatches(plan, position),
        batch_size=None,
        num_workers=num_workers,
        collate_fn=_as_it_is,
        pin_memory=plan.settings.pin_memory,
        worker_init_fn=outlive_signals,
        prefetch_factor=plan.settings.prefetch_batches if num_workers else None,
        multiprocessing_context="fork" if num_workers else None,  # see trainer/data/sampled_data.py
        generator=torch.Generator(),  # or it takes a number from the trainer's own
    )


def _as_it_is(item: object) -> object:
    return item


class _WorkerBatches(IterableDataset):
    """The batches of the worker in which it is iterated; the loader asks its workers in turn, from the first on."""

    def __init__(self, plan: Plan, position: Position) -> None:
        self._plan = plan
        self._position = position

    def __iter__(self) -> Iterator[Batch | Failure]:
        info = get_worker_info()
        number = self._position.next_batch + (info.id if info else 0)
        try:
            yield from worker_batches(self._plan, self._position, number)
        except (WorkFailedError, BadInputError) as error:
            yield Failure(error)  # raised in a worker, it would arrive with a trace in its message


def worker_batches(plan: Plan, position: Position, number: int) -> Iterator[Batch]:
    """Endless: micro-batch `number` of the rank and the others of the same worker.

    Raises:
        WorkFailedError: a shard cannot be read, or MAX_BAD_IN_A_ROW samples in a row are of no use.
        BadInputError: a sample lacks the taxon that the loss needs.
    """
    order = plan.order(number % plan.num_workers)
    cursor = position.cursor_for(number, plan)
    samples = ordered_samples(order, cursor)
    while True:
        if cursor.epoch != plan.epoch_of_order(number):
            cursor = Cursor(plan.epoch_of_order(number))
            samples = ordered_samples(order, cursor)
        batch, cursor = _next_batch(samples, plan.settings, number)
        yield batch
        number += plan.num_workers


def _next_batch(
    samples: Iterator[tuple[RawSample, Cursor]], settings: DataSettings, number: int
) -> tuple[Batch, Cursor]:
    step_kind = kind_of_step(settings.caption, settings.seed, number // settings.accum_freq)
    pairs: list[Pair] = []
    bad: Counter[str] = Counter()
    num_in_a_row = 0
    for sample, cursor in samples:
        try:
            pairs.append(pair_of(sample, settings, step_kind))
            num_in_a_row = 0
        except BadSample as error:
            bad[f"bad/{error.reason}"] += 1
            num_in_a_row += 1
        if num_in_a_row >= MAX_BAD_IN_A_ROW:
            raise WorkFailedError(
                f"{num_in_a_row} samples in a row cannot be used, the last in {sample.url}: {dict(bad)}"
            )
        if len(pairs) == settings.batch_size:
            return _batch(pairs, settings, bad, {"batch": number, "behind": asdict(cursor)}), cursor
    raise AssertionError("samples never end")


def _batch(pairs: list[Pair], settings: DataSettings, bad: Mapping[str, int], cursor: dict[str, object]) -> Batch:
    return Batch(
        image_BHWC=torch.from_numpy(np.stack([pair.image_HWC for pair in pairs])),
        token_BL=trimmed_tokens(settings.tokens_of_texts([pair.text for pair in pairs])),
        taxon_B=torch.tensor([pair.taxon for pair in pairs], dtype=torch.int64),
        item_B=torch.tensor([pair.item for pair in pairs], dtype=torch.int64),
        counts=dict(Counter(f"caption/{pair.kind}" for pair in pairs)) | dict(bad),
        cursor=cursor,
    )
