"""The drawn set's list: counts, table, and what `select` makes of it, computed without Spark."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from pathlib import Path

import pytest

import sample
from sample.specimen_list import COLUMNS, SpecimenError, csv_bytes, list_specimens
from tests.spark_jobs.spark_hash import spark_xxhash64, xxh64

SAMPLE = Path(sample.__file__).parent
SHARED = Path(os.environ.get("TAXAFLOW_SHARED", SAMPLE.parent.parent / "shared"))

_MASK = (1 << 64) - 1
MAIN_CLASSES = {"Aves", "Arachnida", "Insecta", "Reptilia"}


def category(row: dict[str, str]) -> str:
    if row["class"] in MAIN_CLASSES:
        return row["class"]
    if row["kingdom"] in {"Plantae", "Fungi"}:
        return row["kingdom"]
    return "Mollusca" if row["phylum"] == "Mollusca" else "other"


def select(rows: list[dict[str, str]], low: int, high: int, val: float, test: float, seed: int) -> Counter[str]:
    """The number of rows per fate: train, val, test, rare_species, over_cap, out_of_category."""
    fates: Counter[str] = Counter()
    species: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        if category(row) == "other":
            fates["out_of_category"] += 1
        else:
            species.setdefault(row["scientificName"], []).append(row)
    for members in species.values():
        if len(members) < low:
            fates["rare_species"] += len(members)
            continue
        kept = sorted(members, key=lambda row: spark_xxhash64("cap", seed, _photo_id(row)))[:high]
        fates["over_cap"] += len(members) - len(kept)
        for row in kept:
            u = (spark_xxhash64("split", seed, row["observation_id"]) & _MASK) / 2**64
            fates["test" if u < test else "val" if u < test + val else "train"] += 1
    return fates


def _photo_id(row: dict[str, str]) -> int:
    return -1 - (spark_xxhash64(row["source"], row["photo_url"]) & 0x7FFFFFFFFFFFFFFF)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_bytes(list_specimens()).decode())))


@pytest.mark.parametrize(
    ("text", "seed", "digest"),
    [
        (b"", 0, 0xEF46DB3751D8E999),
        (b"abc", 0, 0x44BC2CF5AD770999),
        (b"Nobody inspects the spammish repetition", 0, 0xFBCEA83C8A378BF1),
    ],
)
def test_the_oracles_hash_is_xxh64(text: bytes, seed: int, digest: int) -> None:
    assert xxh64(text, seed) == digest


def test_the_demo_selection_has_enough_of_every_fate(rows: list[dict[str, str]]) -> None:
    fates = select(rows, low=10, high=40, val=0.15, test=0.15, seed=42)
    assert fates["train"] + fates["val"] + fates["test"] >= 560
    assert fates["val"] >= 70
    assert fates["test"] >= 70
    assert min(fates["rare_species"], fates["over_cap"], fates["out_of_category"]) > 0
    assert sum(fates.values()) == len(rows)


def test_counts_have_a_long_tail_rare_species_and_species_over_the_cap(rows: list[dict[str, str]]) -> None:
    counts = Counter(row["scientificName"] for row in rows)
    assert 650 <= len(rows) <= 800
    assert max(counts.values()) == 60
    assert sum(1 for n in counts.values() if 3 <= n <= 9) == 3
    assert sum(1 for n in counts.values() if n > 40) >= 3
    assert sum(1 for n in counts.values() if n >= 10) >= 20


def test_every_category_has_two_species_or_more_to_keep(rows: list[dict[str, str]]) -> None:
    counts = Counter(row["scientificName"] for row in rows)
    kept = {(category(row), row["scientificName"]) for row in rows if counts[row["scientificName"]] >= 10}
    per_category = Counter(name for name, _ in kept)
    assert set(per_category) == {"Aves", "Arachnida", "Insecta", "Plantae", "Fungi", "Mollusca", "Reptilia", "other"}
    assert min(per_category.values()) >= 2


def test_the_table_has_the_columns_of_the_real_photos(rows: list[dict[str, str]]) -> None:
    with (SAMPLE / "photos.csv").open(newline="", encoding="utf-8") as real:
        assert next(csv.reader(real)) == list(COLUMNS)
    assert list(rows[0]) == list(COLUMNS)


def test_every_real_photo_has_its_file_author_and_licence() -> None:
    with (SAMPLE / "photos.csv").open(newline="", encoding="utf-8") as real:
        photos = list(csv.DictReader(real))
    assert {f"{row['photo_id']}.jpg" for row in photos} == {path.name for path in (SAMPLE / "photos").iterdir()}
    assert all(row["license"].startswith("CC") and row["attribution"] for row in photos)


def test_rows_are_complete_and_say_that_they_are_drawings(rows: list[dict[str, str]]) -> None:
    assert [int(row["photo_id"]) for row in rows] == list(range(1, len(rows) + 1))
    assert {(r["source"], r["license"], r["attribution"]) for r in rows} == {
        ("drawings", "CC0-1.0", "taxaflow drawing")
    }
    for row in rows:
        assert all(row[column] for column in COLUMNS if column != "common_name")
        assert row["scientificName"] == f"{row['genus']} {row['species']}"
        assert re.fullmatch(rf"/drawings/{row['photo_id']}/medium\.(jpg|png|webp)", row["photo_url"])
    assert len({row["scientificName"] for row in rows if not row["common_name"]}) == 2


def test_an_observation_has_one_to_three_pictures_of_one_species(rows: list[dict[str, str]]) -> None:
    sizes = Counter(row["observation_id"] for row in rows)
    assert set(sizes.values()) == {1, 2, 3}
    owners = {(row["observation_id"], row["scientificName"]) for row in rows}
    assert len(owners) == len(sizes)


def test_a_limit_keeps_the_first_pictures_of_every_species() -> None:
    everything = [s.row() for s in list_specimens()]
    for limit in (1, 4):
        kept = [s.row() for s in list_specimens(limit=limit)]
        assert max(Counter(row["scientificName"] for row in kept).values()) == limit
        assert {r["observation_id"] for r in kept} <= {r["observation_id"] for r in everything}
    with pytest.raises(SpecimenError, match="limit is 0"):
        list_specimens(limit=0)


def test_lineages_are_those_of_the_shared_taxonomy(rows: list[dict[str, str]]) -> None:
    path = SHARED / "data" / "taxa" / "species_lineage_common_names.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not there; TAXAFLOW_SHARED names the folder of shared data")
    import pandas as pd

    ranks: list[str] = list(COLUMNS[1:9])
    known = {tuple(values) for values in pd.read_parquet(path, columns=ranks)[ranks].itertuples(index=False)}
    assert [row["scientificName"] for row in rows if tuple(row[rank] for rank in ranks) not in known] == []
