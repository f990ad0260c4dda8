"""What a model learnt from: its dataset's manifest, and the licences in the records beside the pictures. No torch."""

import json
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from evaluation.benchmarks.benchmark import NINE_LEVELS
from release.card.data_facts import TRAIN, DataRecord, LicenceCount, SplitRecord
from release.card.run_facts import RunRecord
from release.card.words import one_line
from taxonomy.errors import BadInputError
from taxonomy.manifest import Manifest, dataset_folder, read_manifest, shards_sha256
from taxonomy.ranks import clean
from taxonomy.shards import SPLITS, ManifestShard

SeenNames = Mapping[str, frozenset[str]]
"""Level (scientific_name, genus, ...) -> its names in the training split."""


@dataclass
class _Tally:
    """What the records of one split say."""

    licences: Counter[str | None] = field(default_factory=Counter)
    without_attribution: Counter[str | None] = field(default_factory=Counter)
    species: set[str] = field(default_factory=set)
    taxa: set[Any] = field(default_factory=set)
    names: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, record: Mapping[str, Any]) -> int:
        """Count a record; returns 1."""
        licence = record.get("license")
        licence = one_line(licence) or None if isinstance(licence, str) else None
        attribution = record.get("attribution")
        self.licences[licence] += 1
        if not isinstance(attribution, str) or not attribution.strip():
            self.without_attribution[licence] += 1
        name = record.get("scientific_name")
        if record.get("taxon_rank") == "species" and isinstance(name, str):
            self.species.add(name)
        if isinstance(record.get("taxon_id"), int):
            self.taxa.add(record["taxon_id"])
        for level in NINE_LEVELS:
            value = record.get(level)
            if isinstance(value, str) and clean(value):
                self.names[level].add(value)
        return 1


def read_data(path: Path, run: RunRecord | None, count: bool = True) -> tuple[DataRecord, SeenNames]:
    """The dataset of a manifest, and which names its training split holds.

    Args:
        path: the dataset's manifest.json, or one of its immutable copies below `manifests/`. Of a dataset that has
            grown since, the copy that lists the shards of the run is taken.
        run: the training, to check that it was on these shards.
        count: read the records in all shards; without it licences and species stay unknown.

    Raises:
        BadInputError: it cannot be used, its shards are not as it says, or the run was trained on others.
    """
    expected = run.data_sha256 if run else None
    manifest = _matching(path, expected)
    splits = {name: manifest.shards(name) for name in SPLITS if manifest.listed.get(name)}
    tallies = _counted(manifest, splits) if count else {}
    trained_on = None if expected is None else shards_sha256(splits.get(TRAIN, ())) == expected
    record = DataRecord(
        dataset=one_line(manifest.facts.dataset),
        rendition=one_line(manifest.facts.rendition),
        layout=one_line(manifest.facts.layout),
        tables={one_line(name): version for name, version in sorted(manifest.facts.tables.items())},
        manifest_sha256=manifest.sha256,
        is_trained_on=trained_on,
        splits=tuple(_split(name, shards, tallies.get(name)) for name, shards in splits.items()),
        licences=_licences(tallies) if count else None,
    )
    names = tallies[TRAIN].names if TRAIN in tallies else {}
    return record, {level: frozenset(found) for level, found in names.items()}


def _matching(path: Path, expected: str | None) -> Manifest:
    """The manifest, or the copy of it that lists the training shards expected.

    Raises:
        BadInputError: it cannot be read, or none does.
    """
    copies = dataset_folder(path) / "manifests"
    for place in (path, *sorted(copies.glob("*.json"))):
        manifest = read_manifest(place, "--data")
        listed = manifest.shards(TRAIN) if manifest.listed.get(TRAIN) else ()
        if expected is None or shards_sha256(listed) == expected:
            return manifest
    raise BadInputError(
        f"--data {path}: lists other shards than the model was trained on; give the manifest of that training, "
        f"one of those in {copies} if they were kept"
    )


def _split(name: str, shards: Sequence[ManifestShard], tally: _Tally | None) -> SplitRecord:
    return SplitRecord(
        name=name,
        num_pictures=sum(shard.num_samples for shard in shards),
        num_species=len(tally.species) if tally else None,
        num_taxa=len(tally.taxa) if tally else None,
        shards_sha256=shards_sha256(shards),
        shards={shard.file: shard.sha256 for shard in shards},
    )


def _counted(manifest: Manifest, splits: Mapping[str, Sequence[ManifestShard]]) -> dict[str, _Tally]:
    tallies = {name: _Tally() for name in splits}
    listed = [(name, shard) for name, shards in splits.items() for shard in shards]
    console = Console(stderr=True)
    for name, shard in track(listed, "licences", console=console, transient=True, disable=not sys.stderr.isatty()):
        path = manifest.tar(shard)
        try:
            num_records = sum(map(tallies[name].add, _records(path)))
            if num_records != shard.num_samples:
                raise ValueError(f"{num_records:,} records, the manifest says {shard.num_samples:,}")
        except OSError as error:
            raise BadInputError(f"--data {manifest.path}: {path}: {error.strerror or error}") from error
        except (tarfile.TarError, ValueError, RecursionError) as error:
            raise BadInputError(f"--data {manifest.path}: {path} cannot be read as a shard: {error}") from error
    return tallies


def _records(path: Path) -> Iterator[Mapping[str, Any]]:
    """The JSON members of a tar in its order; pictures are passed over unread."""
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.name.endswith(".json") else None
            if file is None:
                continue
            record = json.loads(file.read())
            if not isinstance(record, dict):
                raise ValueError(f"{member.name} is no record of a picture")
            yield record


def _licences(tallies: Mapping[str, _Tally]) -> tuple[LicenceCount, ...]:
    found = {licence for tally in tallies.values() for licence in tally.licences}
    counts = [
        LicenceCount(
            licence,
            {name: tally.licences[licence] for name, tally in tallies.items() if tally.licences[licence]},
            sum(tally.without_attribution[licence] for tally in tallies.values()),
        )
        for licence in found
    ]
    return tuple(sorted(counts, key=lambda one: (-one.total, one.licence or "")))
