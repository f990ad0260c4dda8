"""A plan of a batch -> the batch, in whatever process: the work of a loader worker.

Crops and caption kinds are functions of (seed, epoch, place in the epoch's order); nothing is kept but caches.

Shapes: B pairs, L text length, S picture edge in px; H, W, C height, width, colour.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import Dataset

from taxonomy.errors import BadInputError, WorkFailedError
from trainer.data.bad_samples import BadSample
from trainer.data.batch import Batch, DataSettings
from trainer.data.caption_choice import choose, kind_of_step
from trainer.data.draws import generator, hash64
from trainer.data.order import BatchPlan
from trainer.data.pictures import train_picture

MOST_TRIES = 100
"""Unusable items in a row after which the data, not an item, is taken to be bad."""

_TEXTS_HELD = 200_000


@dataclass(frozen=True)
class Label:
    """What belongs to an item's picture: caption kind -> text, and the taxon."""

    texts: Mapping[str, str]
    taxon: int


class ItemSource(Protocol):
    """Items by number, the same bytes at every call. Picklable. Both methods may raise BadSample or WorkFailedError."""

    def picture(self, item: int) -> bytes | np.ndarray:
        """A compressed picture; or one that needs no crop, uint8 [S, S, 3]."""
        ...

    def label(self, item: int) -> Label:
        """Captions and taxon."""
        ...


@dataclass(frozen=True)
class Failure:
    """What a worker sends instead of a batch."""

    error: Exception


class BatchMaker(Dataset[Batch]):
    """Turns plans of batches into batches, in whatever process."""

    def __init__(self, source: ItemSource, num_items: int, settings: DataSettings) -> None:
        self._source = source
        self._num_items = num_items
        self._settings = settings
        self._tokens: dict[str, np.ndarray] = {}

    def __getitem__(self, plan: BatchPlan) -> Batch | Failure:
        try:
            return self._batch(plan)
        except (BadInputError, WorkFailedError) as error:
            return Failure(error)  # raised in a worker, it would arrive with a trace in its message

    def _batch(self, plan: BatchPlan) -> Batch:
        counts: Counter[str] = Counter()
        pictures, texts, taxa, items = [], [], [], []
        for place, item in zip(plan.place_B.tolist(), plan.item_B.tolist(), strict=True):
            picture, text, taxon, used = self._usable_pair(plan, place, item, counts)
            pictures.append(picture)
            texts.append(text)
            taxa.append(taxon)
            items.append(used)
        return Batch(
            image_BHWC=torch.from_numpy(np.stack(pictures)),
            token_BL=torch.from_numpy(self._token_rows(texts)),
            taxon_B=torch.tensor(taxa, dtype=torch.int64),
            item_B=torch.tensor(items, dtype=torch.int64),
            counts=dict(counts),
            cursor={"step": plan.step, "micro": plan.micro},
        )

    def _usable_pair(
        self, plan: BatchPlan, place: int, item: int, counts: Counter[str]
    ) -> tuple[np.ndarray, str, int, int]:
        """Picture, text, taxon and number of an item, or of the first usable one of those drawn in its stead."""
        for attempt in range(MOST_TRIES):
            if attempt:
                item = hash64(self._settings.seed, plan.epoch, place, attempt) % self._num_items
            try:
                picture, kind, text, taxon = self._pair(plan, place, item)
            except BadSample as bad:
                counts[f"bad/{bad.reason}"] += 1
                continue
            counts[f"caption/{kind}"] += 1
            return picture, text, taxon, item
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()) if reason.startswith("bad"))
        raise WorkFailedError(f"{MOST_TRIES} items in a row cannot be used (so far in this batch: {reasons})")

    def _pair(self, plan: BatchPlan, place: int, item: int) -> tuple[np.ndarray, str, str, int]:
        draws = generator(self._settings.seed, plan.epoch, place, "pair")
        label = self._source.label(item)
        step_kind = kind_of_step(self._settings.caption, self._settings.seed, plan.step)
        kind, text = choose(self._settings.caption, label.texts, draws, step_kind)
        picture = self._source.picture(item)
        if isinstance(picture, bytes):
            picture = train_picture(picture, self._settings, draws)
        return picture, kind, text, label.taxon

    def _token_rows(self, texts: list[str]) -> np.ndarray:
        """int32 [B, L], L the longest text's length."""
        new = sorted({text for text in texts if text not in self._tokens})
        if new:
            if len(self._tokens) > _TEXTS_HELD:
                self._tokens.clear()
                new = sorted(set(texts))
            for text, row in zip(new, np.asarray(self._settings.tokens_of_texts(new), dtype=np.int32), strict=True):
                self._tokens[text] = np.trim_zeros(row, "b")
        rows = [self._tokens[text] for text in texts]
        token_BL = np.zeros((len(rows), max(1, *(len(row) for row in rows))), dtype=np.int32)
        for index, row in enumerate(rows):
            token_BL[index, : len(row)] = row
        return token_BL
