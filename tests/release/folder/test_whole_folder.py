"""Folders that are there whole or as before, and replace only what is ours."""

import errno
import json
import os
from pathlib import Path

import pytest

from release.folder import whole_folder as module
from release.folder.whole_folder import RECORD, check_out, read_record, whole_folder
from taxonomy.errors import BadInputError, WorkFailedError


def write(out: Path, **files: str) -> None:
    with whole_folder(out, {"label": "a model"}) as folder:
        for name, content in files.items():
            path = folder / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_record_names_every_file_with_its_sha256(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "out", config="abc", labels__list="")
    record = read_record(tmp_path / "deep" / "out")
    assert record["label"] == "a model"
    assert record["files"] == {
        "config": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "labels/list": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }
    assert names(tmp_path / "deep") == ["out"]


def test_a_rerun_changes_nothing_and_another_replaces_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, config="abc", labels__list="x")
    first = content(out)
    check_out("--out", out)
    write(out, config="abc", labels__list="x")
    assert content(out) == first
    write(out, config="other")
    assert content(out).keys() == {"config", RECORD}
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("kind", [WorkFailedError, KeyboardInterrupt, OSError])
def test_an_error_leaves_what_was_there(tmp_path: Path, kind: type[BaseException]) -> None:
    out = tmp_path / "out"
    for before in ({}, {"config": "abc"}):
        if before:
            write(out, **before)
        first = content(out)
        with (
            pytest.raises(WorkFailedError if kind is OSError else kind),
            whole_folder(out, {}) as folder,
        ):
            (folder / "half").write_text("x")
            raise kind(errno.ENOSPC, os.strerror(errno.ENOSPC)) if kind is OSError else kind("stop")
        assert content(out) == first
        assert names(tmp_path) == (["out"] if before else [])


def test_a_full_disk_is_said_with_its_reason(tmp_path: Path) -> None:
    with (
        pytest.raises(WorkFailedError, match=r"cannot write .*/out: No space left on device"),
        whole_folder(tmp_path / "out", {}),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_failed_replacement_puts_the_old_one_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    write(out, config="abc")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.endswith(".tmp"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(WorkFailedError):
        write(out, config="other")
    assert content(out)["config"] == b"abc"


def test_leftovers_of_processes_that_are_gone_are_cleared_and_others_stay(tmp_path: Path) -> None:
    gone, running = 2**22 + 7, os.getppid()
    for name in (f".out.{gone}.tmp", f".out.{gone}.old", f".out.{running}.tmp", f".other.{gone}.tmp", ".out.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part").write_text("x")
    write(tmp_path / "out", config="abc")
    assert names(tmp_path) == sorted(["out", f".out.{running}.tmp", f".other.{gone}.tmp", ".out.tmp"])


def test_what_is_not_ours_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    check_out("--out", out)
    out.mkdir()
    check_out("--out", out)
    (out / "notes.txt").write_text("x")
    with pytest.raises(BadInputError, match=r"^--out .*/out holds something else \(notes.txt\): give a new folder"):
        check_out("--out", out)
    (out / "notes.txt").unlink()
    write(out, config="abc")
    check_out("--out", out)
    (out / "labels").mkdir()
    (out / "labels" / "added").write_text("x")
    with pytest.raises(BadInputError, match=r"holds something else \(labels/added\)"):
        check_out("--out", out)


@pytest.mark.parametrize("record", ["", "{", "[]", "{}", '{"files": {"notes.txt": "0"}}', '{"made_by": "taxaflow"}'])
def test_a_record_that_is_not_ours_makes_nothing_ours(tmp_path: Path, record: str) -> None:
    (tmp_path / RECORD).write_text(record)
    (tmp_path / "notes.txt").write_text("x")
    assert read_record(tmp_path) == {}
    with pytest.raises(BadInputError, match=r"holds something else"):
        check_out("--out", tmp_path)


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(BadInputError, match=r"/file is a file; give a folder"):
            check_out("--out", out)


def test_a_folder_that_may_not_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(BadInputError, match=r"may not be written to"):
        check_out("--out", tmp_path / "new")


def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(tmp_path / "link", config="abc")
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "real" / RECORD).read_text())["files"].keys() == {"config"}


def test_links_and_empty_folders_that_were_added_are_not_ours(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine").write_text("x")
    write(out, config="abc", labels__list="x")
    for name, make in {
        "photos": lambda path: path.symlink_to(tmp_path / "photos"),
        "mine": Path.mkdir,
        "labels/mine": Path.mkdir,
        "gone": lambda path: path.symlink_to(tmp_path / "nowhere"),
    }.items():
        make(out / name)
        with pytest.raises(BadInputError, match=rf"holds something else \({name}\)"):
            check_out("--out", out)
        (out / name).unlink() if (out / name).is_symlink() else (out / name).rmdir()
        check_out("--out", out)
    (out / "config").rename(tmp_path / "elsewhere")
    (out / "config").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInputError, match=r"holds something else \(config\)"):
        check_out("--out", out)


def test_a_file_that_was_changed_since_is_refused_by_its_name(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, config="abc", README="card", labels__list="x")
    (out / "labels" / "list").unlink()  # what is gone cannot be lost
    check_out("--out", out)
    (out / "README").write_text("card, and my own words")
    with pytest.raises(
        BadInputError, match=r"^--out .*/out: README was changed since taxaflow wrote it.* move the file"
    ):
        check_out("--out", out)
    (out / "README").write_text("card")
    check_out("--out", out)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, OSError, SystemExit])
@pytest.mark.parametrize("before_it", [True, False])
@pytest.mark.parametrize("suffix", [".old", "out"])
def test_an_interrupt_at_either_rename_leaves_a_whole_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException], before_it: bool, suffix: str
) -> None:
    out = tmp_path / "out"
    write(out, config="abc")
    rename, is_first = Path.rename, [True]

    def interrupted(self: Path, target: Path) -> Path:
        if not (str(target).endswith(suffix) and is_first):
            return rename(self, target)
        is_first.clear()
        if not before_it:
            rename(self, target)
        raise kind("stop")

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(WorkFailedError if kind is OSError else kind):
        write(out, config="other")
    monkeypatch.undo()
    is_new = suffix == "out" and not before_it
    assert content(out)["config"] == (b"other" if is_new else b"abc")
    assert is_new or names(tmp_path) == ["out"]
    check_out("--out", out)
    write(out, config="third")
    assert names(tmp_path) == ["out"] and content(out)["config"] == b"third"


def test_what_a_killed_process_had_put_aside_is_there_again(tmp_path: Path) -> None:
    out, gone = tmp_path / "out", 2**22 + 7
    write(out, config="abc", README="card")
    before = content(out)
    out.rename(tmp_path / f".out.{gone}.old")
    (tmp_path / f".out.{gone}.tmp").mkdir()
    check_out("--out", out)
    assert content(out) == before
    out.rename(tmp_path / f".out.{gone}.old")
    with pytest.raises(KeyboardInterrupt), whole_folder(out, {}):
        raise KeyboardInterrupt
    assert content(out) == before and names(tmp_path) == ["out"]


def test_what_a_running_process_has_put_aside_is_left_to_it(tmp_path: Path) -> None:
    aside = tmp_path / f".out.{os.getppid()}.old"
    aside.mkdir()
    check_out("--out", tmp_path / "out")
    assert names(tmp_path) == [aside.name]
