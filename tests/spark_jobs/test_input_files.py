"""Bad input is told before Spark starts, in one line that names the file."""

import gzip
from pathlib import Path

import pytest

from spark_jobs.config import IngestConfig
from spark_jobs.input_files import find_input
from taxonomy.errors import BadInputError
from tests.spark_jobs.metadata_cases import FIXTURES, source_row, write_rows


def _config(path: Path, source: str = "biotrove", **options: str) -> IngestConfig:
    return IngestConfig(source=source, input=path, root=path.parent / "root", snapshot="2026-10", **options)  # pyright: ignore


def _refusal(path: Path, source: str = "biotrove", **options: str) -> str:
    with pytest.raises(BadInputError) as caught:
        find_input(_config(path, source, **options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_fixture_folders_are_read_whole_with_their_columns():
    parquet = find_input(_config(FIXTURES / "biotrove"))
    texts = find_input(_config(FIXTURES / "biotrove_csv"))
    assert parquet.num_rows == 18
    assert texts.num_rows is None
    assert parquet.columns == texts.columns
    assert "taxon_rank" in parquet.columns
    assert "license" not in parquet.columns
    assert [len(group.paths) for group in parquet.groups] == [1, 1]


def test_missing_input_is_refused_with_its_name(tmp_path: Path):
    with pytest.raises(BadInputError, match=r"nowhere: no such file"):
        _config(tmp_path / "nowhere")


def test_empty_folder_and_strange_file_are_refused(tmp_path: Path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / ".hidden.csv").write_text("x\n")
    assert str(empty) in _refusal(empty)
    strange = tmp_path / "rows.xlsx"
    strange.write_bytes(b"x")
    assert "rows.xlsx" in _refusal(strange)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_missing_columns_are_named_with_the_file(tmp_path: Path, ending: str):
    row = source_row(1)
    del row["genus"], row["photo_url"]
    message = _refusal(write_rows(tmp_path / f"rows{ending}", [row]))
    assert f"rows{ending}: column genus, photo_url is missing" in message


def test_every_file_is_looked_at(tmp_path: Path):
    write_rows(tmp_path / "in" / "a.csv", [source_row(1)])
    write_rows(tmp_path / "in" / "b.csv", [{"photo_id": 1}])
    assert "b.csv" in _refusal(tmp_path / "in")


def test_corrupt_and_empty_files_are_named(tmp_path: Path):
    whole = write_rows(tmp_path / "whole.parquet", [source_row(1)]).read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bare.csv").write_bytes(b"")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"photo_id,genus\n" * 100)[:20])
    for name in ("cut.parquet", "bare.csv", "cut.csv.gz"):
        assert name in _refusal(tmp_path / name)


def test_repeated_column_is_refused(tmp_path: Path):
    (tmp_path / "rows.csv").write_text("photo_id,genus,genus\n1,a,b\n")
    assert "genus appears more than once" in _refusal(tmp_path / "rows.csv")


def test_byte_order_mark_is_no_part_of_the_header(tmp_path: Path):
    path = write_rows(tmp_path / "rows.csv", [source_row(1)])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert find_input(_config(path)).groups[0].header[0] == "photo_id"


def test_parquet_alone_is_read_where_both_are(tmp_path: Path):
    write_rows(tmp_path / "in" / "a.csv", [source_row(1)])
    write_rows(tmp_path / "in" / "a.parquet", [source_row(1)])
    files = find_input(_config(tmp_path / "in"))
    assert [path.name for path in files.left_aside] == ["a.csv"]
    assert files.num_rows == 1


def test_column_map_names_other_columns_and_must_be_met(tmp_path: Path):
    row = {"kingdom": "Animalia", "gen": "Exempla", "species": "rubra", "url": "/a.jpg"}
    path = write_rows(tmp_path / "rows.csv", [row])
    columns = find_input(_config(path, "csv", columns="genus=gen,photo_url=url")).groups[0].columns
    assert columns == {"kingdom": "kingdom", "genus": "gen", "species": "species", "photo_url": "url"}
    assert "column who is missing" in _refusal(path, "csv", columns="genus=gen,photo_url=url,attribution=who")
    assert "--columns" in _refusal(path, "csv")


def test_gbif_is_refused_clearly(tmp_path: Path):
    with pytest.raises(BadInputError, match="gbif is not supported yet"):
        _config(tmp_path, "gbif")
