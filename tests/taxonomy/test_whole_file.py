"""A file is there whole or as it was before, whatever ends its writing."""

import errno
import io
import os
from pathlib import Path

import pytest

from taxonomy.errors import WorkFailedError
from taxonomy.whole_file import reason_of, whole_file, write_whole


@pytest.fixture
def synced(monkeypatch) -> list[str]:
    """Name after name of what was put on disk, the number of this process as PID."""
    real, said = os.fsync, []

    def fsync(handle: int) -> None:
        path = Path(f"/dev/fd/{handle}").readlink()
        said.append(path.name.replace(str(os.getpid()), "PID"))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return said


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_when_the_block_ends_and_content_and_name_are_on_disk(tmp_path, synced):
    path = tmp_path / "new" / "out" / "a.bin"
    with whole_file(path) as file:
        file.write(b"content")
        assert names(path.parent) == [f".a.bin.{os.getpid()}.tmp"]
    assert (names(path.parent), path.read_bytes()) == (["a.bin"], b"content")
    assert synced == [".a.bin.PID.tmp", "out"]


def test_until_then_it_is_called_as_asked_and_what_a_killed_writer_left_is_replaced(tmp_path):
    (tmp_path / ".own.tmp").write_bytes(b"half of something longer")
    with whole_file(tmp_path / "a", tmp_path / ".own.tmp") as file:
        file.write(b"content")
        assert names(tmp_path) == [".own.tmp"]
    assert (names(tmp_path), (tmp_path / "a").read_bytes()) == (["a"], b"content")


def test_what_may_be_lost_waits_for_no_disk(tmp_path, synced):
    with whole_file(tmp_path / "a", on_disk=False) as file:
        file.write(b"content")
    assert ((tmp_path / "a").read_bytes(), synced) == (b"content", [])


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError("the block's"), OSError("the block's")])
def test_an_error_of_the_block_leaves_what_was_there(tmp_path, error):
    (tmp_path / "a").write_bytes(b"earlier")
    with pytest.raises(BaseException) as raised, whole_file(tmp_path / "a") as file:
        file.write(b"half")
        raise error
    assert raised.type in (error, type(error))
    assert (names(tmp_path), (tmp_path / "a").read_bytes()) == (["a"], b"earlier")


def test_the_first_error_on_a_full_disk_is_the_one_that_is_told(tmp_path, monkeypatch):
    own = io.open
    monkeypatch.setattr(io, "open", lambda file, mode="r", *given: own("/dev/full", mode, *given))
    with pytest.raises(ValueError, match="stop"), whole_file(tmp_path / "a") as file:
        file.write(b"x" * 100)  # waits in a buffer, so that closing the file fails too
        raise ValueError("stop")
    with pytest.raises(OSError, match="No space left"), whole_file(tmp_path / "a") as file:
        file.write(b"x" * 100)
    assert names(tmp_path) == []


def test_equal_content_is_left_alone_and_other_content_replaces_it(tmp_path):
    path = tmp_path / "new" / "a"
    write_whole(path, b"one")
    before = path.stat()
    write_whole(path, b"one")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    write_whole(path, b"two")
    assert (names(path.parent), path.read_bytes()) == (["a"], b"two")


def test_a_failure_to_write_names_the_file_and_the_reason(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(WorkFailedError, match=r"^cannot write .*/a: Is a directory$"):
        write_whole(tmp_path / "a", b"content")
    with pytest.raises(WorkFailedError, match=r"^cannot write .*/a/b/c: File exists$"):
        (tmp_path / "a" / "b").write_text("")
        write_whole(tmp_path / "a" / "b" / "c", b"content")
    assert names(tmp_path) == ["a"]


def test_the_reason_is_the_operating_systems_wherever_it_hides():
    full = OSError(errno.ENOSPC, "No space left on device")
    hidden = RuntimeError("basic_ios::clear\nat line 3")
    hidden.__context__ = full
    rust = RuntimeError("Error while serializing: I/O error: File too large (os error 27)")
    for error, reason in ((full, full.strerror), (hidden, full.strerror), (rust, "File too large")):
        assert reason_of(error) == reason
    assert reason_of(RuntimeError("one\ntwo")) == "one"
