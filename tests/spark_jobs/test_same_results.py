"""Files, row order and partitions change no table: ingest, count and select on generated dirty rows."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.make_metadata import main as make_metadata
from spark_jobs import count_taxa, ingest_photos, select_photos, table_io
from spark_jobs.config import CountConfig, IngestConfig, SelectConfig
from spark_jobs.tables import CATEGORY_COUNTS, PHOTO_REJECTS, PHOTOS, SELECTIONS, SPECIES_COUNTS

pytestmark = pytest.mark.spark
NUM_ROWS = 3000


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """Generated metadata with dirty rows, duplicates and conflicts in it."""
    folder = tmp_path_factory.mktemp("metadata")
    size = ["--rows", str(NUM_ROWS), "--species", "200", "--files", "2", "--lineages", "invented"]
    make_metadata(["biotrove", *size, "--out", str(folder), "--seed", "3", "--dirty", "0.1"])
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("*.parquet"))])


@pytest.fixture(scope="module")
def expected(spark, rows, tmp_path_factory):
    return results(spark, rows, tmp_path_factory.mktemp("one"), num_files=1, num_partitions=2)


def results(spark, rows: pa.Table, folder: Path, num_files: int, num_partitions: int) -> dict[str, pd.DataFrame]:
    """The tables and the counts of all three jobs, each sorted by its key."""
    shuffled = rows.take(pa.array(pd.Series(range(len(rows))).sample(frac=1, random_state=num_files)))
    source, root = folder / "metadata", folder / "root"
    source.mkdir()
    (root / "locks").mkdir(parents=True)
    for number in range(num_files):
        pq.write_table(shuffled.take(list(range(number, len(rows), num_files))), source / f"chunk_{number}.parquet")
    before = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", str(num_partitions))
    try:
        summaries = [
            ingest_photos.run(spark, IngestConfig("biotrove", source, root, "2026-10")),
            count_taxa.run(spark, CountConfig(root, rare=5, cap=50)),
            select_photos.run(spark, SelectConfig(root, "some", min_photos=5, max_photos=50, test=0.2, val=0.1)),
        ]
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", before)
    found = {summary.job: pd.DataFrame([summary.counts]) for summary in summaries}
    for table in (PHOTOS, PHOTO_REJECTS, SPECIES_COUNTS, CATEGORY_COUNTS, SELECTIONS):
        frame = table_io.read_arrow(root, table).to_pandas().sort_values(list(table.key)).reset_index(drop=True)
        found[table.name] = frame.drop(columns="source_file", errors="ignore")
    return found


def check_same(found: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> None:
    assert expected["ingest"]["duplicates"][0] > 0 and expected["ingest"]["conflicts"][0] > 0
    assert len(expected["photo_rejects"]) > 0 and len(set(expected["selections"].fate)) == 4
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(found[name], frame, obj=name)


def test_seven_files_shuffled_and_fifty_partitions(spark, rows, expected, tmp_path):
    check_same(results(spark, rows, tmp_path, num_files=7, num_partitions=50), expected)


@pytest.mark.long
def test_sixty_four_files(spark, rows, expected, tmp_path):
    check_same(results(spark, rows, tmp_path, num_files=64, num_partitions=2), expected)
