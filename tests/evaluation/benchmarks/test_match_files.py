"""Paths of a CSV met with files below a root: the right one, never its namesake."""

import random
import unicodedata

import pytest

from evaluation.benchmarks.match_files import in_place, match, match_names, match_urls
from taxonomy.errors import BadInputError


def files(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_the_longest_common_end_wins(tmp_path):
    root = files(tmp_path, "Aves/1.jpg", "old/1.jpg", "2.JPG", "deep/er/3.jpg")
    keys = ["/data/rare/Aves/1.jpg", "C:\\photos\\2.JPG", "/x/3.jpg", "/x/4.jpg", ""]
    assert match(keys, root) == [root / "Aves/1.jpg", root / "2.JPG", root / "deep/er/3.jpg", None, None]


def test_equal_names_in_every_folder_meet_their_own_wherever_the_root_lies(tmp_path):
    names = [f"{split}/{bird}/{n:03}.jpg" for split in ("train", "test") for bird in ("CROW", "OWL") for n in range(4)]
    root = files(tmp_path, *(f"archive/{name}" for name in names))
    keys = [f"/other/machine/{name}" for name in names]
    random.Random(1).shuffle(keys)
    for start in (root, root / "archive"):
        found = match(keys, start)
        assert [str(path).split("archive/")[1] for path in found] == [key.split("machine/")[1] for key in keys]


def test_a_missing_file_is_never_replaced_by_its_namesake(tmp_path):
    root = files(tmp_path, "owl/1.jpg", "gull/1.jpg")
    assert match(["/d/owl/1.jpg", "/d/crow/1.jpg"], root) == [root / "owl/1.jpg", None]
    assert match(["/d/hawk/1.jpg", "/d/crow/1.jpg"], files(tmp_path / "b", "owl/1.jpg")) == [None, None]


def test_copies_of_one_photo_may_share_a_file_where_the_benchmark_says_so(tmp_path):
    root = files(tmp_path, "x.jpg")
    keys = ["/d/C1/x.jpg", "/d/C2/x.jpg"]
    assert match(keys, root) == [None, None]
    assert match(keys, root, shares_pictures=True) == [root / "x.jpg"] * 2
    assert match([keys[0], keys[0]], root) == [root / "x.jpg"] * 2


def test_two_files_that_match_equally_well_are_both_named(tmp_path):
    root = files(tmp_path, "a/x.jpg", "b/x.jpg")
    with pytest.raises(BadInputError, match=r"a/x\.jpg and b/x\.jpg match '/d/x\.jpg' of the CSV equally well"):
        match(["/d/x.jpg"], root)
    assert match(["b/x.jpg"], files(root, "old/b/x.jpg")) == [root / "b/x.jpg"]


def test_nothing_outside_the_root_is_reached(tmp_path):
    files(tmp_path, "secret/x.jpg")
    root = files(tmp_path / "root", "y.jpg")
    assert match(["../secret/x.jpg", "a/../../y.jpg", ".."], root) == [None, root / "y.jpg", None]
    assert match(["a/../y.jpg"], files(root, "a/y.jpg")) == [root / "y.jpg"]
    assert in_place(["../secret/x.jpg", str(tmp_path / "secret/x.jpg"), "y.jpg", "no.jpg", "z" * 999], root) == [
        None,
        tmp_path / "secret/x.jpg",
        root / "y.jpg",
        None,
        None,
    ]


def test_a_link_to_a_folder_is_followed_once(tmp_path):
    files(tmp_path, "elsewhere/1.jpg")
    root = files(tmp_path / "root", "2.jpg")
    (root / "birds").symlink_to(tmp_path / "elsewhere")
    (root / "loop").symlink_to(root)
    assert match(["/d/1.jpg", "/d/2.jpg"], root) == [root / "birds/1.jpg", root / "2.jpg"]


def test_names_are_met_in_either_form_of_unicode(tmp_path):
    apart = unicodedata.normalize("NFD", "Qu\u00e9l")
    root = files(tmp_path, f"{apart}/1.jpg", "other/1.jpg")
    assert match(["/d/Qu\u00e9l/1.jpg"], root) == [root / apart / "1.jpg"]
    assert in_place(["Qu\u00e9l/1.jpg"], root) == [root / apart / "1.jpg"]


def test_photo_ids_are_met_by_name_whatever_the_ending(tmp_path):
    root = files(tmp_path, "7.png", "a/8.JPEG", "9.txt", "77.jpg")
    assert match_names(["8", "7", "9", "8"], root) == [root / "a/8.JPEG", root / "7.png", None, root / "a/8.JPEG"]
    with pytest.raises(BadInputError, match=r"7\.jpg and 7\.png match '7'"):
        match_names(["7"], files(root, "7.jpg"))


def test_urls_are_met_by_the_end_of_their_path(tmp_path):
    root = files(tmp_path, "12/medium.jpg", "13/medium.jpg")
    urls = ["https://photos.example.org/p/13/medium.jpg?size=2", "https://photos.example.org/p/14/medium.jpg"]
    assert match_urls(urls, root) == [root / "13/medium.jpg", None]


def test_a_root_without_pictures_is_refused(tmp_path):
    for root in (tmp_path / "none", files(tmp_path / "texts", "a.txt")):
        with pytest.raises(BadInputError, match="--images-root"):
            match(["a.txt"], root)
        with pytest.raises(BadInputError, match="--images-root"):
            match_names(["a"], root)
