"""CSVs as columns of text: broken files and missing columns are said in one line."""

import unicodedata

import pytest

from evaluation.benchmarks.read_csv import find_csv, read_csv
from taxonomy.errors import BadInputError


def test_columns_are_text_in_the_order_of_the_file(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text('\ufeffpath,label\na.jpg," two, words"\nb.jpg,NA\n\n', "utf-8")
    table = read_csv(file)
    assert dict(table.columns) == {"path": ("a.jpg", "b.jpg"), "label": (" two, words", "NA")}
    assert len(table) == 2


def test_two_forms_of_one_name_become_one(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("label\nQu\u00e9l.\n" + unicodedata.normalize("NFD", "Qu\u00e9l.") + "\n", "utf-8")
    assert set(read_csv(file).columns["label"]) == {"Qu\u00e9l."}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"path,label\n", "no rows"),
        (b"", "no rows"),
        (b"path,label,path\na,b,c\n", "path stands in the header twice"),
        (b"path,label\na.jpg,b\nc.jpg\n", "line 3: 1 fields, but the header has 2"),
        (b"path,label\na.jpg,\xff\n", "not UTF-8 at byte 17"),
        (b'path,label\na.jpg,"open\n', "not a CSV"),
    ],
)
def test_a_broken_file_is_said_in_one_line(tmp_path, content, said):
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    with pytest.raises(BadInputError, match=said) as raised:
        read_csv(file)
    assert "a.csv" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_column_is_named_beside_those_there(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text(",label\n0,x\n")
    table = read_csv(file)
    assert table.column(["name", "label"], "label") == ("x",)
    with pytest.raises(BadInputError, match=r"genus or Genus is needed; the columns are \(unnamed\), label"):
        table.column(["genus", "Genus"], "genus")


def test_the_first_name_there_is_found_and_all_tried_are_named(tmp_path):
    (tmp_path / "new.csv").write_text("a\n1\n")
    assert find_csv(["old.csv", "new.csv"], tmp_path) == tmp_path / "new.csv"
    with pytest.raises(BadInputError, match=r"none of old\.csv, older\.csv is there"):
        find_csv(["old.csv", "older.csv"], tmp_path)
    with pytest.raises(BadInputError, match="No such file"):
        read_csv(tmp_path / "old.csv")
