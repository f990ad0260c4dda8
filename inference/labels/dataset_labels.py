"""The species of a taxaflow dataset as a list of labels. No torch.

Shapes: C labels.
"""

from collections import Counter
from pathlib import Path

from evaluation.benchmarks.benchmark import SCIENTIFIC_NAME, Benchmark
from evaluation.benchmarks.shards import open_shards
from taxonomy.manifest import read_manifest
from taxonomy.ranks import RANKS, clean

SUFFIX = ".json"
"""Ending of a dataset's manifest."""

Taxon = tuple[str | None, ...]
"""The names at the seven ranks, then the common name."""


def dataset_taxa(manifest: Path) -> dict[str, Taxon]:
    """Scientific name -> the most frequent taxon of its photos in all splits, in the order of the names.

    Raises:
        BadInputError: the manifest or its shards cannot be used.
    """
    votes: dict[str, Counter[Taxon]] = {}
    for split in read_manifest(manifest, "--labels").splits:
        for name, taxon in _taxa(open_shards(manifest, split, "--labels")):
            votes.setdefault(name, Counter())[taxon] += 1
    return {name: max(votes[name], key=votes[name].__getitem__) for name in sorted(votes)}


def _taxa(dataset: Benchmark) -> list[tuple[str, Taxon]]:
    rows = dataset.rows
    names = map(clean, rows.labels.get(SCIENTIFIC_NAME, ()))
    taxa = zip(*(rows.lineage[rank] for rank in RANKS), rows.common_names, strict=True)
    return [(name, taxon) for name, taxon in zip(names, taxa, strict=False) if name]
