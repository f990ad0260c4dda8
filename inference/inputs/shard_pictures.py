"""The shards of a taxaflow dataset as pictures, read one shard at a time; keys are photo ids."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.benchmarks.shards import shard_samples
from inference.inputs.picture import Inputs, Picture
from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.manifest import Manifest, read_manifest
from taxonomy.shards import ManifestShard


def open_shard_pictures(path: Path, split: str) -> Inputs:
    """The pictures of a split, in the order of its shards.

    Raises:
        BadInputError: the manifest cannot be used, has no such split, or a shard is missing or of another size.
    """
    manifest = read_manifest(path, "--shards")
    shards = _Shards(manifest, manifest.shards(split))
    for shard in shards.listed:
        manifest.tar(shard)
    digest = hashlib.sha256(json.dumps([split, [vars(shard) for shard in shards.listed]], sort_keys=True).encode())
    return Inputs(f"{manifest.facts.dataset} {split}", shards.num_samples, digest.hexdigest(), shards.pictures)


@dataclass(frozen=True)
class _Shards:
    manifest: Manifest
    listed: Sequence[ManifestShard]

    @property
    def num_samples(self) -> int:
        return sum(shard.num_samples for shard in self.listed)

    def pictures(self) -> Iterator[Picture]:
        for shard in self.listed:
            try:
                samples = shard_samples(self.manifest, shard)
            except BadInputError as error:  # it was as it should be at the start
                raise WorkFailedError(f"{error}; put the shard back and run the same command again") from error
            for record, picture in samples:
                reason = None if picture is not None else "its sample holds no picture"
                key = str(record["photo_id"]).encode("utf-8", "backslashreplace").decode()
                yield Picture(key, picture, reason)
