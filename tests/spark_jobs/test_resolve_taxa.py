"""Taxon ids are the same on every machine and for every spelling of a name."""

import unicodedata
from pathlib import Path
from typing import Any

import pytest

from tests.spark_jobs.spark_hash import spark_xxhash64

pytestmark = pytest.mark.spark

SPIDER = ("Animalia", "Arthropoda", "Arachnida", "Araneae", "Testidae")

TURDUS_MERULA = -613532717066957027
"""XXH64 of `species|animalia|turdus|merula` with seed 42, computed without Spark."""

LINEAGES = {
    # raw scientific name, seven raw ranks, raw common name -> key, scientific name, rank, common name, category
    ("Exempla rubra", *SPIDER, "Exempla", "rubra", "nan"): (
        "species|animalia|exempla|rubra",
        "Exempla rubra",
        "species",
        None,
        "Arachnida",
    ),
    ("", " Animalia ", "", "", "N/A", "null", "EXEMPLA", "  Rubra", " Red   one"): (
        "species|animalia|exempla|rubra",
        "EXEMPLA Rubra",
        "species",
        "Red one",
        "other",
    ),
    ("Exempla rubra minor", *SPIDER, "Exempla", "rubra", ""): (
        "species|animalia|exempla|rubra",
        "Exempla rubra minor",
        "species",
        None,
        "Arachnida",
    ),
    ("unknown", "Fungi", "", "", "", "", "", "", ""): ("kingdom|fungi|fungi", "Fungi", "kingdom", None, "Fungi"),
    ("", *SPIDER, "Exempla", "None", ""): ("genus|animalia|exempla", "Exempla", "genus", None, "Arachnida"),
    ("Exempla rubra", "", *SPIDER[1:], "Exempla", "rubra", ""): (
        "genus||exempla",
        "Exempla rubra",
        "genus",
        None,
        "Arachnida",
    ),
    ("Exempla rubra", "", "", "", "", "", "", "rubra", "Red"): (None, "Exempla rubra", None, "Red", "other"),
}


@pytest.fixture
def resolve(spark: Any, tmp_path: Path) -> Any:
    from spark_jobs.resolve_taxa import resolve_lineages
    from spark_jobs.scratch import Scratch

    def resolved(lineages: list[tuple[str, ...]]) -> dict[str, dict]:
        keys = spark.createDataFrame([("\x1f".join(lineage),) for lineage in lineages], "lineage_key string")
        with Scratch(spark, tmp_path, "taxa") as scratch:
            return {row["lineage_key"]: row.asDict() for row in resolve_lineages(keys, scratch).collect()}

    return resolved


def test_every_lineage_gets_its_documented_taxon(resolve: Any):
    found = resolve(list(LINEAGES))
    for lineage, (key, name, rank, common_name, category) in LINEAGES.items():
        row = found["\x1f".join(lineage)]
        assert row["taxon_id"] == (spark_xxhash64(key) if key else None), lineage
        assert (row["scientific_name"], row["taxon_rank"], row["common_name"], row["category"]) == (
            name,
            rank,
            common_name,
            category,
        )
        assert (row["species"] is None) == (rank != "species")


def test_both_unicode_forms_are_one_taxon_and_case_is_none(resolve: Any):
    composed = ("", "Animalia", "", "", "", "", "Exempla", "bl\u00e4ulich", "")
    decomposed = tuple(unicodedata.normalize("NFD", part) for part in composed)
    capitals = tuple(part.upper() for part in composed)
    assert composed != decomposed
    rows = resolve([composed, decomposed, capitals])
    assert len(rows) == 3
    assert {row["taxon_id"] for row in rows.values()} == {spark_xxhash64("species|animalia|exempla|bl\u00e4ulich")}


def test_known_taxon_id_never_changes(resolve: Any):
    rows = resolve([("", "Animalia", "", "", "", "", "Turdus", "merula", "")])
    assert [row["taxon_id"] for row in rows.values()] == [TURDUS_MERULA]
