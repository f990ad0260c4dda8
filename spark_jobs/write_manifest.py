"""The manifest and the sizes.json of a dataset: what readers without a JVM need. Derived; never read back by a job."""

import json
from collections.abc import Iterable
from pathlib import Path

from spark_jobs.commit_shards import CommittedShard
from taxonomy.shards import DatasetFacts, ManifestShard, manifest_bytes, manifest_name, sizes_bytes
from taxonomy.whole_file import write_whole


def write_manifest(folder: Path, facts: DatasetFacts, committed: Iterable[CommittedShard]) -> Path | None:
    """Write manifest.json, its immutable copy and each split's sizes.json, each whole or not at all.

    Nothing is written, and None returned, where manifest.json already lists exactly these shards.

    Args:
        folder: ROOT/shards/<dataset>.
        facts: what the manifest says of the dataset.
        committed: its committed shards; those without a picture are left out.
    """
    splits: dict[str, list[ManifestShard]] = {}
    for row in committed:
        if row.num_samples:
            file = f"{row.split}/{row.shard_file}"
            shard = ManifestShard(file, row.sha256, row.num_samples, row.num_bytes, row.shard_id)
            splits.setdefault(row.split, []).append(shard)
    current = _listed(folder / "manifest.json")
    beside = all((folder / split / "sizes.json").exists() for split in splits)
    if beside and current == {shard.file for shards in splits.values() for shard in shards}:
        return None
    content = manifest_bytes(facts, splits)
    for split, shards in splits.items():
        write_whole(folder / split / "sizes.json", sizes_bytes(sorted(shards, key=lambda shard: shard.shard_id)))
    immutable = folder / "manifests" / manifest_name(content)
    write_whole(immutable, content)
    write_whole(folder / "manifest.json", content)
    return immutable


def _listed(manifest: Path) -> set[str] | None:
    """The files that a manifest lists; None where there is none that can be read."""
    try:
        splits = json.loads(manifest.read_bytes())["splits"]
        return {shard["file"] for shards in splits.values() for shard in shards}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
