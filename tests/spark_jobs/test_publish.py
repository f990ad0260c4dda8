"""A published file is whole or absent."""

import errno
import os

import pytest

from spark_jobs.publish import publish


def test_the_file_appears_whole_under_its_name_in_a_folder_that_need_not_exist(tmp_path):
    (tmp_path / "local").write_bytes(b"content" * 1000)
    path = publish(tmp_path / "local", tmp_path / "a" / "b", "final.tar", "run1-7")
    assert path == tmp_path / "a" / "b" / "final.tar"
    assert path.read_bytes() == b"content" * 1000
    assert list(path.parent.iterdir()) == [path]
    (tmp_path / "local").write_bytes(b"other")
    assert publish(tmp_path / "local", path.parent, "final.tar", "run2-1").read_bytes() == b"other"


def test_until_the_rename_only_the_hidden_name_is_there(tmp_path, monkeypatch):
    (tmp_path / "local").write_bytes(b"content")
    folder = tmp_path / "final"
    seen: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        seen.append(",".join(sorted(path.name for path in folder.iterdir())))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    publish(tmp_path / "local", folder, "a.tar", "r-1")
    assert seen == [".a.tar.r-1.tmp", "a.tar"]


def test_an_error_leaves_nothing_behind(tmp_path, monkeypatch):
    (tmp_path / "local").write_bytes(b"content")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        publish(tmp_path / "local", tmp_path / "final", "a.tar", "r-1")
    assert list((tmp_path / "final").iterdir()) == []
