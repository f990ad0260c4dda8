"""What the data paths and the loop share: the settings, a batch, and what a data path can do.

Shapes: B pairs, L text length, S picture edge in px.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch

from trainer.data.bad_samples import BAD_REASONS, BadSample
from trainer.data.caption_choice import CaptionPolicy

__all__ = ["BAD_REASONS", "BadSample", "Batch", "DataSettings", "TrainData", "trimmed_tokens"]


@dataclass(frozen=True)
class DataSettings:
    """How pairs become batches. Picklable: loader workers receive it.

    Attributes:
        batch_size: pairs of one rank in one micro-batch.
        accum_freq: micro-batches of one optimizer step.
        num_workers: loader processes of one rank; 0 reads in the trainer's own process.
        seed: of order, crops and caption kinds; the same on every rank.
        image_size: edge of the square pictures, px.
        tokens_of_texts: the tokenizer: texts -> int array [n, context_length], padded with 0, picklable.
        caption: which kind of caption a pair gets.
        resize: `exact` gives open_clip's pixels, `fast` nearly those for less work.
        crop_scale: lowest and highest share of the picture's area in a crop.
        crop_ratio: lowest and highest width / height of a crop.
        interpolation: of `exact`: bicubic or bilinear.
        context_length: the longest text, in tokens.
        shuffle_window: raw samples permuted together by the webdataset path.
        resampled: the webdataset path draws shards with replacement.
        num_samples: pairs of the synthetic path, and of webdataset shards without sizes; None where unknown.
        csv_image_column, csv_caption_column, csv_separator: of the csv path.
        prefetch_batches: batches that a worker prepares ahead.
        needs_taxon: refuse pairs of unknown taxon, which `multi_positive` cannot use.
        upsampling_factors: `--train-data-upsampling-factors` as given ("1::2"), of the webdataset path.
        pin_memory: copy batches into page-locked memory, from where they reach a GPU without waiting.
    """

    batch_size: int
    accum_freq: int
    num_workers: int
    seed: int
    image_size: int
    tokens_of_texts: Callable[[list[str]], "np.ndarray | torch.Tensor"]
    caption: CaptionPolicy = field(default_factory=CaptionPolicy.every_kind)
    resize: str = "exact"
    crop_scale: tuple[float, float] = (0.9, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: str = "bicubic"
    context_length: int = 77
    shuffle_window: int = 5000
    resampled: bool = False
    num_samples: int | None = None
    csv_image_column: str = "filepath"
    csv_caption_column: str = "title"
    csv_separator: str = "\t"
    prefetch_batches: int = 2
    needs_taxon: bool = False
    upsampling_factors: str | None = None
    pin_memory: bool = False


@dataclass
class Batch:
    """One micro-batch of one rank.

    Attributes:
        image_BHWC: uint8 RGB.
        token_BL: int32, as long as the longest text of the batch with its end token; shorter texts end in 0.
        taxon_B: int64; equal for pairs of one taxon.
        item_B: int64, the source's number of each pair, on the CPU.
        counts: pairs per `caption/<kind>`, and bad samples that were replaced per `bad/<reason>`.
        cursor: what its source must know to go on behind this batch; JSON-able.
    """

    image_BHWC: torch.Tensor
    token_BL: torch.Tensor
    taxon_B: torch.Tensor
    item_B: torch.Tensor
    counts: dict[str, int]
    cursor: object

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """The batch with pictures, tokens and taxa on a device."""
        return replace(
            self,
            image_BHWC=self.image_BHWC.to(device, non_blocking=non_blocking),
            token_BL=self.token_BL.to(device, non_blocking=non_blocking),
            taxon_B=self.taxon_B.to(device, non_blocking=non_blocking),
        )

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory, from where copies to a GPU do not wait."""
        return replace(
            self,
            image_BHWC=self.image_BHWC.pin_memory(),
            token_BL=self.token_BL.pin_memory(),
            taxon_B=self.taxon_B.pin_memory(),
        )


class TrainData(Protocol):
    """An open training set, seen from one rank.

    Attributes:
        num_samples: pairs in the whole set.
        batches_per_epoch: micro-batches of this rank in an epoch, the same on every rank.
    """

    num_samples: int
    batches_per_epoch: int

    def batches(self) -> Iterator[Batch]:
        """Endless, from the position given at opening; the workers live on from epoch to epoch."""
        ...

    def trained_on(self, batch: Batch) -> None:
        """Note that a batch needs no repeating after a resume; call it for every batch, in order."""
        ...

    def position(self) -> dict[str, object]:
        """Where this rank stands after the last batch trained on; JSON-able, given back at opening."""
        ...

    def close(self) -> None:
        """End the workers."""
        ...


def trimmed_tokens(token_BL: "np.ndarray | torch.Tensor") -> torch.Tensor:
    """int32 tokens cut behind the longest text; at least one column stays."""
    token_BL = torch.as_tensor(token_BL, dtype=torch.int32)
    used_L = (token_BL != 0).any(dim=0).nonzero()
    length = int(used_L[-1]) + 1 if len(used_L) else 1
    return token_BL[:, :length].contiguous()
