"""Random photos, and what `select` must make of them, computed row by row in plain Python."""

import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_jobs.config import SelectConfig
from spark_jobs.tables import PHOTOS
from taxonomy.ranks import RANKS, category_of, resolve_taxon
from tests.spark_jobs.spark_hash import spark_xxhash64

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Photo = dict[str, Any]

BIRD = ("Animalia", "Chordata", "Aves", "Passeriformes", "Turdidae", "Turdus", "merula")
SPIDER = ("Animalia", "Arthropoda", "Arachnida", "Araneae", "Araneidae", "Araneus", "diadematus")
FISH = ("Animalia", "Chordata", "Actinopterygii", "Cypriniformes", "Cyprinidae", "Cyprinus", "carpio")
GENUS_ONLY = ("Animalia", "Chordata", "Aves", "Passeriformes", "Turdidae", "Turdus", None)
_TREES = (BIRD, SPIDER, FISH, ("Plantae", None, None, "Fagales", "Fagaceae", "Quercus", "robur"))


def photo(photo_id: int, names: Sequence[str | None] = BIRD, **values: Any) -> Photo:
    """A row of photos; `values` replace its other columns."""
    lineage = dict(zip(RANKS, names, strict=True))
    taxon = resolve_taxon(lineage)
    assert taxon.key is not None and taxon.rank is not None
    row: Photo = dict.fromkeys(PHOTOS.column_names)
    row |= {"photo_id": photo_id, "group_id": str(photo_id), "taxon_id": spark_xxhash64(taxon.key)}
    row |= {"taxon_rank": taxon.rank, **lineage, "category": taxon.category}
    row |= {"scientific_name": " ".join(name for name in names[5:] if name), "license": "CC0", "source": "csv"}
    row |= {"photo_url": f"http://x.org/{photo_id}.jpg", "first_snapshot": "2026-10", "changed_snapshot": "2026-10"}
    return row | values


def random_photos(number: int, seed: int) -> list[Photo]:
    """Photos of 40 taxa with a long tail: several categories and ranks, siblings, licences, gone ones, odd lineages."""
    rng = random.Random(seed)
    rows = []
    for photo_id in rng.sample(range(-(10**6), 10**9), number):
        which = int(40 ** rng.random())
        tree = list(_TREES[which % 4])
        tree[6] = None if which % 11 == 10 else f"epithet{which}"
        row = photo(photo_id, tree, group_id=str(photo_id // 10**6 if rng.random() < 0.4 else photo_id))
        row["license"] = rng.choice(["CC-BY", "cc0", " CC0", "CC-BY-NC", None])
        row["gone_snapshot"] = "2026-09" if rng.random() < 0.05 else None
        row["common_name"] = rng.choice([None, "Thing", "Other thing", "Thing"])
        if rng.random() < 0.2:  # a row whose own lineage lies in another category than its taxon's
            row |= {"class": "Reptilia", "category": category_of({**row, "class": "Reptilia"})}
        rows.append(row)
    return rows


def photo_frame(spark: "SparkSession", rows: Iterable[Photo]) -> "DataFrame":
    """The rows as a frame with the table's schema."""
    from pyspark.sql.types import StructType

    tuples = [tuple(row[name] for name in PHOTOS.column_names) for row in rows]
    return spark.createDataFrame(tuples, StructType.fromJson(PHOTOS.schema_json()))


@dataclass(frozen=True)
class Lists:
    """What the lists and the withdrawals name."""

    withdrawn: Collection[int] = ()
    benchmark_photos: Collection[int] = ()
    benchmark_taxa: Collection[int] = ()
    heldout_photos: Collection[int] = ()
    heldout_taxa: Collection[int] = ()


def expected_fates(photos: Sequence[Photo], config: SelectConfig, lists: Lists) -> set[tuple[Any, ...]]:
    """The rows of selections."""
    lineages = expected_lineages(photos)
    reasons = {row["photo_id"]: _early_reason(row, lineages, config, lists) for row in photos}
    species: dict[int, list[Photo]] = {}
    for row in photos:
        if reasons[row["photo_id"]] is None:
            species.setdefault(row["taxon_id"], []).append(row)
    for rows in species.values():
        ordered = sorted((spark_xxhash64("cap", config.seed, row["photo_id"]), row["photo_id"]) for row in rows)
        is_rare = len(rows) < config.min_photos
        for _, photo_id in ordered if is_rare else ordered[config.max_photos :]:
            reasons[photo_id] = "rare_species" if is_rare else "over_cap"
    return {_outcome(row, reasons[row["photo_id"]], config) for row in photos}


def expected_lineages(photos: Iterable[Photo]) -> dict[int, dict[str, str | None]]:
    """taxon_id -> its most frequent lineage, ties the smallest in byte order with null first."""
    votes: dict[int, Counter[tuple[str | None, ...]]] = {}
    for row in photos:
        votes.setdefault(row["taxon_id"], Counter())[tuple(row[rank] for rank in RANKS)] += 1
    return {taxon_id: dict(zip(RANKS, _winner(counter), strict=True)) for taxon_id, counter in votes.items()}


def _winner(counter: Counter[tuple[str | None, ...]]) -> tuple[str | None, ...]:
    def order(names: tuple[str | None, ...]) -> tuple[int, list[tuple[bool, bytes]]]:
        return -counter[names], [(name is not None, (name or "").encode()) for name in names]

    return min(counter, key=order)


def _early_reason(
    row: Photo, lineages: Mapping[int, Mapping[str, str | None]], config: SelectConfig, lists: Lists
) -> str | None:
    allowed = {name.lower() for name in config.licenses}
    photo_id, taxon_id = row["photo_id"], row["taxon_id"]
    if row["gone_snapshot"] is not None or photo_id in lists.withdrawn:
        return "withdrawn"
    if category_of(lineages[taxon_id]) not in config.categories:
        return "out_of_category"
    if row["taxon_rank"] != "species":
        return "above_species_rank"
    if allowed and (row["license"] or "").strip().lower() not in allowed:
        return "license"
    if photo_id in lists.benchmark_photos or taxon_id in lists.benchmark_taxa:
        return "benchmark_overlap"
    return "heldout_species" if photo_id in lists.heldout_photos or taxon_id in lists.heldout_taxa else None


def _outcome(row: Photo, reason: str | None, config: SelectConfig) -> tuple[Any, ...]:
    photo_id = row["photo_id"]
    if reason is not None:
        return config.dataset, photo_id, "excluded", reason, row["taxon_id"], None
    u = (spark_xxhash64("split", config.seed, row["group_id"]) % 2**64) / 2**64
    fate = "test" if u < config.test else "val" if u < config.test + config.val else "train"
    return config.dataset, photo_id, fate, None, row["taxon_id"], spark_xxhash64("order", config.seed, photo_id)


def some_config(root: Path, **values: Any) -> SelectConfig:
    """Thresholds that fit `random_photos`."""
    defaults: dict[str, Any] = {"dataset": "d", "min_photos": 10, "max_photos": 60, "val": 0.1, "test": 0.2}
    return SelectConfig(root=root, **(defaults | values))
