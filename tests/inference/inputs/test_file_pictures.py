"""Files and folders as a stream that is always the same, remembers what was there, and fits in little memory."""

import os
import random
import tracemalloc
from pathlib import Path

import pytest

from inference.inputs.file_pictures import _Listing
from inference.inputs.open_inputs import open_inputs
from inference.inputs.walk import Found
from taxonomy.errors import BadInputError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (folder / name).write_bytes(name.encode())
    return folder


def test_keys_are_paths_as_found_and_sources_are_the_files(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    inputs = open_inputs(["./photos/"])
    pictures = list(inputs)
    assert [one.key for one in pictures] == ["photos/a.jpg", "photos/b.jpg", "photos/c.jpg"]
    assert [one.source.read_bytes() for one in pictures if isinstance(one.source, Path)] == [
        b"a.jpg",
        b"b.jpg",
        b"c.jpg",
    ]
    assert (inputs.name, inputs.total) == ("photos", 3)


def test_it_can_be_gone_through_again_and_by_two_at_once(photos):
    inputs = open_inputs([str(photos)])
    first, second = iter(inputs), iter(inputs)
    turns = [next(first), next(second), next(first), next(second), next(second), next(first)]
    assert turns[0::2][:2] == turns[1::2][:2]
    assert list(inputs) == list(inputs)


def test_a_picture_that_vanishes_is_still_in_the_list(photos):
    inputs = open_inputs([str(photos)])
    (photos / "b.jpg").unlink()
    (photos / "new.jpg").write_bytes(b"new")
    assert [Path(one.key).name for one in inputs] == ["a.jpg", "b.jpg", "c.jpg"]


def changes(photos: Path):
    yield "added", lambda: (photos / "d.jpg").write_bytes(b"")
    yield "removed", (photos / "d.jpg").unlink
    yield "renamed", lambda: (photos / "c.jpg").rename(photos / "e.jpg")
    yield "longer", lambda: (photos / "a.jpg").write_bytes(b"other content")
    yield "touched", lambda: os.utime(photos / "b.jpg", ns=(1, 1))


def test_the_fingerprint_changes_with_the_list_and_with_nothing_else(photos):
    seen = {open_inputs([str(photos)]).fingerprint}
    (photos / "notes.txt").write_text("no picture")
    (photos / ".hidden.jpg").write_text("not looked at")
    assert {open_inputs([str(photos)]).fingerprint} == seen
    for number, (_, change) in enumerate(changes(photos), 2):
        change()
        seen.add(open_inputs([str(photos)]).fingerprint)
        assert len(seen) == number - (number > 2)  # removing what was added leads back


def test_a_name_that_is_no_unicode_becomes_a_key_that_can_be_written(photos):
    Path(os.fsdecode(os.fsencode(photos) + b"/caf\xe9.jpg")).write_bytes(b"x")
    *_, last = open_inputs([str(photos)])
    assert last.key.endswith("/caf\\xe9.jpg")
    assert isinstance(last.source, Path)
    assert last.source.read_bytes() == b"x"


def test_no_two_names_become_one_key(photos):
    names = [b"\xe9", rb"\xe9", rb"\\xe9", b"\\\xe9", b"\\\\\xe9", rb"a\b", "é".encode(), b"\xe9\\", rb"\\\xe9"]
    for name in names:
        Path(os.fsdecode(os.fsencode(photos) + b"/new" + name + b".jpg")).write_bytes(b"x")
    keys = [one.key for one in open_inputs([str(photos)])]
    assert len({key for key in keys if "/new" in key}) == len(names)
    assert rf"{photos}/newa\b.jpg" in keys  # as found


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: None, r"empty: no pictures in it; pictures end in \.jpg, \.jpeg"),
        (
            lambda folder: (folder / "a.txt").write_text("x"),
            r"empty: no pictures in it; 1 other files; pictures end in",
        ),
        (lambda folder: (folder / "a.jpg").symlink_to("x"), r"no picture that can be read: .*a\.jpg: No such file"),
    ],
)
def test_a_folder_without_pictures_is_refused(tmp_path, make, says):
    folder = tmp_path / "empty"
    folder.mkdir()
    make(folder)
    with pytest.raises(BadInputError, match=says):
        open_inputs([str(folder)])


def test_what_is_passed_over_is_said(photos, caplog):
    (photos / "raw.heic").write_bytes(b"x")
    open_inputs([str(photos), str(photos / "a.jpg")])
    assert [record.getMessage() for record in caplog.records] == [
        "1 of the files found are no pictures by their names and are passed over",
        "1 of the files and folders named are named twice; each picture counts once",
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "no pictures: name files or folders, or give --urls FILE or --shards MANIFEST"),
        ({"words": ["a"], "shards": "m.json"}, "INPUT and --shards name pictures in two ways"),
        ({"urls": "a", "shards": "m.json"}, "--urls and --shards name pictures in two ways"),
    ],
)
def test_pictures_are_named_in_one_way(given, says):
    with pytest.raises(BadInputError, match=says):
        open_inputs(given.pop("words", []), **given)


def listing(names: list[str]) -> _Listing:
    made = _Listing()
    for name in names:
        made.add(Found(name))
    made.finish()
    return made


@pytest.mark.parametrize("number", [0, 1, 2, 100, 999, 30_000])
def test_a_list_of_any_length_comes_back_whole(number):
    draw = random.Random(number)
    for names in (
        [f"photos/{one:06d}.jpg" for one in range(number)],
        ["".join(draw.choices('abcdefgh0123\n"\\é', k=draw.randrange(1, 80))) for _ in range(number)],
    ):
        assert [one.key for one in listing(names).pictures()] == names


def test_memory_does_not_grow_with_the_number_of_pictures(monkeypatch):
    monkeypatch.setattr("sys.intern", lambda text: text)  # pathlib's: Python's table of them is made anew now and then
    peaks = []
    for number in (1000, 40_000):
        made = listing([f"photos/a_picture_with_a_name_of_some_length_{one:06d}.jpg" for one in range(number)])
        tracemalloc.start()
        assert sum(1 for _ in made.pictures()) == number
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000
