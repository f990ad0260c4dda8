"""Every picture of what was named is found once, in one order, whatever lies in its way."""

import os
import random
from pathlib import Path

import pytest

from inference.inputs.walk import SUFFIXES, Walk
from taxonomy.errors import BadInputError


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"any")


def found(folder: Path, *words: str) -> list[str]:
    """Paths below the folder, in their order."""
    return [os.path.relpath(one.path, folder) for one in Walk([str(folder / word) for word in words or (".",)])]


def test_pictures_come_folder_by_folder_in_the_order_of_names(tmp_path):
    put(tmp_path, "b.jpg", "a.PNG", "z/0.jpeg", "c/d/9.webp", "c/1.tiff", "c/10.gif", "notes.txt", "c/raw.heic")
    assert found(tmp_path) == ["a.PNG", "b.jpg", "c/1.tiff", "c/10.gif", "c/d/9.webp", "z/0.jpeg"]
    walk = Walk([str(tmp_path)])
    assert len(list(walk)) == 6
    assert walk.num_passed_over == 2


def test_the_order_on_the_disk_leaves_no_trace(tmp_path):
    names = [f"{folder}/{number}{suffix}" for folder in "abc" for number in range(5) for suffix in SUFFIXES[:3]]
    orders = []
    for seed in range(3):
        shuffled = random.Random(seed).sample(names, len(names))
        put(tmp_path / str(seed), *shuffled)
        orders.append(found(tmp_path / str(seed)))
    assert orders[0] == orders[1] == orders[2]
    assert sorted(orders[0]) == sorted(names)


def test_hidden_files_and_folders_are_found_only_where_they_are_named(tmp_path):
    put(tmp_path, ".a.jpg", ".h/b.jpg", "c.jpg")
    assert found(tmp_path) == ["c.jpg"]
    assert found(tmp_path, ".", ".h", ".a.jpg") == ["c.jpg", ".h/b.jpg", ".a.jpg"]


@pytest.mark.parametrize(
    "words",
    [
        ("a", "a"),
        (".", "a"),
        ("a/1.jpg", "."),
        ("a/b/..", "."),
        ("a", "b", "link", "a/1.jpg", "a/1.jpg", "."),
        ("link", "a", "b"),
    ],
)
def test_what_is_named_twice_counts_once(tmp_path, words):
    put(tmp_path, "a/1.jpg", "a/b/2.jpg", "b/3.jpg")
    (tmp_path / "link").symlink_to("a")
    names = found(tmp_path, *words)
    real = [(tmp_path / name).resolve() for name in names]
    assert len(set(real)) == len(real) > 1
    walk = Walk([str(tmp_path / word) for word in words])
    list(walk)
    assert walk.num_repeated > 0


def test_loops_of_links_end_and_hide_nothing(tmp_path):
    put(tmp_path, "photos/a/1.jpg", "photos/b/2.jpg", "elsewhere/deep/3.jpg", "photos/.hidden/4.jpg")
    photos = tmp_path / "photos"
    (photos / "a" / "up").symlink_to("..")
    (photos / "b" / "self").symlink_to(".")
    (photos / "b" / "other").symlink_to("../a")
    (photos / "c").symlink_to("../elsewhere/deep")
    (photos / "d").symlink_to("../elsewhere")  # leads to the same pictures once more
    (photos / "e").symlink_to(".hidden")
    (tmp_path / "elsewhere" / "back").symlink_to("../photos")
    names = found(photos)
    real = sorted((photos / name).resolve().name for name in names)
    assert real == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]


def test_links_that_multiply_do_not(tmp_path):
    for level in range(40):
        (tmp_path / str(level)).mkdir()
        if level < 39:
            (tmp_path / str(level) / "x").symlink_to(f"../{level + 1}")
            (tmp_path / str(level) / "y").symlink_to(f"../{level + 1}")
    put(tmp_path, "39/1.jpg")
    assert found(tmp_path, "0") == ["0/x/x/" + "x/" * 37 + "1.jpg"]


def test_what_cannot_be_read_has_a_reason(tmp_path):
    put(tmp_path, "ok.jpg")
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "null.jpg").symlink_to("/dev/null")
    reasons = {Path(one.path).name: one.reason for one in Walk([str(tmp_path)])}
    assert reasons == {
        "fifo.jpg": "not a file",
        "gone.jpg": "No such file or directory",
        "loop.jpg": "Too many levels of symbolic links",
        "null.jpg": "not a file",
        "ok.jpg": None,
    }


def test_a_folder_that_cannot_be_read_is_told(tmp_path):
    put(tmp_path, "ok.jpg")
    name = "d" * 200
    handle = os.open(tmp_path, os.O_RDONLY)
    for _ in range(4096 // 200 + 1):  # deeper than a path can be long
        os.mkdir(name, dir_fd=handle)
        below = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    *read, last = Walk([str(tmp_path)])
    assert [Path(one.path).name for one in read] == ["ok.jpg"]
    assert last.reason == "folder cannot be read: File name too long"


def test_names_that_are_no_unicode_are_found(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    Path(os.fsdecode(path)).touch()
    (one,) = Walk([str(tmp_path)])
    assert os.fsencode(one.path) == path


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("nowhere", "nowhere: No such file or directory; name pictures and folders"),
        ("a\0b", "embedded null byte"),
        ("/dev/null", "/dev/null: neither a file nor a folder"),
        ("n" * 300, "File name too long"),
    ],
)
def test_words_that_name_nothing_are_refused(word, says):
    with pytest.raises(BadInputError, match=says):
        Walk([word])


def test_a_file_that_is_named_may_have_any_name(tmp_path):
    put(tmp_path, "picture")
    assert found(tmp_path, "picture") == ["picture"]
