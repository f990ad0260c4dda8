"""The parts of a run: parquet files of some pictures each, renamed into place when they are complete.

A part's metadata say what it is of and which of its pictures failed, so that a file is all there is to know of a part.

Shapes: N readable pictures of a part, D embedding.
"""

import io
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inference.embed.out_folder import About
from inference.stream import EmbeddedBatch
from taxonomy.whole_file import write_whole

_META = b"taxaflow"
"""Key of a file's metadata: JSON with what about.json says of model and pixels, and `part`, `num_pictures` and
`failures` ([key, reason] each) of this file."""

_OF_THE_MODEL = ("model", "model_hash", "variant", "preprocess", "dtype", "schema_version")

_LOG = logging.getLogger(__name__)


def in_parts(batches: Iterable[EmbeddedBatch], part_size: int) -> Iterator[EmbeddedBatch]:
    """The same pictures, `part_size` at a time; the last may be fewer."""
    waiting: list[EmbeddedBatch] = []
    num_missing = part_size
    for batch in batches:
        rest = batch
        while len(rest.keys) >= num_missing:
            head, rest = _split(rest, num_missing)
            yield _joined([*waiting, head])
            waiting, num_missing = [], part_size
        if rest.keys:
            waiting.append(rest)
            num_missing -= len(rest.keys)
    if waiting:
        yield _joined(waiting)


def _split(batch: EmbeddedBatch, num: int) -> tuple[EmbeddedBatch, EmbeddedBatch]:
    rows = int(np.searchsorted(batch.index_N, num))
    head = EmbeddedBatch(
        batch.keys[:num], batch.image_ND[:rows], batch.index_N[:rows], [one for one in batch.failures if one[0] < num]
    )
    tail = EmbeddedBatch(
        batch.keys[num:],
        batch.image_ND[rows:],
        [number - num for number in batch.index_N[rows:]],
        [(number - num, reason) for number, reason in batch.failures if number >= num],
    )
    return head, tail


def _joined(batches: Sequence[EmbeddedBatch]) -> EmbeddedBatch:
    starts = np.cumsum([0, *(len(batch.keys) for batch in batches)]).tolist()
    rows = [batch.image_ND for batch in batches if batch.index_N]
    pairs = list(zip(starts, batches, strict=False))
    return EmbeddedBatch(
        [key for batch in batches for key in batch.keys],
        np.concatenate(rows) if rows else np.zeros((0, 0), np.float32),
        [start + number for start, batch in pairs for number in batch.index_N],
        [(start + number, reason) for start, batch in pairs for number, reason in batch.failures],
    )


@dataclass(frozen=True)
class Parts:
    """The part files of a folder."""

    folder: Path
    about: About

    def write(self, number: int, part: EmbeddedBatch) -> None:
        """Put a part into place, complete and on disk.

        Raises:
            WorkFailedError: it could not be written, as on a full disk.
        """
        embedding_ND = part.image_ND.astype(self.about.dtype).reshape(-1, self.about.embed_dim)
        known = {name: value for name, value in asdict(self.about).items() if name in _OF_THE_MODEL}
        failures = [[part.keys[at], reason] for at, reason in part.failures]
        own = {"part": number, "num_pictures": len(part.keys), "failures": failures}
        columns = [_texts([part.keys[at] for at in part.index_N]), _rows(embedding_ND)]
        table = pa.Table.from_arrays(columns, ["key", "embedding"], metadata={_META: json.dumps(known | own).encode()})
        file = io.BytesIO()
        pq.write_table(table, file, compression="none", use_dictionary=False, write_page_checksum=True)
        write_whole(self._path(number), file.getvalue())

    def done(self) -> dict[int, int]:
        """Number of each part that is there and whole -> its embeddings; damaged files are passed over, saying so."""
        found: dict[int, int] = {}
        for path in sorted(self.folder.glob("part-*.parquet")):
            try:
                number, num_rows = self._checked(path)
                found[number] = num_rows
            except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
                _LOG.warning("%s is damaged (%s): its pictures are embedded again", path, str(error).split("\n")[0])
        return found

    def num_pictures(self, number: int) -> int:
        """Pictures of a part: fewer in the last one."""
        size, total = self.about.part_size, self.about.num_pictures
        return size if total is None else min(size, total - number * size)

    def failures(self, numbers: Iterable[int]) -> Iterator[tuple[str, str]]:
        """(key, reason) of the pictures of these parts that could not be used."""
        for number in numbers:
            yield from _metadata(self._path(number))[0]["failures"]

    def rows(self, numbers: Iterable[int]) -> Iterator[tuple[list[str], np.ndarray]]:
        """Keys and embeddings of each of these parts.

        Raises:
            ValueError: a part is damaged; it is removed.
        """
        for number in numbers:
            path = self._path(number)
            try:
                table = pq.read_table(path, page_checksum_verification=True)
            except (OSError, pa.ArrowException) as error:
                path.unlink(missing_ok=True)
                raise ValueError(f"{path} was damaged ({str(error).splitlines()[0]}) and is removed") from error
            values = np.asarray(table["embedding"].combine_chunks().flatten())
            yield table["key"].to_pylist(), values.reshape(-1, self.about.embed_dim)

    def remove(self) -> None:
        """Remove all parts, and their folder where nothing else is in it."""
        for path in self.folder.glob("part-*.parquet"):
            path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:05d}.parquet"

    def _checked(self, path: Path) -> tuple[int, int]:
        meta, num_rows = _metadata(path)
        number, num_pictures = meta["part"], meta["num_pictures"]
        expected = self.num_pictures(number)
        if path != self._path(number) or num_pictures != expected or num_rows + len(meta["failures"]) != num_pictures:
            raise ValueError(f"{num_pictures} pictures of part {number}, {expected} expected")
        return number, num_rows


def _metadata(path: Path) -> tuple[dict, int]:
    """What a part says of itself, and its number of rows."""
    found = pq.read_metadata(path)
    return json.loads((found.metadata or {})[_META]), found.num_rows


# pa.array() would import pandas, which takes 40 MB beside the workers


def _texts(texts: Sequence[str]) -> pa.Array:
    encoded = [text.encode() for text in texts]
    offset_N = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(offset_N), pa.py_buffer(b"".join(encoded)))


def _rows(row_ND: np.ndarray) -> pa.Array:
    type_ = pa.from_numpy_dtype(row_ND.dtype)
    values = pa.Array.from_buffers(type_, row_ND.size, [None, pa.py_buffer(np.ascontiguousarray(row_ND))])
    return pa.FixedSizeListArray.from_arrays(values, row_ND.shape[1])
