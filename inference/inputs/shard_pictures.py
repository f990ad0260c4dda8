"""The shards of a taxaflow dataset as pictures, read one shard at a time; keys are photo ids."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.benchmarks.shards import folder_of, listed_shards, read_manifest, shard_samples
from inference.inputs.picture import Inputs, Picture
from taxonomy.errors import BadInputError, WorkFailedError


def open_shard_pictures(manifest: Path, split: str) -> Inputs:
    """The pictures of a split, in the order of its shards.

    Raises:
        BadInputError: the manifest cannot be used, has no such split, or a shard is missing or of another size.
    """
    content = read_manifest(manifest)
    shards = _Shards(manifest, listed_shards(manifest, content, split))
    shards.check()
    digest = hashlib.sha256(json.dumps([split, shards.listed], sort_keys=True).encode())
    return Inputs(f"{content.get('dataset')} {split}", shards.num_samples, digest.hexdigest(), shards.pictures)


@dataclass(frozen=True)
class _Shards:
    manifest: Path
    listed: Sequence[Mapping[str, Any]]

    @property
    def num_samples(self) -> int:
        return sum(int(shard["num_samples"]) for shard in self.listed)

    def check(self) -> None:
        """Check what costs no reading: the manifest's entries, and the sizes of the files."""
        for shard in self.listed:
            try:
                path, num_bytes = folder_of(self.manifest) / shard["file"], int(shard["num_bytes"])
                int(shard["num_samples"])
                found_bytes = path.stat().st_size
            except (KeyError, TypeError, ValueError) as error:
                raise BadInputError(f"--shards {self.manifest}: an entry is not as expected: {error!r}") from error
            except OSError as error:
                raise BadInputError(f"--shards {self.manifest}: {path}: {error.strerror}") from error
            if found_bytes != num_bytes:
                raise BadInputError(f"--shards {self.manifest}: {path} has {found_bytes:,} bytes, not {num_bytes:,}")

    def pictures(self) -> Iterator[Picture]:
        for shard in self.listed:
            try:
                samples = shard_samples(self.manifest, folder_of(self.manifest), shard)
            except BadInputError as error:  # it was as it should be at the start
                raise WorkFailedError(f"{error}; put the shard back and run the same command again") from error
            for record, picture in samples:
                reason = None if picture is not None else "its sample holds no picture"
                key = str(record["photo_id"]).encode("utf-8", "backslashreplace").decode()
                yield Picture(key, picture, reason)
