"""Members found from headers alone, in tars of ours and of others, and damaged ones."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from spark_jobs.tar_file import TarFile
from trainer.data.tar_index import DamagedTar, kept_offsets, sample_offsets


def ours(path: Path, members: list[tuple[str, bytes]]) -> Path:
    tar = TarFile(path)
    for name, data in members:
        tar.add(name, data)
    tar.finish()
    return path


def pairs(count: int) -> list[tuple[str, bytes]]:
    return [(f"{n}.{suffix}", f"{suffix}{n}".encode() * (n + 1)) for n in range(count) for suffix in ("jpg", "json")]


def content(path: Path) -> list[tuple[bytes, bytes]]:
    data = path.read_bytes()
    rows = sample_offsets(path, len(data)).tolist()
    return [(data[a : a + b], data[c : c + d]) for a, b, c, d in rows]


def test_offsets_lead_to_every_samples_members(tmp_path: Path):
    members = pairs(300)
    found = content(ours(tmp_path / "a.tar", members))
    assert found == [(members[n][1], members[n + 1][1]) for n in range(0, 600, 2)]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_of_other_writers_are_read(tmp_path: Path, form: int):
    """With folders, text members between, upper-case suffixes, and dots in the folder's name."""
    path = tmp_path / "b.tar"
    with tarfile.open(path, "w", format=form) as tar:
        folder = tarfile.TarInfo("v1.0 chunk")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for n in range(3):
            for suffix in ("JPG", "sci.txt", "txt", "json"):
                member = tarfile.TarInfo(f"v1.0 chunk/{n}.{suffix}")
                member.size = 600
                tar.addfile(member, io.BytesIO(f"{suffix}{n}".encode().ljust(600)))
    assert [(a.strip(), b.strip()) for a, b in content(path)] == [
        (f"JPG{n}".encode(), f"json{n}".encode()) for n in range(3)
    ]


def test_missing_members_have_no_bytes(tmp_path: Path):
    members = [("1.jpg", b"one"), ("2.json", b"{}"), ("3.jpg", b"three"), ("3.json", b"{3}"), ("4.txt", b"")]
    found = content(ours(tmp_path / "c.tar", members))
    assert found == [(b"one", b""), (b"", b"{}"), (b"three", b"{3}"), (b"", b"")]


def test_an_empty_tar_has_no_samples(tmp_path: Path):
    assert sample_offsets(ours(tmp_path / "d.tar", []), 1024).shape == (0, 4)


@pytest.mark.parametrize(
    "keep, where",
    [(0, "at byte 0"), (100, "at byte 100"), (512, "inside a"), (1500, "at byte 1,500"), (2048, "at byte")],
)
def test_a_cut_off_tar_is_refused_by_name(tmp_path: Path, keep: int, where: str):
    path = ours(tmp_path / "cut.tar", pairs(8))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DamagedTar, match=rf"cut\.tar .*ends {where}"):
        sample_offsets(path, keep)


def test_a_damaged_header_is_refused_with_its_place(tmp_path: Path):
    path = ours(tmp_path / "bad.tar", pairs(8))
    data = bytearray(path.read_bytes())
    for place, change in ((1024, b"x" * 512), (1024 + 124, b"9" * 12)):
        damaged = data.copy()
        damaged[place : place + len(change)] = change
        path.write_bytes(damaged)
        with pytest.raises(DamagedTar, match=r"bad\.tar is damaged at byte 1,024"):
            sample_offsets(path, len(damaged))


def test_kept_offsets_are_used_until_the_tar_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept = tmp_path / "kept"
    path = ours(tmp_path / "e.tar", pairs(5))
    first = np.array(kept_offsets(path, "a" * 64, kept))
    assert np.array_equal(first, sample_offsets(path, path.stat().st_size))
    with monkeypatch.context() as patch:
        patch.setattr("trainer.data.tar_index._members", lambda *_: pytest.fail("headers were read again"))
        assert np.array_equal(kept_offsets(path, "a" * 64, kept), first)
    path.unlink()
    ours(path, pairs(6))
    assert len(kept_offsets(path, "a" * 64, kept)) == 6
    assert len(list(kept.iterdir())) == 2


def test_damaged_kept_offsets_are_made_anew(tmp_path: Path):
    kept = tmp_path / "kept"
    path = ours(tmp_path / "f.tar", pairs(5))
    kept_offsets(path, "a" * 64, kept)
    file = next(kept.iterdir())
    for damage in (b"", b"no array", file.read_bytes()[:-40]):
        file.write_bytes(damage)
        assert len(kept_offsets(path, "a" * 64, kept)) == 5
        assert np.load(file).shape == (5, 4)


def test_without_a_folder_of_our_own_nothing_is_kept(tmp_path: Path):
    path = ours(tmp_path / "g.tar", pairs(5))
    open_to_all = tmp_path / "shared"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    a_file = tmp_path / "file"
    a_file.write_text("")
    for folder in (open_to_all, a_file, a_file / "below"):
        assert len(kept_offsets(path, "a" * 64, folder)) == 5
    assert list(open_to_all.iterdir()) == []
