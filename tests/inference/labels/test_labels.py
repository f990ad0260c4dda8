"""A list file -> labels: the same from every format, cleaned as elsewhere, refused with the place of the fault."""

import unicodedata

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from inference.labels.labels import read_labels
from inference.labels.list_file import cleaned, cleaned_codes
from taxonomy.captions import CaptionFields
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS, clean
from tests.inference.labels.lists import HEADER, ROWS, write_list

ODD = [
    "plain",
    " led",
    "trailed ",
    "two  spaces",
    "tab\tin",
    "nan",
    "NaN",
    "None",
    "n/a",
    "N/A",
    "Unknown",
    "unknown x",
]
ODD += ["", " ", "\u00a0", "a\u00a0b", "e\u0301", "\u00e9", "Nuxia", "x\u2003y", "line\nbreak", "x" * 300, "\u9db4"]


def test_cleaning_a_column_is_cleaning_every_text():
    import pyarrow as pa

    expected = [clean(unicodedata.normalize("NFC", text)) for text in ODD] + [None]
    column = pa.array([*ODD, None], pa.string())
    assert cleaned(column).to_pylist() == expected
    assert cleaned_codes(column).to_pylist() == expected
    codes = cleaned_codes(pa.array(["a ", "a", " a", "b"]))
    assert sorted(codes.dictionary.to_pylist()) == ["a", "b"], "what is equal when cleaned is one"


def test_every_format_and_column_name_gives_the_same_labels(tmp_path):
    own = read_labels(write_list(tmp_path / "list.csv"))
    table = pa_csv.read_csv(tmp_path / "list.csv")
    pq.write_table(table, tmp_path / "list.parquet", row_group_size=2)
    renamed = write_list(tmp_path / "other.CSV", header=HEADER.replace("scientific_name", "\ufeffscientificName"))
    windows = tmp_path / "windows.csv"
    windows.write_bytes((tmp_path / "list.csv").read_bytes().replace(b"\n", b"\r\n"))
    for path in (tmp_path / "list.parquet", renamed, windows):
        other = read_labels(path)
        assert other.sha256 == own.sha256, path
        assert [other.path(number) for number in range(5)] == [tuple(row.split(",")[1:8]) for row in ROWS]
    assert own.names.to_pylist() == [row.split(",")[0] for row in ROWS]
    assert own.fields(1) == CaptionFields("Turdus iliacus", "Redwing", dict(zip(RANKS, own.path(1), strict=True)))


def test_the_hash_is_of_everything_that_matters_and_of_nothing_else(tmp_path):
    first = read_labels(write_list(tmp_path / "a.csv")).sha256
    header, rows = HEADER + ",note", [f"{row},{number}" for number, row in enumerate(ROWS)]
    assert read_labels(write_list(tmp_path / "b.csv", *rows, header=header)).sha256 == first
    changes = [(",Animalia,", ",Animal,"), ("Redwing", ""), ("Turdus iliacus", "Turdus iliaca"), (",iliacus", ",")]
    hashes = {first, read_labels(write_list(tmp_path / "c.csv", *reversed(ROWS))).sha256}
    for number, (old, new) in enumerate(changes):
        changed = [ROWS[0], ROWS[1].replace(old, new), *ROWS[2:]]
        hashes.add(read_labels(write_list(tmp_path / f"{number}.csv", *changed)).sha256)
    assert len(hashes) == 2 + len(changes)


def test_names_alone(tmp_path):
    (tmp_path / "a.txt").write_text('Turdus merula\n"quoted", with a comma\n  Pica   pica \n')
    labels = read_labels(tmp_path / "a.txt")
    assert labels.names.to_pylist() == ["Turdus merula", '"quoted", with a comma', "Pica pica"]
    assert (labels.lineage, labels.common_names, labels.fields(0)) == ({}, None, None)
    table = write_list(tmp_path / "b.csv", '"a ""b"", c",,', header="label,genus,common_name")
    assert read_labels(table).fields(0) is None, "columns that say nothing are none"


def test_a_species_that_repeats_its_genus_is_cut_to_the_epithet(tmp_path):
    rows = ["a,Quercus,Quercus robur", "b,quercus,QUERCUS Quercus robur", "c,Quercus,x rosacea", "d,,Quercus robur"]
    labels = read_labels(write_list(tmp_path / "a.csv", *rows, header="label,genus,species"))
    assert [labels.path(number)[-1] for number in range(4)] == ["robur", "robur", "x rosacea", "Quercus robur"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", b"", "empty list"),
        ("a.csv", b"", "empty list"),
        ("a.csv", b"label\n", "empty list|Empty"),
        ("a.txt", b"Pica pica\n\nParus major\n", "line 2: '' is no name .1 such"),
        ("a.txt", b"Pica pica\n  \nnan\n", "line 2: '  ' is no name .2 such"),
        ("a.csv", b"label\nPica pica\nNULL\n", "row 2 below the header: 'NULL' is no name"),
        ("a.csv", b"label\nx\ny\nx\ny\n", "'x' stands in row 1 below the header and again in row 3 .*2 repeated"),
        ("a.txt", b"Pica pica\nPica  pica \n", "'Pica pica' stands in line 1 and again in line 2"),
        ("a.csv", b"genus,species\nPica,pica\n", "no column scientific_name or scientificName or label"),
        ("a.csv", b"one,two\n1,2\n", "the columns are one, two"),
        ("a.csv", b"label,genus,genus\nx,y,z\n", "genus stands in the header twice"),
        ("a.csv", b"label,genus\nx\n", "cannot be read"),
        ("a.csv", b"label\n\xff\xfe\n", "UTF"),
        ("a.txt", b"\xff\xfe\n", "UTF"),
        ("a.parquet", b"PAR1 no", "cannot be read|magic|Parquet"),
        ("a.xlsx", b"PK", ".txt, .csv, .parquet file"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_in_one_line(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError, match=expected) as refused:
        read_labels(tmp_path / name)
    assert "\n" not in str(refused.value)
    assert name in str(refused.value)


def test_numbers_are_no_names_and_a_folder_needs_a_list(tmp_path):
    import pyarrow as pa

    pq.write_table(pa.table({"label": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(BadInputError, match="column label holds int64"):
        read_labels(tmp_path / "a.parquet")
    with pytest.raises(BadInputError, match=r"no labels\.csv"):
        read_labels(tmp_path)
    with pytest.raises(BadInputError, match="No such file"):
        read_labels(tmp_path / "no.csv")
