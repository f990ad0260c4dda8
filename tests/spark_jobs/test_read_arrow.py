"""Reading tables without a JVM."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.compute as pc
import pytest

from spark_jobs import table_io
from spark_jobs.tables import PHOTOS
from tests.conftest import PROJECT
from tests.spark_jobs.small_root import photo_row

READ = "import sys; from pathlib import Path; from spark_jobs import table_io; from spark_jobs.tables import PHOTOS; "
READ += "print(table_io.read_arrow(Path(sys.argv[1]), PHOTOS).num_rows)"


@pytest.mark.parametrize("name", ["root", "a root (1) with ünusual + letters & =x"])
def test_rows_come_back_filtered_and_in_the_columns_asked_for(tmp_path: Path, name: str):
    root = tmp_path / name
    for start in (1, 11):
        table_io.append_rows(root, PHOTOS, [photo_row(i) for i in range(start, start + 10)])
    rows = table_io.read_arrow(root, PHOTOS, ["photo_id"], pc.field("photo_id") > 15)
    assert sorted(rows["photo_id"].to_pylist()) == list(range(16, 21))
    assert table_io.has_rows(root, PHOTOS, pc.field("photo_id") == 7)
    assert not table_io.has_rows(root, PHOTOS, pc.field("photo_id") == 70)


@pytest.mark.process
def test_a_process_that_read_a_table_ends_in_peace(tmp_path: Path):
    for start in (1, 11, 21):
        table_io.append_rows(tmp_path, PHOTOS, [photo_row(i) for i in range(start, start + 10)])

    def read(_: int) -> tuple[int, str]:
        done = subprocess.run([sys.executable, "-c", READ, str(tmp_path)], cwd=PROJECT, capture_output=True, text=True)
        return done.returncode, done.stdout

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(read, range(24))) == {(0, "30\n")}
