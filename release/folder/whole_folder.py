"""A folder of results that is there whole or as it was before, and is only replaced where all of it is ours. No torch.

Its `taxaflow.json` names every file with its SHA-256: what it does not name belongs to someone else.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evaluation.results.whole_file import sync
from taxonomy.errors import BadInputError, WorkFailedError
from trainer.checkpoints.durable import reason_of

RECORD = "taxaflow.json"
"""What the folder was made from, and its files with their checksums."""

SCHEMA_VERSION = 1


def check_out(flag: str, out: Path) -> None:
    """Check that a folder can be written: absent, empty, or made by this command and not added to since.

    Raises:
        BadInputError: it holds something else, is a file, or cannot be made.
    """
    out = out.resolve()
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


def _foreign(folder: Path) -> list[str]:
    """The files of a folder that its record does not name; all of them without a record."""
    there = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    own = read_record(folder).get("files", {})
    return [name for name in there if name not in own and not (own and name == RECORD)]


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
        _remove_leftovers(out, "tmp")
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
    if out.exists():
        out.rename(replaced)
    try:
        temporary.rename(out)
    except OSError:
        if replaced.exists():
            replaced.rename(out)
        raise
    sync(out.parent)
    shutil.rmtree(replaced, ignore_errors=True)
    _remove_leftovers(out, "old")


def _hidden(out: Path, suffix: str) -> Path:
    return out.with_name(f".{out.name}.{os.getpid()}.{suffix}")


def _remove_leftovers(out: Path, suffix: str) -> None:
    """Clear away what processes that are gone left beside the folder."""
    name = re.compile(rf"{re.escape('.' + out.name)}\.(\d+)\.{suffix}")
    for path in out.parent.iterdir():
        match = name.fullmatch(path.name)
        if match is not None and not _runs(int(match[1])):
            shutil.rmtree(path, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return process != os.getpid()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
