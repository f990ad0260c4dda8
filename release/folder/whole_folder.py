"""A folder of results that is there whole or as it was before, and is only replaced where all of it is ours. No torch.

Its `taxaflow.json` names every file with its SHA-256: what it does not name belongs to someone else.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from inference.leftovers import leftovers, sweep
from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.whole_file import reason_of, sync

RECORD = "taxaflow.json"
"""What the folder was made from, and its files with their checksums."""

SCHEMA_VERSION = 1


def check_out(flag: str, out: Path) -> None:
    """Check that a folder can be written: absent, empty, or made by this command and not touched since.

    A folder that a process which is gone had put aside to replace it is there again afterwards.

    Raises:
        BadInputError: it holds something else or a file that was changed, is a file, or cannot be made.
    """
    out = out.resolve()
    _restore(out)
    nearest = next(one for one in (out, *out.parents) if one.exists())
    if not nearest.is_dir():
        raise BadInputError(f"{flag} {out}: {nearest} is a file; give a folder")
    parent = nearest if nearest != out else out.parent
    if not os.access(parent, os.W_OK | os.X_OK):
        raise BadInputError(f"{flag} {out}: {parent} may not be written to; give another folder")
    foreign = _foreign(out) if nearest == out else []
    if foreign:
        raise BadInputError(
            f"{flag} {out} holds something else ({', '.join(foreign[:3])}{', ...' if len(foreign) > 3 else ''}): "
            f"give a new folder, or one that taxaflow made and nobody added to"
        )
    changed = _changed(out) if nearest == out else []
    if changed:
        raise BadInputError(
            f"{flag} {out}: {', '.join(changed[:3])}{', ...' if len(changed) > 3 else ''} was changed since taxaflow "
            f"wrote it, and would be overwritten: give a new folder, or move the file away first"
        )


def earlier_files(out: Path) -> set[str]:
    """The files of a folder that taxaflow made, by their names in it; empty where there is none."""
    return set(read_record(out).get("files", {}))


def _foreign(folder: Path) -> list[str]:
    """What a folder holds and its record does not name: files, links, and empty folders that held no file of ours."""
    own = read_record(folder).get("files", {})
    known = {*own, *([RECORD] if own else [])}
    folders = {parent.as_posix() for name in known for parent in PurePosixPath(name).parents}
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_dir():
            is_foreign = path.is_symlink() or name not in known
        else:
            is_foreign = name not in folders and not any(path.iterdir())
        found += [name] if is_foreign else []
    return found


def _changed(folder: Path) -> list[str]:
    """The files of a folder that are not as its record has them; what is gone can be lost no more."""
    own = read_record(folder).get("files", {})
    return [name for name, sha256 in own.items() if (folder / name).is_file() and _sha256(folder / name) != sha256]


def read_record(folder: Path) -> dict[str, Any]:
    """The `taxaflow.json` of a folder; empty where there is none, or another program's."""
    try:
        stored = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_ours = isinstance(stored, dict) and stored.get("made_by") == "taxaflow" and isinstance(stored.get("files"), dict)
    return stored if is_ours else {}


@contextmanager
def whole_folder(out: Path, record: Mapping[str, Any]) -> Iterator[Path]:
    """A folder to fill, which takes the name `out` when the block ends without an error, with `record` in RECORD.

    Until then it is a hidden neighbour; an error removes it, a crash leaves it to the next run. Call `check_out` first.

    Args:
        out: replaced if it is there.
        record: JSON-able; read when the block ends, so it may be added to.

    Raises:
        WorkFailedError: it could not be written, as on a full disk. What was there is as it was.
    """
    out = out.resolve()
    temporary = _hidden(out, "tmp")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _restore(out)
        sweep(out.parent, "tmp", out.name)
        temporary.mkdir()
        yield temporary
        _write_record(temporary, record)
        _put_in_place(temporary, out)
    except OSError as error:
        raise WorkFailedError(f"cannot write {out}: {reason_of(error)}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_record(folder: Path, record: Mapping[str, Any]) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = {path.relative_to(folder).as_posix(): _sha256(path) for path in files}
    content = {"made_by": "taxaflow", "schema_version": SCHEMA_VERSION, **record, "files": sums}
    (folder / RECORD).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    for path in (*files, folder / RECORD, *(path for path in folder.rglob("*") if path.is_dir()), folder):
        sync(path)


def _put_in_place(temporary: Path, out: Path) -> None:
    """Rename; a folder with files cannot be replaced by another, so the old one steps aside for a moment."""
    replaced = _hidden(out, "old")
    try:
        if out.exists():
            sweep(out.parent, "old", out.name)
            out.rename(replaced)
        temporary.rename(out)
    except BaseException:  # also an interrupt between the two
        if replaced.exists() and not out.exists():
            replaced.rename(out)
        raise
    sync(out.parent)
    shutil.rmtree(replaced, ignore_errors=True)
    sweep(out.parent, "old", out.name)


def _hidden(out: Path, suffix: str) -> Path:
    return out.with_name(f".{out.name}.{os.getpid()}.{suffix}")


def _restore(out: Path) -> None:
    """Give the name back to a folder that a process put aside and was killed before it put another in its place."""
    if out.exists():
        return
    aside = sorted(leftovers(out.parent, "old", out.name), key=lambda path: path.stat().st_mtime)
    if aside:
        aside[-1].rename(out)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
