"""First ingests: every row ends in photos, as a duplicate, a conflict, or in photo_rejects."""

import json
import random
import threading
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from spark_jobs import table_io
from spark_jobs.locks import check_root, lock
from spark_jobs.tables import PHOTOS, RUNS, WITHDRAWALS
from taxonomy.errors import BadInputError
from tests.spark_jobs.metadata_cases import (
    BUCKET,
    FIXTURES,
    ingest,
    photos_of,
    rejects_of,
    source_row,
    versions,
    write_rows,
)
from tests.spark_jobs.spark_hash import spark_xxhash64

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def fixture_root(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The root after an ingest of the committed parquet files, and its summary."""
    root = tmp_path_factory.mktemp("fixture") / "root"
    check_root(root)
    return root, ingest(spark, root, "biotrove", FIXTURES / "biotrove")


def test_fixture_counts_add_up_and_are_recorded(fixture_root: Any):
    root, summary = fixture_root
    assert dict(summary.counts) == {
        "rows_read": 18,
        "new": 11,
        "changed": 0,
        "unchanged": 0,
        "duplicates": 2,
        "conflicts": 1,
        "rejects": 4,
        "gone": 0,
        "rejects_no_photo_id": 1,
        "rejects_no_url": 1,
        "rejects_bad_url": 1,
        "rejects_no_taxon": 1,
    }
    assert summary.changed
    assert any("taxonRank" in note and note.startswith("1 rows") for note in summary.notes)
    run = table_io.read_arrow(root, RUNS).to_pylist()[0]
    assert json.loads(run["counts"]) == dict(summary.counts)
    assert json.loads(run["output_versions"])["photos"] == table_io.version(root, PHOTOS)
    assert table_io.read_arrow(root, WITHDRAWALS).num_rows == 0
    assert not (root / "scratch-ingest").exists()


def test_fixture_photos_are_cleaned(fixture_root: Any):
    photos = photos_of(fixture_root[0])
    assert sorted(photos) == [101, 102, 103, 104, 105, 106, 107, 110, 111, 112, 115]
    rubra = spark_xxhash64("species|animalia|exempla|rubra")
    assert {photo_id for photo_id, row in photos.items() if row["taxon_id"] == rubra} == {101, 102, 103, 106, 111}
    assert photos[101] == {
        "photo_id": 101,
        "source_photo_id": None,
        "group_id": "101",
        "taxon_id": rubra,
        "scientific_name": "Exempla rubra",
        "taxon_rank": "species",
        "kingdom": "Animalia",
        "phylum": "Arthropoda",
        "class": "Arachnida",
        "order": "Araneae",
        "family": "Testidae",
        "genus": "Exempla",
        "species": "rubra",
        "common_name": "Red Example",
        "category": "Arachnida",
        "photo_url": f"{BUCKET}/101/medium.jpg",
        "license": None,
        "attribution": None,
        "source": "biotrove",
        "first_snapshot": "2026-10",
        "changed_snapshot": "2026-10",
        "gone_snapshot": None,
    }
    assert photos[103]["scientific_name"] == "Exempla rubra minor"
    assert (photos[105]["taxon_rank"], photos[105]["species"]) == ("genus", None)
    assert (photos[106]["scientific_name"], photos[106]["common_name"]) == ("Exempla rubra", None)
    assert photos[107]["taxon_id"] == photos[110]["taxon_id"]
    assert photos[110]["common_name"] is None
    cleaned = photos[111]
    assert (cleaned["scientific_name"], cleaned["kingdom"], cleaned["order"], cleaned["family"], cleaned["genus"]) == (
        "Exempla rubra",
        "Animalia",
        None,
        None,
        "Exempla",
    )
    assert (photos[112]["scientific_name"], photos[112]["category"]) == ("Fungi", "Fungi")
    assert photos[115]["category"] == "Mollusca"


def test_smallest_of_conflicting_rows_stays(fixture_root: Any):
    photo = photos_of(fixture_root[0])[104]
    red, white = (spark_xxhash64(f"species|plantae|plantago|{epithet}") for epithet in ("rubra", "alba"))
    assert photo["taxon_id"] == min(red, white)  # the first column in which the two rows differ


def test_rejects_keep_the_row_as_it_was(fixture_root: Any):
    rejects = rejects_of(fixture_root[0])
    assert [row["reason"] for row in rejects] == ["bad_url", "no_photo_id", "no_taxon", "no_url"]
    raw = json.loads(rejects[0]["raw"])
    assert raw["photo_url"] == "see the website"
    assert raw["photo_id"] == "109"
    assert None not in raw.values()
    assert json.loads(rejects[2]["raw"])["genus"] == "nan"
    assert {(row["source"], row["snapshot"], row["num_rows"]) for row in rejects} == {("biotrove", "2026-10", 1)}


def test_same_files_again_commit_nothing(spark: Any, fixture_root: Any):
    root, _ = fixture_root
    before, photos = versions(root), photos_of(root)
    again = ingest(spark, root, "biotrove", FIXTURES / "biotrove", "2026-11")
    assert (again.counts["unchanged"], again.counts["new"], again.counts["duplicates"]) == (11, 0, 2)
    assert versions(root)["photos"] == before["photos"]
    same_month = ingest(spark, root, "biotrove", FIXTURES / "biotrove")
    assert not same_month.changed
    assert photos_of(root) == photos


def test_csv_gives_the_same_tables_as_parquet(spark: Any, fixture_root: Any, root: Path):
    first, summary = fixture_root
    texts = ingest(spark, root, "biotrove", FIXTURES / "biotrove_csv")
    assert texts.counts == summary.counts
    assert photos_of(root) == photos_of(first)
    assert rejects_of(root) == [row for row in rejects_of(first) if row["snapshot"] == "2026-10"]


def test_order_and_number_of_files_change_nothing(spark: Any, fixture_root: Any, root: Path, tmp_path: Path):
    first, summary = fixture_root
    rows = [row for path in sorted((FIXTURES / "biotrove").glob("*")) for row in pq.read_table(path).to_pylist()]
    random.Random(5).shuffle(rows)
    names = [name for name in rows[0] if name != "taxonRank"]
    for index in range(7):
        part = [{name: row[name] for name in names} for row in rows[index::7]]
        pq.write_table(pa.Table.from_pylist(part, _schema(names)), _made(tmp_path / "in") / f"{index}.parquet")
    shuffled = ingest(spark, root, "biotrove", tmp_path / "in")
    assert shuffled.counts == summary.counts
    assert photos_of(root) == photos_of(first)
    assert rejects_of(root) == [row for row in rejects_of(first) if row["snapshot"] == "2026-10"]


def _schema(names: list[str]) -> pa.Schema:
    return pa.schema([(name, pa.int64() if name == "photo_id" else pa.string()) for name in names])


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def test_csv_source_makes_ids_of_urls_and_keeps_the_rest(spark: Any, root: Path, tmp_path: Path):
    rows = [
        source_row(1, photo_url="/pictures/a.jpg", license="CC0-1.0", attribution='by "A", B', observation_id="o1"),
        source_row(2, photo_url="/pictures/b.jpg", license="nan", attribution=" ", observation_id=None),
        source_row(3, photo_url=" https://static.inaturalist.org/photos/77/large.jpg?1 "),
        source_row(4, photo_url="https://inaturalist-open-data.s3.amazonaws.com/photos/78/original.png"),
        source_row(5, photo_url="//host/c.jpg"),
        source_row(6, photo_url="null"),
        source_row(None, photo_url="https://example.org/d.jpg"),
        source_row(8, photo_url="/pictures/a.jpg", license="CC0-1.0", attribution='by "A", B', observation_id="o1"),
    ]
    path = write_rows(
        tmp_path / "rows.csv", [{**source_row(0, license="", attribution="", observation_id=""), **row} for row in rows]
    )
    summary = ingest(spark, root, "csv", path, source_name="mine")
    assert {name: number for name, number in summary.counts.items() if number} == {
        "rows_read": 8,
        "new": 5,
        "conflicts": 1,
        "rejects": 2,
        "rejects_no_url": 1,
        "rejects_bad_url": 1,
    }
    by_url = {row["photo_url"]: row for row in photos_of(root).values()}
    assert {row["source"] for row in by_url.values()} == {"mine"}
    first = by_url["/pictures/a.jpg"]
    assert first["photo_id"] == -1 - (spark_xxhash64("mine", "/pictures/a.jpg") & (2**63 - 1))
    assert (first["source_photo_id"], first["group_id"], first["license"], first["attribution"]) == (
        "1",
        "o1",
        "CC0-1.0",
        'by "A", B',
    )
    second = by_url["/pictures/b.jpg"]
    assert (second["license"], second["attribution"], second["group_id"]) == (None, None, str(second["photo_id"]))
    assert by_url["https://static.inaturalist.org/photos/77/large.jpg?1"]["photo_id"] == 77
    assert by_url["https://inaturalist-open-data.s3.amazonaws.com/photos/78/original.png"]["photo_id"] == 78
    assert by_url["https://example.org/d.jpg"]["source_photo_id"] is None


def test_odd_photo_ids(spark: Any, root: Path, tmp_path: Path):
    texts = ["12", " 13 ", "14.0", "-5", "15.5", "abc", "99999999999999999999", "nan", ""]
    rows = [{**source_row(1), "photo_id": text, "photo_url": f"http://h/{index}"} for index, text in enumerate(texts)]
    for row in rows:
        row["photo_id"] = str(row["photo_id"])
    summary = ingest(spark, root, "biotrove", write_rows(tmp_path / "in" / "rows.csv", rows))
    assert sorted(photos_of(root)) == [12, 13, 14]
    assert summary.counts["rejects_no_photo_id"] == 6


def test_float_ids_of_pandas_are_taken(spark: Any, root: Path, tmp_path: Path):
    rows = pa.Table.from_pylist([source_row(1), source_row(2)])
    ids = pa.array([268633382.0, None])
    path = tmp_path / "floats.parquet"
    pq.write_table(rows.set_column(0, "photo_id", ids), path)
    ingest(spark, root, "biotrove", path)
    assert list(photos_of(root)) == [268633382]


def test_only_rejects_still_makes_all_tables(spark: Any, root: Path, tmp_path: Path):
    rows = [{**source_row(1), "photo_url": None}, {**source_row(1), "photo_url": None}, source_row(2, photo_url="x")]
    path = write_rows(tmp_path / "rows.parquet", rows)
    summary = ingest(spark, root, "biotrove", path)
    assert (summary.counts["new"], summary.counts["rejects"]) == (0, 3)
    assert sorted(row["num_rows"] for row in rejects_of(root)) == [1, 2]
    before = versions(root)
    write_rows(path, rows[1:])
    assert ingest(spark, root, "biotrove", path).changed
    assert versions(root) == {"photos": before["photos"], "photo_rejects": before["photo_rejects"] + 1}
    assert [row["num_rows"] for row in rejects_of(root)] == [1, 1]


def test_input_without_photos_changes_no_photo(spark: Any, root: Path, tmp_path: Path):
    ingest(spark, root, "biotrove", write_rows(tmp_path / "first.parquet", [source_row(1)]))
    before = versions(root)
    for name in ("none.csv", "none.parquet"):
        empty = write_rows(tmp_path / name, [source_row(1)])
        if name.endswith(".csv"):
            empty.write_text(empty.read_text().splitlines()[0] + "\n")
        else:
            pq.write_table(pq.read_table(empty).slice(0, 0), empty)
        summary = ingest(spark, root, "biotrove", empty)
        assert (set(summary.counts.values()), summary.changed) == ({0}, False)
    only_bad = write_rows(tmp_path / "bad.csv", [source_row(2, photo_url="x")])
    assert ingest(spark, root, "biotrove", only_bad, complete=True).counts["gone"] == 1
    assert versions(root)["photos"] == before["photos"] + 1


def test_quoted_line_breaks_stay_in_their_row(spark: Any, root: Path, tmp_path: Path):
    whom = ["(c) one,\nall rights", '(c) "two"\r\n\nof a kind', "(c) three"]
    rows = [source_row(number, attribution=text) for number, text in enumerate(whom, start=1)]
    summary = ingest(spark, root, "biotrove", write_rows(tmp_path / "rows.csv", rows))
    assert (summary.counts["rows_read"], summary.counts["new"]) == (3, 3)
    found = [str(photos_of(root)[number]["attribution"]) for number in (1, 2, 3)]
    assert [text.replace("\r\n", "\n") for text in found] == [text.replace("\r\n", "\n") for text in whom]


def test_root_and_input_with_spaces_and_pattern_letters(spark: Any, tmp_path: Path):
    root = tmp_path / "my data" / "{a}*? é"
    check_root(root)
    first = write_rows(tmp_path / "in *" / "a b.csv", [source_row(1), source_row(2)])
    assert ingest(spark, root, "biotrove", first).counts["new"] == 2
    second = write_rows(tmp_path / "in *" / "a b.parquet", [source_row(2, "nigra"), source_row(3)])
    counts = ingest(spark, root, "biotrove", second).counts
    assert (counts["new"], counts["changed"]) == (1, 1)
    read = {row["photo_id"]: row["species"] for row in table_io.read(spark, root, PHOTOS).collect()}
    assert read == {1: "rubra", 2: "nigra", 3: "rubra"}


def test_damaged_pages_name_the_file_and_leave_no_table(spark: Any, root: Path, tmp_path: Path):
    write_rows(tmp_path / "in" / "good.parquet", [source_row(1)])
    bad = write_rows(tmp_path / "in" / "bad.parquet", [source_row(number) for number in range(200)])
    content = bytearray(bad.read_bytes())
    content[4:400] = bytes(396)
    bad.write_bytes(content)
    with pytest.raises(BadInputError, match=r"bad\.parquet"):
        ingest(spark, root, "biotrove", tmp_path / "in")
    assert versions(root) == {}
    assert not (root / "scratch-ingest").exists()


def test_second_ingest_at_once_is_refused(spark: Any, root: Path):
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock(root, "photos"):
            taken.set()
            done.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(60)
    try:
        with pytest.raises(BadInputError, match=r"in use by host .* pid"):
            ingest(spark, root, "biotrove", FIXTURES / "biotrove")
    finally:
        done.set()
        holder.join()
    assert versions(root) == {}


def test_published_sample(spark: Any, shared: Path, root: Path, tmp_path: Path):
    summary = ingest(spark, root, "biotrove", shared / "data" / "biotrove")
    assert (summary.counts["rows_read"], summary.counts["new"], summary.counts["duplicates"]) == (1737, 1733, 4)
    assert summary.counts["rejects"] == summary.counts["conflicts"] == 0
    photos = photos_of(root)
    assert len({row["taxon_id"] for row in photos.values()}) == 321
    assert {row["category"] for row in photos.values()} == {"Arachnida"}
    other = tmp_path / "csv"
    check_root(other)
    texts = ingest(spark, other, "biotrove", shared / "data" / "biotrove" / "chunk_0_1000_1.csv")
    assert texts.counts["rows_read"] == 874
    rows = pa_csv.read_csv(shared / "data" / "biotrove" / "chunk_0_1000_1.csv").to_pylist()
    assert photos_of(other) == {row["photo_id"]: photos[row["photo_id"]] for row in rows}


def test_fixture_has_both_unicode_forms():
    tables = [pq.read_table(path) for path in sorted((FIXTURES / "biotrove").glob("*"))]
    names = {name for table in tables for name in table["species"].to_pylist() if name}
    assert any(unicodedata.normalize("NFC", name) != name for name in names)
