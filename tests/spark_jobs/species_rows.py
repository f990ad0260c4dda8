"""Rows of species_counts and category_counts for the tests of the page, made with pandas."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from spark_jobs.tables import CATEGORY_COUNTS, SPECIES_COUNTS
from taxonomy.ranks import RANKS, category_of


def species_frame(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    """species_counts of (lineage of seven, photos[, common name]) rows, one group per photo, ids in order."""
    records = []
    for number, (lineage, num_photos, *common) in enumerate(rows):
        ranks = dict(zip(RANKS, lineage, strict=True))
        record = {"taxon_id": number, **ranks, "common_name": common[0] if common else None}
        records.append(record | {"category": category_of(ranks), "num_photos": num_photos, "num_groups": num_photos})
    species = pd.DataFrame(records, columns=pd.Index([name for name in SPECIES_COUNTS.column_names if name != "place"]))
    counts = species.astype({"num_photos": "int64", "num_groups": "int64"})
    ordered = counts.sort_values(["num_photos", "taxon_id"], ascending=[False, True])
    counts["place"] = ordered.groupby("category").cumcount() + 1
    return counts


def category_frame(species: pd.DataFrame, rare: int, cap: int) -> pd.DataFrame:
    """category_counts by pandas' own definitions."""
    records = [
        {
            "category": category,
            "num_photos": int(counts.sum()),
            "num_species": len(counts),
            "median_photos": float(counts.median()),
            "p95_photos": float(counts.quantile(0.95)),
            "max_photos": int(counts.max()),
            "num_rare": int((counts < rare).sum()),
            "num_over_cap": int((counts > cap).sum()),
        }
        for category, counts in species.groupby("category")["num_photos"]
    ]
    return pd.DataFrame(records, columns=pd.Index(CATEGORY_COUNTS.column_names))
