"""A dataset's manifest.json, read and checked: where readers of shards begin. Standard library only."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from taxonomy.errors import BadInputError
from taxonomy.shards import MANIFEST_VERSION, DatasetFacts, ManifestShard


@dataclass(frozen=True)
class Manifest:
    """What a manifest says; entries of a split are checked when they are asked for.

    Attributes:
        path: manifest.json, or one of its immutable copies below `manifests/`.
        flag: that named it, for messages.
        sha256: of its bytes.
        facts: of the dataset; a text that is missing is "None".
        listed: split -> its entries, as read.
    """

    path: Path
    flag: str
    sha256: str
    facts: DatasetFacts
    listed: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """The dataset's folder."""
        return dataset_folder(self.path)

    @property
    def splits(self) -> list[str]:
        """The names of the splits that have shards, in the order of the manifest."""
        return [split for split, entries in self.listed.items() if entries]

    def shards(self, split: str) -> list[ManifestShard]:
        """The shards of a split, at least one, in the order of the manifest.

        Raises:
            BadInputError: the split has none, or an entry is not as expected.
        """
        if not self.listed.get(split):
            known = ", ".join(self.splits) or "none"
            raise BadInputError(f"{self.flag} {self.path}: no shards in split {split!r}; splits with shards: {known}")
        try:
            return [_shard(entry) for entry in self.listed[split]]
        except (KeyError, TypeError, ValueError) as error:
            raise BadInputError(
                f"{self.flag} {self.path}: an entry of split {split!r} is not as expected: {error!r}"
            ) from error

    def tar(self, shard: ManifestShard) -> Path:
        """The tar of a shard, which is there at the size that the manifest gives.

        Raises:
            BadInputError: it is missing or of another size.
        """
        path = self.folder / shard.file
        try:
            num_bytes = path.stat().st_size
        except OSError as error:
            raise BadInputError(f"{self.flag} {self.path}: {path}: {error.strerror}") from error
        if num_bytes != shard.num_bytes:
            raise BadInputError(f"{self.flag} {self.path}: {path} has {num_bytes:,} bytes, not {shard.num_bytes:,}")
        return path


def read_manifest(path: Path, flag: str) -> Manifest:
    """A manifest of the version that can be read.

    Raises:
        BadInputError: it cannot be read, is no JSON or of another version; names the flag.
    """
    try:
        data = path.read_bytes()
        content = json.loads(data)
    except OSError as error:
        raise BadInputError(f"{flag} {path}: {error.strerror}; give a dataset's manifest.json") from error
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{flag} {path} is not JSON: {error}; give a dataset's manifest.json") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != MANIFEST_VERSION:
        raise BadInputError(
            f"{flag} {path}: schema_version is {version!r}, {MANIFEST_VERSION} can be read; "
            "give a dataset's manifest.json"
        )
    listed, tables = ({} if not isinstance(content.get(key), dict) else content[key] for key in ("splits", "tables"))
    facts = DatasetFacts(
        dataset=str(content.get("dataset")),
        rendition=str(content.get("rendition")),
        layout=str(content.get("layout")),
        tables={name: number for name, number in tables.items() if type(number) is int},
    )
    return Manifest(path, flag, hashlib.sha256(data).hexdigest(), facts, listed)


def dataset_folder(manifest: Path) -> Path:
    """What the file names of a manifest are relative to; its immutable copies lie one folder deeper."""
    return manifest.parent.parent if manifest.parent.name == "manifests" else manifest.parent


def shards_sha256(shards: Iterable[ManifestShard]) -> str:
    """What names a list of shards, in this order, by their content."""
    return hashlib.sha256("\n".join(shard.sha256 for shard in shards).encode()).hexdigest()


def _shard(entry: Mapping[str, Any]) -> ManifestShard:
    """One entry.

    Raises:
        KeyError, TypeError: a value is missing, or it is no mapping.
        ValueError: a value is of another type than the manifest's.
    """
    values: dict[str, Any] = {field.name: entry[field.name] for field in fields(ManifestShard)}
    for field in fields(ManifestShard):
        if type(values[field.name]) is not field.type:
            raise ValueError(f"{field.name} is {values[field.name]!r}")
    return ManifestShard(**values)
