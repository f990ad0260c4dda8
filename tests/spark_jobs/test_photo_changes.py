"""Later ingests: only what is new, changed or gone is written, and sources do not overwrite each other."""

from pathlib import Path
from typing import Any

import pytest

from spark_jobs import table_io
from spark_jobs.tables import PHOTOS
from taxonomy.ranks import CATEGORIES, OTHER_CATEGORY, category_of
from tests.spark_jobs.metadata_cases import ingest, photos_of, source_row, versions, write_rows

pytestmark = pytest.mark.spark

SNAPSHOTS = ("first_snapshot", "changed_snapshot", "gone_snapshot")


def _snapshots(root: Path) -> dict[int, tuple]:
    return {photo_id: tuple(row[name] for name in SNAPSHOTS) for photo_id, row in photos_of(root).items()}


def _operations(root: Path) -> list[str]:
    history = table_io.open_table(root, PHOTOS).history()
    return [entry["operation"] for entry in reversed(history) if entry["operation"] in ("WRITE", "MERGE")]


def test_months_write_new_changed_gone_and_returned_photos(spark: Any, root: Path, tmp_path: Path):
    october = [source_row(number) for number in range(1, 9)]
    november = [
        *october[:3],
        source_row(4, epithet="alba"),  # another name
        source_row(5, common_name="Red"),  # a value instead of null
        source_row(9),
    ]
    path = write_rows(tmp_path / "rows.parquet", october)
    ingest(spark, root, "biotrove", path)
    write_rows(path, november)
    second = ingest(spark, root, "biotrove", path, "2026-11", complete=True)
    assert [second.counts[name] for name in ("new", "changed", "unchanged", "gone")] == [1, 2, 3, 3]
    assert _snapshots(root) == {
        **{number: ("2026-10", "2026-10", None) for number in (1, 2, 3)},
        **{number: ("2026-10", "2026-11", None) for number in (4, 5)},
        **{number: ("2026-10", "2026-11", "2026-11") for number in (6, 7, 8)},
        9: ("2026-11", "2026-11", None),
    }
    photos = photos_of(root)
    assert (photos[4]["species"], photos[5]["common_name"]) == ("alba", "Red")
    assert _operations(root) == ["WRITE", "MERGE"]

    before = versions(root)
    again = ingest(spark, root, "biotrove", path, "2026-12", complete=True)
    assert not again.changed
    assert versions(root) == before

    write_rows(path, [*november, source_row(6), source_row(10)])
    fourth = ingest(spark, root, "biotrove", path, "2026-12")
    assert [fourth.counts[name] for name in ("new", "changed", "unchanged", "gone")] == [1, 1, 6, 0]
    assert _snapshots(root)[6] == ("2026-10", "2026-12", None)
    assert _snapshots(root)[7] == ("2026-10", "2026-11", "2026-11")
    assert photos_of(root)[6]["family"] == "Testidae"


def test_only_new_photos_are_appended(spark: Any, root: Path, tmp_path: Path):
    ingest(spark, root, "biotrove", write_rows(tmp_path / "a.parquet", [source_row(1), source_row(2)]))
    more = [source_row(2), source_row(3), source_row(3), source_row(4)]
    summary = ingest(spark, root, "biotrove", write_rows(tmp_path / "b.parquet", more), "2026-11")
    assert [summary.counts[name] for name in ("new", "unchanged", "duplicates")] == [2, 1, 1]
    assert _operations(root) == ["WRITE", "WRITE"]
    assert _snapshots(root)[3] == ("2026-11", "2026-11", None)


def test_moved_null_is_a_change(spark: Any, root: Path, tmp_path: Path):
    """The same words in other columns hash alike unless nulls count."""
    upper = {"phylum": None, "class": None, "order": None, "family": None}
    path = write_rows(tmp_path / "rows.parquet", [source_row(1, **{**upper, "order": "Testia"})])
    ingest(spark, root, "biotrove", path)
    write_rows(path, [source_row(1, **{**upper, "family": "Testia"})])
    assert ingest(spark, root, "biotrove", path, "2026-11").counts["changed"] == 1
    assert photos_of(root)[1]["family"] == "Testia"
    assert photos_of(root)[1]["order"] is None


def test_another_source_fills_nulls_only(spark: Any, root: Path, tmp_path: Path):
    own = [
        source_row(1, **{"class": None, "common_name": "Own"}),
        source_row(2, **{"class": None}),
        source_row(3, common_name=None),
    ]
    other = [
        source_row(71, photo_url="https://static.inaturalist.org/photos/1/a.jpg", common_name="Other", license="CC0"),
        source_row(72, photo_url="https://static.inaturalist.org/photos/2/a.jpg", epithet="alba", license="CC-BY"),
        source_row(73, photo_url="https://static.inaturalist.org/photos/4/a.jpg", license=None),
    ]
    own_file, other_file = write_rows(tmp_path / "own.parquet", own), write_rows(tmp_path / "other.csv", other)
    ingest(spark, root, "biotrove", own_file)
    before = photos_of(root)
    filled = ingest(spark, root, "csv", other_file, "2026-11", complete=True)
    assert [filled.counts[name] for name in ("new", "changed", "unchanged", "gone")] == [1, 2, 0, 0]
    photos = photos_of(root)
    assert photos[1] == {
        **before[1],
        "source_photo_id": "71",
        "class": "Arachnida",
        "category": "Arachnida",
        "license": "CC0",
        "changed_snapshot": "2026-11",
    }
    # another taxon: its lineage stays, what is not of the lineage is filled
    assert photos[2] == {**before[2], "source_photo_id": "72", "license": "CC-BY", "changed_snapshot": "2026-11"}
    assert photos[3] == before[3]
    assert photos[4]["source"] == "csv"

    version = table_io.version(root, PHOTOS)
    assert not ingest(spark, root, "csv", other_file, "2026-12", complete=True).changed
    # BioTrove's files have no licence: they do not take back what another source filled in
    returned = ingest(spark, root, "biotrove", own_file, "2026-12")
    assert table_io.version(root, PHOTOS) == version + 1
    assert returned.counts["changed"] == 1  # photo 1 again says that it knows no class
    assert photos_of(root)[1]["license"] == "CC0"
    assert photos_of(root)[1]["class"] is None


def test_group_never_changes_and_gone_is_cleared_by_the_own_source_only(spark: Any, root: Path, tmp_path: Path):
    columns = {"license": "CC0", "observation_id": "o1"}
    path = write_rows(tmp_path / "rows.csv", [source_row(number, **columns) for number in (1, 2)])
    ingest(spark, root, "csv", path)
    write_rows(path, [source_row(1, **{**columns, "observation_id": "o2"})])
    moved = ingest(spark, root, "csv", path, "2026-11", complete=True)
    assert (moved.counts["unchanged"], moved.counts["gone"]) == (1, 1)
    assert {row["group_id"] for row in photos_of(root).values()} == {"o1"}
    other = write_rows(tmp_path / "other.parquet", [source_row(2)])
    assert not ingest(spark, root, "biotrove", other, "2026-12").changed
    assert _snapshots(root)[2][2] == "2026-11"


def test_category_expression_agrees_with_the_taxonomy(spark: Any):
    from spark_jobs.taxa import category_column

    lineages = [{rank: name} for rank, name in CATEGORIES.values()]
    lineages += [{"kingdom": "Plantae", "class": "Aves"}, {"class": "Mammalia"}, {}]
    schema = "kingdom string, phylum string, class string"
    rows = [tuple(lineage.get(name) for name in ("kingdom", "phylum", "class")) for lineage in lineages]
    frame = spark.createDataFrame(rows, schema)
    found = [row[0] for row in frame.select(category_column()).collect()]
    assert found == [category_of(lineage) for lineage in lineages]
    assert found[-1] == OTHER_CATEGORY
