"""Small datasets of random pictures, written as the download job writes them, and a tokenizer without a vocabulary."""

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from spark_jobs.tar_file import TarFile
from taxonomy.shards import (
    PLANNED_KEYS,
    DatasetFacts,
    ManifestShard,
    manifest_bytes,
    sample_members,
    shard_file_name,
)

END_TOKEN = 300

Members = list[tuple[str, bytes]]


def byte_tokens(texts: list[str]) -> np.ndarray:
    """A token per byte and an end token, [n, 77], 0-padded."""
    tokens = np.zeros((len(texts), 77), dtype=np.int64)
    for row, text in zip(tokens, texts, strict=True):
        data = text.encode()[:76]
        row[: len(data)] = np.frombuffer(data, dtype=np.uint8)
        row[len(data)] = END_TOKEN
    return tokens


def text_of_tokens(row: Sequence[int]) -> str:
    """The text that `byte_tokens` gave this row."""
    return bytes(token for token in list(row)[: list(row).index(END_TOKEN)]).decode()


def jpeg(number: int, size: tuple[int, int] = (48, 40)) -> bytes:
    """A small picture of its own for every number."""
    rng = np.random.default_rng(number)
    spots = rng.integers(0, 255, (5, 6, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(spots).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def photo(number: int, **changes: object) -> dict[str, object]:
    """The planned photo with this number; four photos in a row share a taxon, every third taxon lacks its name."""
    taxon = number // 4
    fields: dict[str, object] = {
        "photo_id": 1000 + number,
        "taxon_id": (-1) ** taxon * (2**62 + taxon),
        "scientific_name": f"Genus{taxon} epithet{taxon}",
        "taxon_rank": "species",
        "kingdom": "Animalia",
        "genus": f"Genus{taxon}",
        "species": f"epithet{taxon}",
        "common_name": None if taxon % 3 == 2 else f"name {taxon}",
    }
    return {key: (fields | changes).get(key) for key in PLANNED_KEYS}


def write_dataset(
    folder: Path,
    sizes: Sequence[int],
    layout: str = "taxaflow",
    change: Callable[[int, Members], Members] = lambda number, members: members,
    photos: Callable[[int], Mapping[str, object]] = photo,
) -> Path:
    """Shards of these sizes in split train; returns the manifest's path. `change` may spoil a sample's members."""
    (folder / "train").mkdir(parents=True)
    shards: list[ManifestShard] = []
    number = 0
    for shard_id, size in enumerate(sizes):
        samples = []
        for _ in range(size):
            facts = {"sha256": "0" * 64, "width": 48, "height": 40}
            samples.append(change(number, sample_members(photos(number), jpeg(number), facts, layout)))
            number += 1
        shards.append(write_shard(folder, shard_id, samples))
    facts = DatasetFacts("small", "original", layout, {})
    manifest = folder / "manifest.json"
    manifest.write_bytes(manifest_bytes(facts, {"train": shards}))
    return manifest


def write_shard(folder: Path, shard_id: int, samples: Sequence[Members]) -> ManifestShard:
    """One tar of these samples and its line in the manifest."""
    unfinished = folder / "unfinished.tar"
    tar = TarFile(unfinished)
    for members in samples:
        for name, data in members:
            tar.add(name, data)
    sha256 = tar.finish()
    name = f"train/{shard_file_name('small', 'train', shard_id, sha256)}"
    unfinished.rename(folder / name)
    return ManifestShard(name, sha256, len(samples), tar.num_bytes, shard_id)


def change_manifest(manifest: Path, **changes: object) -> None:
    """Overwrite fields of the first shard's entry."""
    content = json.loads(manifest.read_bytes())
    content["splits"]["train"][0] |= changes
    manifest.write_text(json.dumps(content))


def digest(array: object) -> str:
    """A short name of an array's content."""
    return hashlib.sha256(np.ascontiguousarray(np.asarray(array)).tobytes()).hexdigest()[:16]
