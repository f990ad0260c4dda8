"""Pictures in, unit embeddings out, batch by batch: memory stays the same for any number of pictures.

Shapes: N readable pictures of a batch, D embedding.
"""

import gc
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np

from evaluation.encoding.encoder import OpenClipEncoder
from evaluation.encoding.forward_passes import encode_in_passes
from evaluation.encoding.picture_batches import PictureBatch, Source, streamed_batches
from evaluation.encoding.picture_progress import picture_bar
from inference.inputs.picture import Picture

_WORKERS = 2
"""Processes that decode, unless the model needs all cores itself."""

NOT_FINITE = "the model's embedding of it is not finite"


@dataclass(frozen=True)
class EmbeddedBatch:
    """What became of some pictures that follow each other.

    Attributes:
        keys: of all of them, in the order of the inputs.
        image_ND: float32 unit rows of the readable ones.
        index_N: their numbers in `keys`, ascending.
        failures: (number in `keys`, reason) of the others, ascending.
    """

    keys: list[str]
    image_ND: np.ndarray
    index_N: list[int]
    failures: list[tuple[int, str]]


def embedded(
    pictures: Iterable[Picture],
    encoder: OpenClipEncoder,
    batch_size: int = 64,
    num_workers: int | None = None,
    title: str | None = None,
    total: int | None = None,
) -> Generator[EmbeddedBatch, None, None]:
    """The pictures' embeddings in their order, of the encoder's pixels: those of evaluation, unless it says otherwise.

    While the model works on a batch, the next ones are decoded; on the CPU only by worker processes, since threads that
    compute one thing together wait for the one that has lost its core.

    Args:
        pictures: taken a few batches ahead.
        encoder: its model in evaluation mode.
        batch_size: pictures of a batch, readable or not; the same batches give the same bytes.
        num_workers: processes that decode; 0: threads of this one; None: 0 on the CPU, else 2.
        title: of the bar that a terminal shows; None shows none.
        total: number of pictures, for the bar.

    Raises:
        TaxaflowError: a shard is lost, or a file could not be read just now.
    """
    is_on_cpu = encoder.device.type == "cpu"
    if num_workers is None:
        num_workers = 0 if is_on_cpu else _WORKERS
    found = iter(pictures)
    first = list(islice(found, 1))  # photos of URLs are fetched now, with a bar of their own
    taken = _Taken(chain(first, found), batch_size)
    batches = streamed_batches(taken, encoder.preprocess, num_workers)
    with picture_bar(title, total) as advance, _shared_with(num_workers):
        for batch in batches if num_workers or is_on_cpu else _one_ahead(batches):
            done = _embed(taken.waiting.popleft(), batch, encoder)
            yield done
            advance(len(done.keys))


@contextmanager
def _shared_with(num_workers: int) -> Iterator[None]:
    """Memory that workers share with this process stays so: the garbage collector would write to all of it."""
    if not num_workers:
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Taken:
    """The pictures in batches of numbered sources; what stands for each picture waits until its batch comes back."""

    def __init__(self, pictures: Iterator[Picture], batch_size: int):
        self.waiting: deque[list[Picture]] = deque()
        self._pictures, self._batch_size = pictures, batch_size

    def __iter__(self) -> Iterator[list[tuple[int, Source]]]:
        while batch := list(islice(self._pictures, self._batch_size)):
            self.waiting.append(batch)
            yield [(number, one.source) for number, one in enumerate(batch) if one.source is not None]


def _one_ahead(batches: Generator[PictureBatch, None, None]) -> Iterator[PictureBatch]:
    """The batches, each begun in a thread while the one before is in use."""
    with closing(batches), ThreadPoolExecutor(1, thread_name_prefix="decode") as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch


def _embed(pictures: list[Picture], batch: PictureBatch, encoder: OpenClipEncoder) -> EmbeddedBatch:
    failures = [(number, one.reason or "no picture") for number, one in enumerate(pictures) if one.source is None]
    failures += batch.unreadable
    image_ND, index_N = np.zeros((0, 0), np.float32), batch.index_N
    if index_N:
        image_ND = encode_in_passes(encoder, batch.image_NSSC).numpy()
        finite_N = np.flatnonzero(np.isfinite(image_ND).all(axis=1)).tolist()
        if len(finite_N) < len(index_N):
            lost = set(range(len(index_N))).difference(finite_N)
            failures += [(index_N[number], NOT_FINITE) for number in lost]
            image_ND, index_N = image_ND[finite_N], [index_N[number] for number in finite_N]
    return EmbeddedBatch([one.key for one in pictures], image_ND, index_N, sorted(failures))
