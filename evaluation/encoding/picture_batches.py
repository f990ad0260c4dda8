"""A benchmark's rows -> decoded pictures in batches, by threads or processes, with a reason for each unreadable one.

Shapes: N pictures of a batch, S x S pixels.
"""

import errno
import os
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import UnidentifiedImageError
from torch.utils.data import DataLoader, Dataset

from evaluation.encoding.fast_pictures import fast_picture
from evaluation.encoding.pictures import eval_picture
from evaluation.encoding.preprocess import Preprocess
from evaluation.errors import UnreadableImageError
from taxonomy.errors import TaxaflowError, WorkFailedError

Source = Path | Callable[[], bytes]
"""A picture's file, or what reads its bytes; picklable where workers read it."""

_LASTING = frozenset({errno.ENOENT, errno.EACCES, errno.EISDIR, errno.ENOTDIR})
"""Errors on opening that say something of the file; others may pass, and a picture must not be left out for them."""


_MOST_THREADS = 8
"""Of a process: more would wait for Python's lock, and each holds a whole picture."""


@dataclass(frozen=True)
class PictureBatch:
    """Decoded pictures of one batch.

    Attributes:
        image_NSSC: uint8 RGB, the readable ones alone.
        index_N: their numbers among the sources.
        unreadable: (number, reason) of the others.
    """

    image_NSSC: torch.Tensor
    index_N: list[int]
    unreadable: list[tuple[int, str]]


def picture_batches(
    sources: Sequence[Source],
    numbers: Sequence[int],
    preprocess: Preprocess,
    batch_size: int,
    num_workers: int = 0,
    worker_init: Callable[[int], None] | None = None,
) -> Iterator[PictureBatch]:
    """The pictures of these numbers in their order; no random numbers of the caller are drawn.

    Args:
        sources: of all pictures.
        numbers: those of this rank.
        preprocess: which pixels.
        batch_size: pictures of a batch, readable or not.
        num_workers: processes that decode; 0: threads of this one, when a batch is asked for.
        worker_init: called in each of these with its number.

    Raises:
        TaxaflowError: a reader failed altogether, as one whose shard is lost, or a file could not be read just now.
    """
    if not num_workers:
        parts = (numbers[start : start + batch_size] for start in range(0, len(numbers), batch_size))
        yield from _in_threads(([(number, sources[number]) for number in part] for part in parts), preprocess)
        return
    loader = DataLoader(
        _Decoded(sources, numbers, preprocess),
        batch_size=batch_size,
        num_workers=num_workers,
        worker_init_fn=worker_init,
        collate_fn=_collate,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # else the loader takes its seed from torch's own generator
    )
    yield from _checked(loader)


def streamed_batches(
    batches: Iterable[Sequence[tuple[int, Source]]], preprocess: Preprocess, num_workers: int = 0
) -> Generator[PictureBatch, None, None]:
    """As picture_batches, of batches that are taken one by one, a few ahead of the pictures that come.

    Args:
        batches: of numbered sources; one may be empty.
        preprocess: which pixels.
        num_workers: as in picture_batches.

    Raises:
        TaxaflowError: as picture_batches.
    """
    if not num_workers:
        yield from _in_threads(batches, preprocess)
        return
    loader = DataLoader(
        _DecodedSources(preprocess),
        batch_sampler=batches,  # pyright: ignore[reportArgumentType]  # whatever it yields is passed to the dataset
        num_workers=num_workers,
        collate_fn=_collate,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),
    )
    yield from _checked(loader)


def _in_threads(batches: Iterable[Sequence[tuple[int, Source]]], how: Preprocess) -> Iterator[PictureBatch]:
    """The batches, each decoded by as many threads as torch would take, which idle meanwhile: no cores to fight for."""
    with ThreadPoolExecutor(min(torch.get_num_threads(), _MOST_THREADS), thread_name_prefix="decode") as pool:
        samples = (pool.map(lambda numbered: _decoded(numbered[0], numbered[1], how), some) for some in batches)
        for batch in _checked(_collate(list(one)) for one in samples):
            yield replace(batch, image_NSSC=batch.image_NSSC.pin_memory()) if torch.cuda.is_available() else batch


def _checked(made: Iterable["_Made"]) -> Iterator[PictureBatch]:
    for image_NSSC, index_N, unreadable, error in made:
        if error is not None:
            raise error
        yield PictureBatch(image_NSSC, index_N, unreadable)


_Sample = tuple[int, np.ndarray | str | TaxaflowError]
"""Number and pixels, or why there are none, or what stops the run."""

_Made = tuple[torch.Tensor, list[int], list[tuple[int, str]], TaxaflowError | None]
"""A batch, or what stops the run."""


class _Decoded(Dataset):
    """The pictures of some numbers."""

    def __init__(self, sources: Sequence[Source], numbers: Sequence[int], preprocess: Preprocess):
        self.sources, self.numbers, self.preprocess = sources, numbers, preprocess

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> _Sample:
        number = self.numbers[index]
        return _decoded(number, self.sources[number], self.preprocess)


class _DecodedSources(Dataset):
    """Whatever it is asked for, by number and source instead of an index."""

    def __init__(self, preprocess: Preprocess):
        self.preprocess = preprocess

    def __getitem__(self, numbered: tuple[int, Source]) -> _Sample:
        return _decoded(*numbered, self.preprocess)


def _decoded(number: int, source: Source, how: Preprocess) -> _Sample:
    try:
        encoded = _read(source)
        if not encoded:
            return number, "empty file"
        picture = fast_picture if how.fast_pixels else eval_picture
        return number, picture(encoded, how.image_size, how.interpolation, how.resize_mode)
    except (UnreadableImageError, OSError) as error:
        return number, reason_of(error)
    except TaxaflowError as error:
        # handed over as it is: the loader would wrap a raised one in the worker's trace
        return number, error


def _read(source: Source) -> bytes:
    """The encoded picture.

    Raises:
        OSError: the file cannot be read, today or tomorrow.
        WorkFailedError: it could not be read now, as where too many files are open: the picture may be fine.
    """
    try:
        return source.read_bytes() if isinstance(source, Path) else source()
    except OSError as error:
        if error.errno is None or error.errno in _LASTING:
            raise
        raise WorkFailedError(
            f"{_name(source)}: {os.strerror(error.errno)}; run again, or remove the picture"
        ) from error


def _name(source: Source) -> str:
    return str(source if isinstance(source, Path) else getattr(source, "path", "a picture"))


def reason_of(error: BaseException) -> str:
    """Why a picture cannot be read, the same on every machine: no path and no address in it."""
    cause = error.__cause__ or error
    if isinstance(cause, UnidentifiedImageError):
        return "not a picture of a known format"
    if isinstance(cause, OSError) and cause.errno is not None:
        return os.strerror(cause.errno)
    text = re.sub(r"<[\w.]+ object at 0x[0-9a-fA-F]+>", "the file", str(cause)).strip()
    return text.splitlines()[0] if text else type(cause).__name__


def _collate(samples: list[_Sample]) -> _Made:
    readable = [(number, made) for number, made in samples if isinstance(made, np.ndarray)]
    pixels_NSSC = np.stack([pixels for _, pixels in readable]) if readable else np.zeros((0, 1, 1, 3), np.uint8)
    unreadable = [(number, made) for number, made in samples if isinstance(made, str)]
    error = next((made for _, made in samples if isinstance(made, TaxaflowError)), None)
    return torch.from_numpy(pixels_NSSC), [number for number, _ in readable], unreadable, error
