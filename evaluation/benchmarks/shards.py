"""The shards of a taxaflow dataset (`--shards MANIFEST --split SPLIT`), of either layout, as a benchmark.

Rows and labels are read from the JSON members once; pictures stay in the tars and are read one by one.
"""

import json
import os
import tarfile
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.benchmarks.benchmark import COMMON_NAME, NINE_LEVELS, SCIENTIFIC_NAME, Benchmark, Rows
from evaluation.benchmarks.folder import PICTURE_SUFFIXES, name_part
from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.manifest import Manifest, read_manifest
from taxonomy.ranks import RANKS, clean
from taxonomy.shards import ManifestShard

HEADLINES = (SCIENTIFIC_NAME, COMMON_NAME)
"""The headline is the first of these levels at which any photo has a name."""


@dataclass(frozen=True, slots=True)
class ShardMember:
    """A picture inside a tar: calling it reads its bytes. Picklable; opens the tar each time, keeps nothing open.

    Attributes:
        path: the tar; its name holds the start of its sha256, so that it stands for its content.
        offset: of the picture's first byte.
        num_bytes: of the picture.
    """

    path: Path
    offset: int
    num_bytes: int

    def __call__(self) -> bytes:
        """The picture's bytes.

        Raises:
            WorkFailedError: the tar is gone or was cut since it was opened.
        """
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                data = os.pread(file, self.num_bytes, self.offset)
            finally:
                os.close(file)
        except OSError as error:
            raise WorkFailedError(f"{self.path}: {error.strerror}; it was there at the start") from error
        if len(data) < self.num_bytes:
            raise WorkFailedError(f"{self.path} ends inside a picture; it was whole at the start")
        return data


def open_shards(path: Path, split: str, flag: str = "--shards") -> Benchmark:
    """The pictures of a split in the order of its shards, named `shards_<dataset>_<split>`; keys are photo ids.

    The levels are those of the nine at which any photo has a name. A sample without a picture has no source.

    Args:
        path: the dataset's manifest.json, or one of its immutable copies below `manifests/`.
        split: train, val or test.
        flag: that named it, for messages.

    Raises:
        BadInputError: the manifest cannot be used, has no such split, does not fit its shards, or no photo has a
            scientific or common name.
    """
    manifest = read_manifest(path, flag)
    samples = [one for shard in manifest.shards(split) for one in shard_samples(manifest, shard)]
    records = [record for record, _ in samples]
    labels = {level: [_label(record.get(level)) for record in records] for level in NINE_LEVELS}
    levels = tuple(level for level in NINE_LEVELS if any(labels[level]))
    headline = next((level for level in HEADLINES if any(map(clean, labels[level]))), None)
    if headline is None:
        raise BadInputError(f"{flag} {path}: no photo of split {split!r} has a {' or a '.join(HEADLINES)}")
    name = name_part(manifest.facts.dataset)
    rows = Rows(
        keys=[str(record["photo_id"]) for record in records],
        sources=[member for _, member in samples],
        labels={level: labels[level] for level in levels},
        lineage={rank: [clean(value) for value in labels[rank]] for rank in RANKS},
        common_names=[clean(value) for value in labels["common_name"]],
    )
    return Benchmark(f"shards_{name}_{split}", rows, levels, headline, log_name=f"{name}-{split}")


def _label(value: object) -> str | None:
    """A JSON value as a class name, NFC; None where it holds no text."""
    return unicodedata.normalize("NFC", value) if isinstance(value, str) and value else None


def shard_samples(manifest: Manifest, shard: ManifestShard) -> list[tuple[Mapping[str, Any], ShardMember | None]]:
    """The (record, picture) pairs of a shard, checked against its entry in the manifest.

    Raises:
        BadInputError: the shard is not there, or not what the manifest says.
    """
    path, named = manifest.tar(shard), f"{manifest.flag} {manifest.path}"
    try:
        samples = list(_read_tar(path))
    except OSError as error:
        raise BadInputError(f"{named}: {path}: {error.strerror or error}") from error
    except (tarfile.TarError, ValueError, KeyError) as error:
        raise BadInputError(f"{named}: {path} cannot be read as a shard: {error}") from error
    if len(samples) != shard.num_samples:
        raise BadInputError(f"{named}: {path} holds {len(samples):,} samples, its manifest says {shard.num_samples:,}")
    return samples


def _read_tar(path: Path) -> Iterator[tuple[Mapping[str, Any], ShardMember | None]]:
    """The (record, picture) pairs of a tar in its order: a run of members whose names agree up to the first dot.

    Raises:
        OSError, tarfile.TarError: it cannot be read.
        ValueError: a sample's JSON is missing, or is none that names its photo.
    """
    last_key, record, picture = None, None, None
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            key, _, suffix = member.name.partition(".")
            if key != last_key and last_key is not None:
                yield _record(last_key, record), picture
            if key != last_key:
                last_key, record, picture = key, None, None
            if suffix == "json":
                file = tar.extractfile(member)
                record = json.loads(file.read()) if file is not None else None
            elif f".{suffix.lower()}" in PICTURE_SUFFIXES and picture is None:
                picture = ShardMember(path, member.offset_data, member.size)
    if last_key is not None:
        yield _record(last_key, record), picture


def _record(key: str, record: object) -> Mapping[str, Any]:
    if not isinstance(record, dict) or "photo_id" not in record:
        raise ValueError(f"sample {key} has no JSON with a photo_id")
    return record
