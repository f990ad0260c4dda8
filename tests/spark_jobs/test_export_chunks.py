"""Exported chunks: the selection in order, the same bytes again, only its own old files removed."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_jobs import table_io
from spark_jobs.tables import PHOTOS, SELECTIONS
from tests.spark_jobs.selection_cases import BIRD, photo, random_photos, some_config

pytestmark = pytest.mark.spark

SPLITS = ("train", "val", "test")
PUBLISHED = pa.schema(
    [("photo_id", pa.int64())]
    + [(name, pa.string()) for name in ("scientificName", "kingdom", "phylum", "class", "order", "family", "genus")]
    + [(name, pa.string()) for name in ("species", "common_name", "photo_url")]
)


@pytest.fixture
def selected(spark, root):
    """A root with a selection of random photos, and those photos by id."""
    from spark_jobs.select_photos import run

    photos = random_photos(1500, seed=8)
    table_io.append_rows(root, PHOTOS, photos)
    run(spark, some_config(root))
    return root, {row["photo_id"]: row for row in photos}


def _export(spark, root, size, **config):
    from spark_jobs.export_chunks import export
    from spark_jobs.taxa import taxa

    photos = table_io.read(spark, root, PHOTOS)
    rows = table_io.read(spark, root, SELECTIONS).filter("dataset = 'd'")
    return export(some_config(root, export=root / "out", **config), photos, taxa(photos), rows, size)


def _selected_ids(root, split):
    """Ids in the order of their hash."""
    rows = [row for row in table_io.read_arrow(root, SELECTIONS).to_pylist() if row["fate"] == split]
    return [row["photo_id"] for row in sorted(rows, key=lambda row: row["order_hash"])]


def test_files_hold_the_selection_in_order_and_full_but_the_last(spark, selected):
    root, photos = selected
    note = _export(spark, root, size=100)
    num_files = num_rows = 0
    for split in SPLITS:
        files = sorted((root / "out" / split).iterdir())
        assert [path.name for path in files] == [f"processed_chunks_{n:04d}.parquet" for n in range(1, len(files) + 1)]
        tables = [pq.read_table(path) for path in files]
        assert all(table.schema.equals(PUBLISHED) for table in tables)
        assert all(table.num_rows == 100 for table in tables[:-1]) and 0 < tables[-1].num_rows <= 100
        rows = pa.concat_tables(tables).to_pylist()
        assert [row["photo_id"] for row in rows] == _selected_ids(root, split)
        for row in rows:
            source = photos[row["photo_id"]]
            assert (row["scientificName"], row["photo_url"]) == (source["scientific_name"], source["photo_url"])
            assert (row["genus"], row["species"]) == (source["genus"], source["species"])
            assert row["class"] != "Reptilia", "ranks are the taxon's, not the odd row's"
        num_files, num_rows = num_files + len(files), num_rows + len(rows)
    assert note.startswith(f"{num_rows:,} rows in {num_files} files in ")


def test_the_last_full_chunk_and_exact_multiples(spark, root):
    from spark_jobs.select_photos import run

    table_io.append_rows(root, PHOTOS, [photo(number, BIRD) for number in range(60)])
    run(spark, some_config(root, val=0.0, test=0.0))
    for size, sizes in ((20, [20, 20, 20]), (60, [60]), (59, [59, 1]), (61, [60])):
        _export(spark, root, size)
        files = sorted((root / "out" / "train").iterdir())
        assert [pq.read_metadata(path).num_rows for path in files] == sizes
        assert list((root / "out" / "val").iterdir()) == []


def test_again_gives_the_same_bytes_and_removes_only_its_own_old_files(spark, selected):
    root, _ = selected
    _export(spark, root, size=50)
    out = root / "out"
    larger = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    others = [out / "train" / "notes.txt", out / "train" / "processed_chunks_1.parquet", out / "keep.parquet"]
    others += [out / "val" / "processed_chunks_0001.parquet.bak"]
    stale = [out / "test" / "processed_chunks_0999.parquet", out / "val" / ".processed_chunks_0001.parquet.77.tmp"]
    for path in (*others, *stale):
        path.write_text("x")
    _export(spark, root, size=50)
    assert {path: path.read_bytes() for path in larger} == larger
    assert all(path.read_text() == "x" for path in others) and not any(path.exists() for path in stale)
    _export(spark, root, size=10_000)
    assert {path for path in out.rglob("*") if path.is_file()} == {
        *others,
        *(out / split / "processed_chunks_0001.parquet" for split in SPLITS),
    }


def test_select_exports_where_asked_even_if_nothing_changed(spark, selected):
    from spark_jobs.select_photos import run

    root, _ = selected
    summary = run(spark, some_config(root, export=root / "out"))
    assert not summary.changed
    for split in SPLITS:
        table = pq.read_table(root / "out" / split / "processed_chunks_0001.parquet")
        assert table.column("photo_id").to_pylist() == _selected_ids(root, split)
        assert table.num_rows == summary.counts[split]
    assert any(note.endswith(f"in {root / 'out'}") for note in summary.notes)
