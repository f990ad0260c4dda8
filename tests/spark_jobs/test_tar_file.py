"""The hand-made tar is one that tarfile reads, with true offsets, and the same every time."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from spark_jobs.tar_file import TarFile, ustar_header

MEMBERS = [
    ("a.jpg", b"\xff" * 1000),
    ("a.json", b"{}"),
    ("-5.jpg", b""),
    ("n" * 100, b"x" * 512),
    ("é.txt", b"y" * 513),
]


def write(path, members=MEMBERS):
    tar = TarFile(path)
    offsets = [tar.add(name, data) for name, data in members]
    return tar.finish(), offsets, tar.num_bytes


def test_members_come_back_in_order_with_neutral_facts(tmp_path):
    sha256, offsets, num_bytes = write(tmp_path / "tar")
    content = (tmp_path / "tar").read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (num_bytes, sha256)
    with tarfile.open(tmp_path / "tar") as tar:
        found = [(info, tar.extractfile(info).read()) for info in tar.getmembers()]
    assert [(info.name, data) for info, data in found] == MEMBERS
    assert [info.offset_data for info, _ in found] == offsets
    for info, _ in found:
        facts = (info.mtime, info.uid, info.gid, info.mode, info.uname, info.gname, info.isreg())
        assert facts == (0, 0, 0, 0o644, "", "", True)
    for (_, data), offset in zip(MEMBERS, offsets, strict=True):
        assert content[offset : offset + len(data)] == data


def test_equal_members_give_equal_bytes(tmp_path):
    assert write(tmp_path / "one") == write(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("size", [0, 1, 511, 2**33 - 1])
def test_the_header_is_what_tarfile_reads_back(size):
    info = tarfile.TarInfo.frombuf(ustar_header("123.jpg", size), "utf-8", "strict")
    assert (info.name, info.size, info.type) == ("123.jpg", size, tarfile.REGTYPE)


def test_an_empty_tar_opens(tmp_path):
    write(tmp_path / "tar", [])
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "tar").read_bytes())) as tar:
        assert tar.getmembers() == []


def test_a_name_that_does_not_fit_is_refused():
    with pytest.raises(AssertionError):
        ustar_header("n" * 101, 1)


def test_an_unfinished_tar_gives_its_file_handle_back(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    tar = TarFile(tmp_path / "tar")
    tar.add("a.jpg", b"x")
    tar.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
