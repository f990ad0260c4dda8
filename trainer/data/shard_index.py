"""A dataset's manifest and tars: random access to the bytes of every sample."""

import os
from collections import OrderedDict
from pathlib import Path

import numpy as np

from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.manifest import Manifest, read_manifest
from taxonomy.shards import ManifestShard
from trainer.data.bad_samples import BadSample
from trainer.data.tar_index import DamagedTar, kept_offsets

SHARDS_OPEN = 128
"""Shards whose files and offsets a process holds: those of two groups of trainer/data/order.py."""


def checked_shards(path: Path, split: str) -> list[ManifestShard]:
    """The shards of a split, checked to be there at the size that the manifest gives.

    Raises:
        BadInputError: the manifest cannot be used, has no such split, or its files are missing or of another size.
    """
    manifest = read_manifest(path, "--train-data")
    shards = manifest.shards(split)
    if len({shard.file for shard in shards}) < len(shards):
        raise BadInputError(
            f"--train-data {path}: split {split!r} lists a shard twice; use the manifest as the download wrote it"
        )
    _check_files(manifest, shards)
    return shards


def _check_files(manifest: Manifest, shards: list[ManifestShard]) -> None:
    wrong: list[str] = []
    for shard in shards:
        try:
            num_bytes = (manifest.folder / shard.file).stat().st_size
            if num_bytes != shard.num_bytes:
                wrong.append(f"{shard.file} has {num_bytes:,} bytes, not {shard.num_bytes:,}")
        except OSError as error:
            wrong.append(f"{shard.file}: {error.strerror}")
    if wrong:
        raise BadInputError(
            f"--train-data {manifest.path}: {len(wrong)} of {len(shards)} shards cannot be used: {wrong[0]}"
        )


class ShardIndex:
    """Random access to the samples of a list of shards. Picklable, and safe to use on after a fork.

    Args:
        folder: what the shards' names are relative to.
        shards: of `checked_shards`.
        offsets_folder: where found offsets are kept (trainer/data/tar_index.py).
    """

    def __init__(self, folder: Path, shards: list[ManifestShard], offsets_folder: Path | None = None) -> None:
        self._folder = folder
        self._shards = shards
        self._offsets_folder = offsets_folder
        self._starts = np.cumsum([0] + [shard.num_samples for shard in shards])
        self._offsets: OrderedDict[int, np.ndarray] = OrderedDict()
        self._files: OrderedDict[int, int] = OrderedDict()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_offsets": OrderedDict(), "_files": OrderedDict()}

    def __len__(self) -> int:
        return int(self._starts[-1])

    def check(self, shard: int) -> str | None:
        """What is wrong with a shard, by its place in the list; None where it holds what the manifest says."""
        try:
            self._offsets_of(shard)
        except DamagedTar as error:
            return str(error)
        except OSError as error:
            return f"{self._path(shard)}: {error.strerror}"
        return None

    def picture(self, item: int) -> bytes:
        """The picture of the sample with this number, counted through all shards.

        Raises:
            BadSample: missing_image.
            WorkFailedError: the shard is damaged, or cannot be read any more.
        """
        return self._member(item, 0, "missing_image")

    def record(self, item: int) -> bytes:
        """The JSON member of the sample with this number.

        Raises:
            BadSample: missing_json.
            WorkFailedError: as for `picture`.
        """
        return self._member(item, 2, "missing_json")

    def _member(self, item: int, column: int, reason: str) -> bytes:
        shard = int(np.searchsorted(self._starts, item, side="right")) - 1
        try:
            offset, num_bytes = self._offsets_of(shard)[item - self._starts[shard], column : column + 2].tolist()
            if not num_bytes:
                raise BadSample(reason)
            return self._pread(shard, offset, num_bytes)
        except DamagedTar as error:
            raise WorkFailedError(f"{error}: the manifest does not fit its shards") from error
        except OSError as error:
            raise WorkFailedError(f"{self._path(shard)}: {error.strerror}; training can be resumed") from error

    def _path(self, shard: int) -> Path:
        return self._folder / self._shards[shard].file

    def _offsets_of(self, shard: int) -> np.ndarray:
        if shard not in self._offsets:
            while len(self._offsets) >= SHARDS_OPEN:
                self._offsets.popitem(last=False)
            facts = self._shards[shard]
            offsets = kept_offsets(self._path(shard), facts.sha256, self._offsets_folder)
            if len(offsets) != facts.num_samples:
                found = f"{self._path(shard)} holds {len(offsets):,} samples"
                raise DamagedTar(f"{found}, its manifest says {facts.num_samples:,}")
            self._offsets[shard] = offsets
        self._offsets.move_to_end(shard)
        return self._offsets[shard]

    def _pread(self, shard: int, offset: int, num_bytes: int) -> bytes:
        data = os.pread(self._file(shard), num_bytes, offset)
        if len(data) < num_bytes:
            raise DamagedTar(f"{self._path(shard)} ends before byte {offset + num_bytes:,}, inside a member")
        return data

    def _file(self, shard: int) -> int:
        if shard not in self._files:
            while len(self._files) >= SHARDS_OPEN:
                os.close(self._files.popitem(last=False)[1])
            self._files[shard] = os.open(self._path(shard), os.O_RDONLY | os.O_CLOEXEC)
        self._files.move_to_end(shard)
        return self._files[shard]

    def close(self) -> None:
        """Close the files; they open again when read."""
        self._offsets.clear()  # mapped files, mostly
        while self._files:
            os.close(self._files.popitem()[1])
