"""A folder of pictures by class: names, order, and every way to be no such folder."""

import unicodedata
from pathlib import Path

import pytest

from evaluation.benchmarks.folder import class_name_of_folder, name_part, open_folder
from taxonomy.errors import BadInputError


def fill(folder: Path, *names: str) -> Path:
    """A folder with files of these names, which nobody opens."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_each_sub_folder_is_a_class_and_rows_follow_the_names(tmp_path):
    folder = fill(tmp_path / "my set", "b_2/2.JPG", "b_2/1.png", "10_a_one/z.webp", "b_2/notes.txt", "top.jpg")
    benchmark = open_folder(folder)
    rows = benchmark.rows
    assert list(rows.keys) == ["10_a_one/z.webp", "b_2/1.png", "b_2/2.JPG"]
    assert list(rows.labels["label"]) == ["a one", "b 2", "b 2"]
    assert [path for path in rows.sources if isinstance(path, Path)] == [folder / key for key in rows.keys]
    assert (benchmark.name, benchmark.levels, benchmark.headline) == ("folder_my_set", ("label",), "label")
    assert benchmark.images_root == folder
    assert not rows.lineage


def test_hidden_files_and_folders_are_no_pictures(tmp_path):
    fill(tmp_path, "a/1.jpg", "a/._1.jpg", ".cache/2.jpg")
    assert list(open_folder(tmp_path).rows.keys) == ["a/1.jpg"]


def test_names_are_nfc_and_bytes_that_are_no_text_can_be_written(tmp_path):
    fill(tmp_path, unicodedata.normalize("NFD", "K\u00e4fer/1.jpg"))
    (tmp_path / "K\u00e4fer-broken\udcff").mkdir()
    (tmp_path / "K\u00e4fer-broken\udcff" / "2\udcff.jpg").touch()
    rows = open_folder(tmp_path).rows
    assert set(rows.labels["label"]) == {"K\u00e4fer", "K\u00e4fer-broken\ufffd"}
    for text in (*rows.keys, *filter(None, rows.labels["label"])):
        text.encode()


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("03111_Animalia_Chordata_Aves_Turdus_merula", "Animalia Chordata Aves Turdus merula"),
        ("Turdus merula", "Turdus merula"),
        ("2_spotted_beetle", "spotted beetle"),
        ("n01440764", "n01440764"),
    ],
)
def test_the_class_of_a_folder(folder, name):
    assert class_name_of_folder(folder) == name


def test_a_folder_without_pictures_is_told(tmp_path):
    with pytest.raises(BadInputError, match="No such file"):
        open_folder(tmp_path / "nowhere")
    fill(tmp_path, "file.jpg")
    with pytest.raises(BadInputError, match=r"no pictures .* in its 0 sub-folders"):
        open_folder(tmp_path)
    fill(tmp_path, "a/notes.txt")
    with pytest.raises(BadInputError, match="in its 1 sub-folders"):
        open_folder(tmp_path)
    with pytest.raises(BadInputError, match="Not a directory"):
        open_folder(tmp_path / "file.jpg")


def test_an_empty_sub_folder_is_named(tmp_path, caplog):
    fill(tmp_path, "a/1.jpg", "empty/notes.txt")
    assert set(open_folder(tmp_path).rows.labels["label"]) == {"a"}
    assert "empty" in caplog.text


def test_two_folders_of_one_class_are_refused(tmp_path):
    fill(tmp_path, "1_Turdus_merula/1.jpg", "2_Turdus merula/1.jpg")
    with pytest.raises(BadInputError, match="1_Turdus_merula and 2_Turdus merula both stand for class 'Turdus merula'"):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    ("text", "part"), [("birds", "birds"), ("a/b c..", "a_b_c"), ("..", "unnamed"), ("e\u0301\udcff1", "\u00e9_1")]
)
def test_a_part_of_a_name_is_safe_in_file_names(text, part):
    assert name_part(text) == part
