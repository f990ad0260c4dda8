"""The folder of a search: one process at a time, one set of settings for as long as it exists.

OUT/
    tune.toml          what the search was begun with; another start must agree
    base.toml          the trainer's settings that all trials share; a recipe
    trials/trial_000/  a run's folder each (trials/folder.py)
    trials.csv, trials.json, tune.html
    best.toml          the best trial's recipe
    test/              guesses of best and default on the test split
    comparison.json    best against default on it, written once
"""

import fcntl
import hashlib
import json
import os
import socket
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from evaluation.settings.option import flag_of
from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.toml_text import to_toml
from taxonomy.whole_file import write_whole
from trainer.tuning.trials.folder import TrialFolder

_LOCK = ".lock"

DATA_SHA256 = "train_data_sha256"
"""The setting of a search that stands for the dataset."""

_DATA_CHANGED = (
    "that search was begun with another content of --train-data; give the dataset as it was, or another folder"
)

_NOT_SHARED = frozenset({"logs", "name", "debug", "resume", "resume_at", "recipe"})
"""Of a run's settings: what is a trial's own, or makes no difference."""


@dataclass(frozen=True)
class SearchFolder:
    """The files of a search.

    Attributes:
        path: OUT.
    """

    path: Path

    @property
    def base(self) -> Path:
        """The recipe of all that trials share."""
        return self.path / "base.toml"

    @property
    def best(self) -> Path:
        """The best trial's recipe."""
        return self.path / "best.toml"

    @property
    def comparison(self) -> Path:
        """Best against default."""
        return self.path / "comparison.json"

    def trial(self, number: int) -> TrialFolder:
        """The files of a trial."""
        return TrialFolder(self.path / "trials", number)

    def check(self, search: Mapping[str, Any], base: Mapping[str, Any]) -> None:
        """Check that the folder is new, or of a search with these settings; nothing is written.

        More trials than it was begun with are welcome: a search of 20 begins with the trials of one of 5.

        Raises:
            BadInputError: it is another search's, with the settings that differ, or it holds something else.
            WorkFailedError: its settings cannot be read.
        """
        begun = self.path / "tune.toml"
        if not begun.exists():
            return self._check_unused(base)
        before = _read(begun)
        if before.get("trials", 0) < search["trials"]:
            before["trials"] = search["trials"]
        if before.pop(DATA_SHA256, None) != search[DATA_SHA256]:
            raise BadInputError(f"--out {self.path}: {_DATA_CHANGED}")
        differing = _differing(before, {name: value for name, value in search.items() if name != DATA_SHA256})
        differing += _differing(_read(self.base), base)
        if differing:
            raise BadInputError(
                f"--out {self.path}: that search was begun with {'; '.join(differing[:3])}; give the same settings to "
                "go on with it, or another folder"
            )

    def _check_unused(self, base: Mapping[str, Any]) -> None:
        """Nothing is in the folder but what a search may leave that was killed before it wrote its settings."""
        if not self.path.is_dir():
            return
        found = [path for path in sorted(self.path.iterdir()) if not path.name.startswith(".")]
        if found == [self.base] and self.base.is_file() and self.base.read_bytes() == _base_toml(base):
            return
        if found:
            name = f"{found[0].name}/" if found[0].is_dir() else found[0].name
            raise BadInputError(f"--out {self.path}: has {name} but no tune.toml, so no search; give another folder")

    def begin(self, search: Mapping[str, Any], base: Mapping[str, Any]) -> None:
        """Write the settings, where they are not written yet; trials come after them.

        Raises:
            WorkFailedError: they could not be written.
        """
        write_whole(self.base, _base_toml(base))
        write_whole(self.path / "tune.toml", f"# What this search was begun with.\n{to_toml(search)}".encode())
        (self.path / "trials").mkdir(exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The folder, made if it is not there, for this process alone.

        Raises:
            BadInputError: another search holds it, or it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / _LOCK).open("a+")
        except OSError as error:
            raise BadInputError(f"--out {self.path}: cannot be written: {error.strerror}") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise BadInputError(f"--out {self.path}: {holder} searches in it; wait for it to end") from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}\n")
            file.flush()
            yield


def shared_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A run's settings without what is a trial's own, as TOML has them."""
    return {name: value for name, value in settings.items() if name not in _NOT_SHARED}


def _base_toml(base: Mapping[str, Any]) -> bytes:
    return f"# What all trials of this search share; a recipe.\n{to_toml(base)}".encode()


def sha256(path: Path) -> str:
    """Of a file's content, hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole or not at all.

    Raises:
        WorkFailedError: it could not be written.
    """
    write_whole(path, json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WorkFailedError(f"{path} cannot be read: {error}; give another --out") from error


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`--seed 0, not 1` for each setting that differs."""
    plain = tomllib.loads(to_toml(now))
    names = [name for name in {**before, **plain} if before.get(name) != plain.get(name)]
    return [f"{flag_of(name)} {_printed(before.get(name))}, not {_printed(plain.get(name))}" for name in names]


def _printed(value: Any) -> str:
    return "none" if value is None else str(value)[:80]
