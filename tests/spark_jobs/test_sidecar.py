"""A sidecar comes back as it was written, in the columns of the downloads table."""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_jobs.sidecar import SCHEMA, PhotoRow, ShardRow, read_sidecar, write_sidecar
from spark_jobs.statuses import Status
from spark_jobs.tables import DOWNLOADS, SHARDS
from taxonomy.errors import WorkFailedError

SHARD = ShardRow("d", "val", 3, "edge256", "taxaflow", "d-val-000003-0123456789ab.tar", "ab" * 32, 1024, 1, 1, "run-é")
NOW = datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
ROWS = [
    PhotoRow(0, -(2**62), Status.OK, 200, 1, NOW, None, 99, b"\0" * 32, 10, 20, 512),
    PhotoRow(1, 7, Status.GONE, 404, 1, NOW, "e" * 500),
]


def test_facts_and_rows_come_back(tmp_path):
    path = tmp_path / "dataset=other" / "a.tar.parquet"
    path.parent.mkdir()
    write_sidecar(path, SHARD, ROWS)
    shard, table = read_sidecar(path)
    assert shard == SHARD
    assert table.schema.equals(SCHEMA, check_metadata=False)
    first, second = table.to_pylist()
    shared = {"shard_file": SHARD.shard_file, "dataset": "d"}
    assert first == {**vars(ROWS[0]), **shared, "status": "ok"}
    assert second == {**vars(ROWS[1]), **shared, "status": "gone", "error": "e" * 200}


def test_a_shard_of_no_photos_has_a_sidecar_of_no_rows(tmp_path):
    write_sidecar(tmp_path / "a", replace(SHARD, num_samples=0, num_failed=0), [])
    assert read_sidecar(tmp_path / "a")[1].num_rows == 0


def test_the_columns_are_those_of_the_tables():
    assert SCHEMA.names == [column.name for column in DOWNLOADS.columns]
    assert {column.name for column in SHARDS.columns} <= set(vars(SHARD))


def test_what_is_no_sidecar_is_refused_by_name(tmp_path):
    (tmp_path / "torn").write_bytes(b"PAR1 half")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "foreign")
    for name in ("torn", "foreign"):
        with pytest.raises(WorkFailedError, match=name):
            read_sidecar(tmp_path / name)
