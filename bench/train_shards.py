"""The shards that the trainer's data path is measured on: the same pairs in the layout of each reader."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.species_pool import POOL_COLUMNS, load_pool
from bench.train_photos import make_photo, photo_size
from spark_jobs.tar_file import TarFile
from taxonomy.ranks import RANKS
from taxonomy.shards import (
    LAYOUTS,
    DatasetFacts,
    ManifestShard,
    manifest_bytes,
    sample_members,
    shard_file_name,
    sizes_bytes,
)

DATASET, SPLIT = "bench", "train"
NUM_SHARDS, NUM_SPECIES = 6, 500

Row = tuple[dict[str, object], bytes]
"""A planned photo and its JPEG."""


@dataclass(frozen=True)
class Shards:
    """The pairs, once per layout.

    Attributes:
        folder: holds a dataset's folder per layout.
        num_samples: pairs.
        edge_px: the photos' long edge.
    """

    folder: Path
    num_samples: int
    edge_px: int

    def manifest(self, layout: str = "taxaflow") -> Path:
        """The manifest of a layout."""
        return self.folder / layout / "manifest.json"

    def tars(self, layout: str = "biotrove") -> list[Path]:
        """The tars of a layout, in order."""
        return sorted((self.folder / layout / SPLIT).glob("*.tar"))

    @property
    def pattern(self) -> str:
        """The tars of the published layout, as --train-data takes them."""
        return f"{self.folder / 'biotrove' / SPLIT}/{{{','.join(path.name for path in self.tars())}}}"

    def describe(self) -> str:
        """Number and size of the photos, for the title of a table."""
        width, height = photo_size(self.edge_px)
        kb = sum(path.stat().st_size for path in self.tars("taxaflow")) / self.num_samples / 1e3
        return f"{self.num_samples:,} photos of {width}x{height} px, {kb:.0f} kB each with its JSON"

    def warm(self) -> None:
        """Read everything once, so that no reader waits for the disk."""
        for layout in LAYOUTS:
            for path in self.tars(layout):
                path.read_bytes()


def make_shards(folder: Path, num_photos: int, edge_px: int) -> Shards:
    """The shards below `folder`, made where they are not there yet."""
    shards = Shards(folder / f"shards_{edge_px}px_{num_photos}", num_photos, edge_px)
    if not shards.folder.is_dir():
        unfinished = shards.folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        _write_all(unfinished, num_photos, edge_px)
        unfinished.rename(shards.folder)
        os.sync()  # what is left to be written must not slow the first reader
    return shards


def _write_all(folder: Path, num_photos: int, edge_px: int) -> None:
    numbers = np.array_split(np.arange(num_photos), min(NUM_SHARDS, num_photos))
    rows = [list(_photos(part.tolist(), edge_px)) for part in numbers]
    for layout in LAYOUTS:
        split = folder / layout / SPLIT
        split.mkdir(parents=True)
        listed = [
            _write_shard(split, shard_id, part, layout, photo_size(edge_px)) for shard_id, part in enumerate(rows)
        ]
        facts = DatasetFacts(DATASET, "original", layout, {})
        (folder / layout / "manifest.json").write_bytes(manifest_bytes(facts, {SPLIT: listed}))
        (split / "sizes.json").write_bytes(sizes_bytes(listed))


def _photos(numbers: list[int], edge_px: int) -> Iterator[Row]:
    """The row of each number; species by popularity's tail, so that captions repeat as they do."""
    pool = load_pool(NUM_SPECIES, seed=0)
    ends = pool.weights_so_far()
    species = pool.species.to_pylist()
    for number in numbers:
        place = int(np.searchsorted(ends, np.random.default_rng(number).integers(ends[-1]), side="right"))
        names = {name: species[place][name] for name in POOL_COLUMNS if name != "scientificName"}
        url = f"https://photos.example/{number}.jpg"
        row = {"photo_id": number, "taxon_id": place, "scientific_name": species[place]["scientificName"]}
        row |= {"taxon_rank": "species", "category": None, "license": "CC0", "attribution": "none", "photo_url": url}
        assert names.keys() >= set(RANKS)
        yield row | names, make_photo(number, edge_px)


def _write_shard(split: Path, shard_id: int, rows: list[Row], layout: str, size: tuple[int, int]) -> ManifestShard:
    width, height = size
    unnamed = split / f"{shard_id}.unfinished"
    tar = TarFile(unnamed)
    for photo, jpeg in rows:
        facts = {"sha256": hashlib.sha256(jpeg).hexdigest(), "width": width, "height": height}
        for name, data in sample_members(photo, jpeg, facts, layout):
            tar.add(name, data)
    sha256 = tar.finish()
    final = split / shard_file_name(DATASET, SPLIT, shard_id, sha256)
    unnamed.rename(final)
    return ManifestShard(f"{SPLIT}/{final.name}", sha256, len(rows), tar.num_bytes, shard_id)
