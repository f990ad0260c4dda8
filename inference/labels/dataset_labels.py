"""The species of a taxaflow dataset as a list of labels. No torch.

Shapes: C labels.
"""

import json
from collections import Counter
from pathlib import Path

from evaluation.benchmarks.benchmark import SCIENTIFIC_NAME, Benchmark
from evaluation.benchmarks.shards import open_shards
from taxonomy.errors import BadInputError
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
    for split in _splits(manifest):
        for name, taxon in _taxa(open_shards(manifest, split)):
            votes.setdefault(name, Counter())[taxon] += 1
    return {name: max(votes[name], key=votes[name].__getitem__) for name in sorted(votes)}


def _splits(manifest: Path) -> list[str]:
    try:
        splits = json.loads(manifest.read_bytes())["splits"]
        return [split for split, shards in splits.items() if shards]
    except OSError as error:
        raise BadInputError(f"{manifest}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInputError(f"{manifest}: no list of labels and no dataset's manifest.json") from error


def _taxa(dataset: Benchmark) -> list[tuple[str, Taxon]]:
    rows = dataset.rows
    names = map(clean, rows.labels.get(SCIENTIFIC_NAME, ()))
    taxa = zip(*(rows.lineage[rank] for rank in RANKS), rows.common_names, strict=True)
    return [(name, taxon) for name, taxon in zip(names, taxa, strict=False) if name]
