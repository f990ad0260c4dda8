"""Pictures with a class each, decoded in workers and shared among ranks; unreadable ones are counted, not replaced.

Shapes: N pictures of a batch, S x S pixels, C channels.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from evaluation.encoding.pictures import eval_picture
from evaluation.errors import UnreadableImageError
from evaluation.loading.facts import ModelFacts
from taxonomy.errors import BadInputError

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class LabelledImages:
    """A benchmark's pictures.

    Attributes:
        class_names: the fixed class list; a class may have no picture.
        class_of: per picture, the index of its class.
        read: number of a picture -> its encoded bytes, or its file. Called in worker processes.
    """

    class_names: Sequence[str]
    class_of: Sequence[int]
    read: Callable[[int], bytes | Path]

    def __len__(self) -> int:
        return len(self.class_of)


@dataclass(frozen=True)
class ImageBatch:
    """Decoded pictures of one batch.

    Attributes:
        image_NSSC: uint8 RGB, the readable ones alone.
        class_N: int64, their classes.
        num_unreadable: those left out.
    """

    image_NSSC: torch.Tensor
    class_N: torch.Tensor
    num_unreadable: int


def folder_of_classes(folder: Path) -> LabelledImages:
    """One sub-folder per class, as ImageNet and iNat21 come; classes and pictures in the order of their names.

    A class is called like its folder, with spaces for underscores and without a leading number: iNat21's
    `03111_Animalia_Chordata_Aves_..._Turdus_merula` becomes the joined lineage that BioCLIP's validation uses.

    Raises:
        BadInputError: no sub-folders, or no pictures in them.
    """
    folders = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    files = [
        (path, number)
        for number, of_class in enumerate(folders)
        for path in sorted(of_class.iterdir())
        if path.suffix.lower() in _SUFFIXES
    ]
    if not files:
        raise BadInputError(f"{folder}: no pictures ({', '.join(_SUFFIXES)}) in sub-folders, one per class")
    names = [re.sub(r"^\d+_", "", one.name).replace("_", " ") for one in folders]
    return LabelledImages(names, [number for _, number in files], _ListedFiles([path for path, _ in files]))


@dataclass(frozen=True)
class _ListedFiles:
    """Picture number -> file; a class rather than a function so that it can be sent to worker processes."""

    paths: Sequence[Path]

    def __call__(self, number: int) -> Path:
        return self.paths[number]


def image_batches(
    images: LabelledImages,
    facts: ModelFacts,
    batch_size: int,
    rank: int = 0,
    num_ranks: int = 1,
    num_workers: int = 0,
    worker_init: Callable[[int], None] | None = None,
) -> Iterator[ImageBatch]:
    """The pictures rank::num_ranks in order, decoded for the model; no random numbers of the caller are drawn.

    Args:
        images: all of them.
        facts: size, interpolation and resize mode.
        batch_size: pictures of a batch, readable or not.
        rank: of `num_ranks`.
        num_ranks: that share the pictures.
        num_workers: processes that decode; 0 decodes in this one.
        worker_init: called in each of these with its number.
    """
    loader = DataLoader(
        _Decoded(images, facts, range(rank, len(images), num_ranks)),
        batch_size=batch_size,
        num_workers=num_workers,
        worker_init_fn=worker_init if num_workers else None,
        collate_fn=_collate,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # else the loader takes its seed from torch's own generator
    )
    for image_NSSC, class_N, num_unreadable in loader:
        yield ImageBatch(image_NSSC, class_N, num_unreadable)


class _Decoded(Dataset):
    """Part of the pictures as (pixels or None, class)."""

    def __init__(self, images: LabelledImages, facts: ModelFacts, numbers: Sequence[int]):
        self.images, self.facts, self.numbers = images, facts, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> tuple[np.ndarray | None, int]:
        number = self.numbers[index]
        facts = self.facts
        try:
            source = self.images.read(number)
            pixels = eval_picture(source, facts.image_size, facts.interpolation, facts.resize_mode)
        except UnreadableImageError:
            pixels = None
        return pixels, self.images.class_of[number]


def _collate(samples: list[tuple[np.ndarray | None, int]]) -> tuple[torch.Tensor, torch.Tensor, int]:
    readable = [(pixels, number) for pixels, number in samples if pixels is not None]
    pixels_NSSC = np.stack([pixels for pixels, _ in readable]) if readable else np.zeros((0, 1, 1, 3), np.uint8)
    class_N = torch.tensor([number for _, number in readable], dtype=torch.int64)
    return torch.from_numpy(pixels_NSSC), class_N, len(samples) - len(readable)
