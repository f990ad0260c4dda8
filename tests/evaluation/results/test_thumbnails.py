"""Thumbnails: of the surest mistakes, small, and none for what cannot be decoded."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.results import thumbnails
from evaluation.results.thumbnails import example_rows, thumbnail, with_examples, write_thumbnails
from tests.evaluation.results.records import NAMES, predictions


def _picture(width: int, height: int, kind: str = "JPEG", mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(width).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(file, kind)
    return file.getvalue()


def _pair(true: str, guessed: str) -> dict[str, object]:
    return {"true": true, "guessed": guessed, "count": 2, "share": 2 / 3}


def test_rows_are_those_of_the_pair_surest_first() -> None:
    pairs = [_pair(NAMES[0], NAMES[1]), _pair(NAMES[2], NAMES[1])]
    assert example_rows(pairs, predictions(), NAMES) == [[2, 1], []]


def test_only_so_many_pairs_and_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "MAX_PAIRS", 1)
    monkeypatch.setattr(thumbnails, "MAX_PICTURES", 1)
    pair = _pair(NAMES[0], NAMES[1])
    assert example_rows([pair, pair], predictions(), NAMES) == [[2], []]


def test_examples_name_row_key_and_file() -> None:
    keys = [f"{row}.jpg" for row in range(8)]
    (got,) = with_examples([_pair(NAMES[0], NAMES[1])], predictions(), NAMES, keys, {2: "thumbnails/garden/2.jpg"})
    assert got == _pair(NAMES[0], NAMES[1]) | {
        "examples": [
            {"row": 2, "key": "2.jpg", "thumbnail": "thumbnails/garden/2.jpg"},
            {"row": 1, "key": "1.jpg", "thumbnail": None},
        ]
    }


def test_are_written_for_what_can_be_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_picture(300, 150, "PNG", "RGBA"))
    (tmp_path / "empty.jpg").write_bytes(b"")
    cut = _picture(300, 150)[:2000]
    files = {7: tmp_path / "a.png", 4: tmp_path / "empty.jpg", 5: tmp_path / "absent.jpg", 6: None}
    sources = files | {3: lambda: _picture(50, 20), 8: lambda: cut}
    made = write_thumbnails(tmp_path / "out", "../garden", "1" * 64, sources)
    assert sorted(made) == [3, 7]
    others = write_thumbnails(tmp_path / "out", "../garden", "2" * 64, {7: lambda: _picture(20, 50)})
    assert made.keys() & others.keys() == {7} and made[7] != others[7], "other rows have pictures of their own"
    for row, size in ((3, (50, 20)), (7, (128, 64))):
        path = (tmp_path / "out" / made[row]).resolve()
        assert path.is_relative_to(tmp_path / "out" / "thumbnails")
        with Image.open(path) as picture:
            assert (picture.format, picture.size, picture.mode) == ("JPEG", size, "RGB")


def test_equal_pictures_give_equal_bytes_without_metadata() -> None:
    exif = Image.Exif()
    exif[0x010F] = "camera"
    plain, tagged = io.BytesIO(), io.BytesIO()
    picture = Image.effect_noise((400, 300), 50).convert("RGB")
    picture.save(plain, "JPEG", quality=95)
    picture.save(tagged, "JPEG", quality=95, exif=exif)
    one = thumbnail(lambda: plain.getvalue())
    assert one is not None
    assert one == thumbnail(lambda: tagged.getvalue())
    assert b"camera" not in one
