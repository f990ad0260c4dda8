"""Small metadata files for the ingest tests, and what the tables hold after an ingest."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from spark_jobs import table_io
from spark_jobs.config import IngestConfig
from spark_jobs.tables import PHOTO_REJECTS, PHOTOS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_jobs.runs import Summary

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"

PUBLISHED_COLUMNS = (
    "photo_id",
    "scientificName",
    "kingdom",
    "phylum",
    "class",
    "order",
    "family",
    "genus",
    "species",
    "common_name",
    "photo_url",
)

BUCKET = "http://inaturalist-open-data.s3.amazonaws.com/photos"


def source_row(photo_id: int | None, epithet: str = "rubra", **values: object) -> dict[str, object]:
    """A row of BioTrove's form, of the invented spider `Exempla <epithet>` unless `values` says otherwise."""
    row = dict(
        zip(
            PUBLISHED_COLUMNS,
            (photo_id, f"Exempla {epithet}", "Animalia", "Arthropoda", "Arachnida", "Araneae", "Testidae", "Exempla"),
            strict=False,
        )
    )
    return {**row, "species": epithet, "common_name": None, "photo_url": f"{BUCKET}/{photo_id}/medium.jpg", **values}


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write rows as parquet or CSV, by the ending of the name; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(name for row in rows for name in row))
    kinds = {name: pa.int64() if any(isinstance(row.get(name), int) for row in rows) else pa.string() for name in names}
    table = pa.Table.from_pylist([dict(row) for row in rows], pa.schema(list(kinds.items())))
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        pa_csv.write_csv(table, path, pa_csv.WriteOptions(quoting_style="needed"))
    return path


def ingest(
    spark: "SparkSession", root: Path, source: str, path: Path, snapshot: str = "2026-10", **options: object
) -> "Summary":
    """Check and run an ingest."""
    from spark_jobs import ingest_photos

    config = IngestConfig(source=source, input=path, root=root, snapshot=snapshot, **options)  # pyright: ignore
    ingest_photos.check(config)
    return ingest_photos.run(spark, config)


def photos_of(root: Path, *without: str) -> dict[int, dict[str, object]]:
    """photo_id -> its row, as a reader without a JVM sees it, leaving out some columns."""
    rows = table_io.read_arrow(root, PHOTOS).drop_columns(list(without)).to_pylist()
    by_id = {row["photo_id"]: row for row in rows}
    assert len(by_id) == len(rows), "a photo_id is there twice"
    return by_id


def rejects_of(root: Path) -> list[dict[str, object]]:
    """The rejects without source_file, sorted by reason and content."""
    rows = table_io.read_arrow(root, PHOTO_REJECTS).drop_columns(["source_file"]).to_pylist()
    return sorted(rows, key=lambda row: (row["reason"], row["raw"]))


def versions(root: Path) -> dict[str, int]:
    """Versions of the two tables that an ingest writes."""
    return table_io.versions(root, [PHOTOS, PHOTO_REJECTS])
