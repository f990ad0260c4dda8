"""Drawing: the same bytes everywhere, every picture readable, restart, and no harm to other people's folders."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageOps, ImageStat

import sample
from sample.draw_specimens import draw_specimens, encode_picture, main
from sample.specimen_list import SpecimenError, list_specimens
from sample.specimen_taxa import DRAWN_SPECIES

LIMIT = 2


def sums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drawn")
    assert draw_specimens(out, limit=LIMIT) == LIMIT * len(DRAWN_SPECIES)
    return out


def test_another_process_draws_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sample.draw_specimens", str(tmp_path / "other"), "--limit", str(LIMIT)]
    project = Path(sample.__file__).parent.parent
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{LIMIT * len(DRAWN_SPECIES)} of {LIMIT * len(DRAWN_SPECIES)} drawings made")
    assert sums(tmp_path / "other") == sums(drawn)


def test_another_seed_draws_other_pictures() -> None:
    first, second = list_specimens(limit=1)[0], list_specimens(seed=7, limit=1)[0]
    assert encode_picture(first) != encode_picture(second, seed=7)


def test_every_picture_opens_and_shows_something(drawn: Path) -> None:
    with (drawn / "photos.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == LIMIT * len(DRAWN_SPECIES) == len(list((drawn / "photos").iterdir()))
    formats = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
    for row in rows:
        suffix = row["photo_url"].rsplit(".", 1)[1]
        with Image.open(drawn / "photos" / f"{row['photo_id']}.{suffix}") as picture:
            assert picture.format == formats[suffix]
            assert 192 <= max(picture.size) <= 256
            assert max(ImageStat.Stat(picture.convert("RGB")).stddev) > 10, row["scientificName"]


def test_the_odd_forms_are_what_they_are_labelled(drawn: Path) -> None:
    odd = {
        s.form: drawn / "photos" / f"{s.photo_id}.{s.suffix}" for s in list_specimens(limit=LIMIT) if s.form != "jpg"
    }
    assert set(odd) == {"png", "webp", "exif"}
    with Image.open(odd["png"]) as picture:
        assert picture.mode == "RGBA"
        assert picture.getchannel("A").getextrema() == (0, 255)
    with Image.open(odd["exif"]) as picture:
        assert picture.getexif()[0x0112] == 6
        assert ImageOps.exif_transpose(picture).size == picture.size[::-1]


def test_pictures_of_one_observation_differ() -> None:
    twins: dict[str, list[bytes]] = {}
    for specimen in list_specimens(limit=6):
        twins.setdefault(specimen.row()["observation_id"], []).append(encode_picture(specimen))
    assert max(len(pictures) for pictures in twins.values()) >= 2
    assert all(len(set(pictures)) == len(pictures) for pictures in twins.values())


def test_a_second_call_does_nothing_and_says_so(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in drawn.rglob("*")}
    assert main([str(drawn), "--limit", str(LIMIT)]) == 0
    assert capsys.readouterr().out.startswith("nothing to do")
    assert {path: path.stat().st_mtime_ns for path in drawn.rglob("*")} == before


def test_a_restart_draws_only_what_is_missing(tmp_path: Path) -> None:
    draw_specimens(tmp_path, limit=1)
    whole = sums(tmp_path)
    (tmp_path / "photos.csv").unlink()
    (tmp_path / "photos" / "3.jpg").unlink()
    (tmp_path / "photos" / ".9.jpg.123.tmp").write_bytes(b"half a pict")
    assert draw_specimens(tmp_path, limit=1) == 1
    assert sums(tmp_path) == whole


def test_another_seed_replaces_the_whole_folder(tmp_path: Path) -> None:
    draw_specimens(tmp_path / "a", seed=1, limit=2)
    draw_specimens(tmp_path / "a", seed=2, limit=1)
    draw_specimens(tmp_path / "b", seed=2, limit=1)
    assert sums(tmp_path / "a") == sums(tmp_path / "b")


def test_a_folder_with_other_pictures_is_refused_untouched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_bytes(b"somebody's photo")
    before = sums(tmp_path)
    with pytest.raises(SpecimenError, match="were not drawn here"):
        draw_specimens(tmp_path)
    assert main([str(tmp_path)]) == 2
    assert main([str(tmp_path / "new"), "--limit", "0"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert sums(tmp_path) == before
