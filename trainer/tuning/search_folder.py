"""The folder of a search: one process at a time, one set of settings for as long as it exists.

OUT/
    tune.toml          what the search was begun with; another start must agree
    base.toml          the trainer's settings that all trials share; a recipe
    trials/trial_000/  a run's folder each (trial_folder.py)
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

from evaluation.results.whole_file import write_whole
from evaluation.settings.option import flag_of
from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.toml_text import to_toml
from trainer.tuning.trial_folder import TrialFolder

_LOCK = ".lock"
_NOT_COMPARED = frozenset({"logs", "name", "debug", "resume", "resume_at", "recipe"})
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

        Raises:
            BadInputError: it is another search's; names the settings that differ.
        """
        begun = self.path / "tune.toml"
        if not begun.exists():
            if (self.path / "trials").exists():
                raise BadInputError(f"--out {self.path}: has trials/ but no tune.toml; give another folder")
            return
        differing = _differing(_read(begun), search) + _differing(_read(self.base), base)
        if differing:
            raise BadInputError(
                f"--out {self.path}: that search was begun with {'; '.join(differing[:3])}; give the same settings to "
                "go on with it, or another folder"
            )

    def begin(self, search: Mapping[str, Any], base: Mapping[str, Any]) -> None:
        """Write the settings, where they are not written yet.

        Raises:
            WorkFailedError: they could not be written.
        """
        (self.path / "trials").mkdir(exist_ok=True)
        write_whole(self.base, f"# What all trials of this search share; a recipe.\n{to_toml(base)}".encode())
        write_whole(self.path / "tune.toml", f"# What this search was begun with.\n{to_toml(search)}".encode())

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


def compared(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A run's settings without what is a trial's own, as TOML has them."""
    return {name: value for name, value in settings.items() if name not in _NOT_COMPARED}


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
    return [f"{flag_of(name)} {_shown(before.get(name))}, not {_shown(plain.get(name))}" for name in names]


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)[:80]
