"""Values are counted without the JVM and without the rows in memory."""

from collections import Counter

import pyarrow.compute as pc

from spark_jobs import table_io
from spark_jobs.tables import PHOTOS
from tests.spark_jobs.small_root import photo_row


def test_values_are_counted_over_files_and_batches(root):
    rows = [photo_row(i) | {"taxon_id": i % 7, "source": "ab"[i % 2]} for i in range(1, 301)]
    for start in range(0, 300, 100):
        table_io.append_rows(root, PHOTOS, rows[start : start + 100])
    found = table_io.count_values(root, PHOTOS, ["taxon_id", "source"], pc.field("taxon_id") < 5)
    expected = Counter((row["taxon_id"], row["source"]) for row in rows if row["taxon_id"] < 5)
    assert {(one["taxon_id"], one["source"]): one["num_rows"] for one in found.to_pylist()} == expected


def test_no_rows_have_no_values(root):
    table_io.create(root, PHOTOS)
    found = table_io.count_values(root, PHOTOS, ["source"])
    assert found.column_names == ["source", "num_rows"]
    assert found.num_rows == 0
