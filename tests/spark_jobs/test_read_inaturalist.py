"""iNaturalist's four tables become photos with seven ranks, or rejects with their reason."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.inaturalist_files import INaturalistConfig, write_inaturalist
from spark_jobs.config import IngestConfig
from spark_jobs.ingest_photos import check
from spark_jobs.locks import check_root
from taxonomy.errors import BadInputError
from tests.spark_jobs.metadata_cases import FIXTURES, ingest, photos_of, rejects_of, versions
from tests.spark_jobs.spark_hash import spark_xxhash64

pytestmark = pytest.mark.spark

BUCKET = "https://inaturalist-open-data.s3.amazonaws.com/photos"


@pytest.fixture(scope="module")
def fixture_root(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The root after an ingest of the committed four tables, and its summary."""
    root = tmp_path_factory.mktemp("inaturalist") / "root"
    check_root(root)
    return root, ingest(spark, root, "inaturalist", FIXTURES / "inaturalist")


def test_every_row_is_accounted_for(fixture_root: Any):
    assert {name: number for name, number in fixture_root[1].counts.items() if number} == {
        "rows_read": 12,
        "new": 7,
        "duplicates": 1,
        "conflicts": 1,
        "rejects": 3,
        "rejects_no_taxon": 1,
        "rejects_not_research_grade": 1,
        "rejects_no_observation": 1,
    }


def test_photo_has_lineage_url_and_credit(fixture_root: Any):
    photo = photos_of(fixture_root[0])[501]
    assert photo == {
        "photo_id": 501,
        "source_photo_id": None,
        "group_id": "00000000-0000-4000-8000-000000000001",
        "taxon_id": spark_xxhash64("species|animalia|exemplornis|novus"),
        "scientific_name": "Exemplornis novus",
        "taxon_rank": "species",
        "kingdom": "Animalia",
        "phylum": "Chordata",
        "class": "Aves",
        "order": "Testiformes",
        "family": "Testidae",
        "genus": "Exemplornis",
        "species": "novus",
        "common_name": None,
        "category": "Aves",
        "photo_url": f"{BUCKET}/501/medium.jpg",
        "license": "CC-BY",
        "attribution": '(c) Ana "Lens" Silva, CC-BY',
        "source": "inaturalist",
        "first_snapshot": "2026-10",
        "changed_snapshot": "2026-10",
        "gone_snapshot": None,
    }


def test_ranks_beside_the_seven(fixture_root: Any):
    photos = photos_of(fixture_root[0])
    subspecies, genus, hybrid_species, hybrid = (photos[number] for number in (503, 504, 505, 506))
    assert subspecies["taxon_id"] == photos[501]["taxon_id"]
    assert (subspecies["scientific_name"], subspecies["species"]) == ("Exemplornis novus minor", "novus")
    assert (genus["taxon_rank"], genus["species"], genus["scientific_name"]) == ("genus", None, "Exemplornis")
    assert (hybrid_species["genus"], hybrid_species["species"]) == ("Salix", "exempla")
    assert hybrid_species["scientific_name"] == "Salix \u00d7 exempla"
    assert hybrid_species["order"] is None  # an ancestor that the table lacks
    assert (hybrid["taxon_rank"], hybrid["scientific_name"]) == ("genus", "Salix alba \u00d7 exempla")


def test_credits_and_extensions(fixture_root: Any):
    photos = photos_of(fixture_root[0])
    assert photos[502]["attribution"] == 'Ana "Lens" Silva, CC0'
    assert photos[502]["photo_url"] == f"{BUCKET}/502/medium.png"
    assert photos[504]["attribution"] == '(c) "open quote, CC-BY-SA'
    assert photos[510]["attribution"] is None  # an observer that the table lacks
    # of two observations of one photo the smaller row stays, group_id being the first column that differs
    assert photos[501]["group_id"].endswith("1")


def test_rejects_hold_what_decided(fixture_root: Any):
    rejects = {row["reason"]: json.loads(row["raw"]) for row in rejects_of(fixture_root[0])}
    assert rejects["not_research_grade"]["quality_grade"] == "needs_id"
    assert rejects["no_observation"]["observation_id"].endswith("99")
    assert "genus" not in rejects["no_taxon"]


def test_any_quality_takes_more(spark: Any, root: Path):
    summary = ingest(spark, root, "inaturalist", FIXTURES / "inaturalist", quality="any")
    assert summary.counts["new"] == 8
    assert "rejects_not_research_grade" not in summary.counts


def test_two_generated_months(spark: Any, root: Path, tmp_path: Path):
    config = INaturalistConfig(out=tmp_path / "in", photos=600, species=60, months=2, lineages="invented")
    first, second = write_inaturalist(config)["months"]  # pyright: ignore
    found = [
        ingest(spark, root, "inaturalist", tmp_path / "in" / f"month{number}", f"2026-1{number}", complete=True).counts
        for number in (1, 2)
    ]
    for truth, counts in zip((first, second), found, strict=True):
        extra = truth["second_rows"]
        assert counts["rows_read"] == truth["rows"]
        assert counts["duplicates"] == extra["duplicate"]
        assert counts["conflicts"] == extra["same_taxon"] + extra["other_taxon"]
        assert {name: counts.get(f"rejects_{name}", 0) for name in truth["rejects"]} == truth["rejects"]
    assert found[0]["new"] == first["photos"]
    assert (found[1]["new"], found[1]["gone"]) == (second["changes"]["new"], second["changes"]["withdrawn"])
    photos = photos_of(root).values()
    present = [row for row in photos if row["gone_snapshot"] is None]
    assert len(present) == second["photos"]
    assert sum(row["taxon_rank"] != "species" for row in present) == second["above_species_rank"]


def test_missing_table_or_column_is_named(root: Path, tmp_path: Path):
    folder = tmp_path / "in"
    shutil.copytree(FIXTURES / "inaturalist", folder)
    config = IngestConfig(source="inaturalist", input=folder, root=root, snapshot="2026-10")
    check(config)
    (folder / "taxa.csv.gz").write_bytes(gzip.compress(b"taxon_id\tname\n"))
    with pytest.raises(BadInputError, match=r"taxa\.csv\.gz: column ancestry, rank is missing"):
        check(config)
    (folder / "taxa.csv.gz").unlink()
    with pytest.raises(BadInputError, match=r"lacks taxa\.csv\.gz"):
        check(config)
    with pytest.raises(BadInputError, match="give the folder"):
        check(
            IngestConfig(
                source="inaturalist", input=FIXTURES / "biotrove" / "chunk_1.parquet", root=root, snapshot="2026-10"
            )
        )
    assert versions(root) == {}
