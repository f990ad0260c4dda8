"""The folder of a run, `<logs>/<name>/`, which one process at a time may hold."""

import fcntl
import os
import socket
from datetime import datetime
from pathlib import Path
from typing import IO

from taxonomy.errors import BadInputError
from taxonomy.whole_file import whole_file

_LOCK = ".lock"
_TRACES = ("config.toml", "train.jsonl", "checkpoints")
"""Any of these says that a run has begun here."""


class RunFolder:
    """Where a run's files are.

    Attributes:
        name: the run's name.
        path: `<logs>/<name>`.
        config: the resolved configuration.
        train_log: a JSON line for each logged step.
        checkpoints: the folder of all checkpoints.
        tensorboard: the folder of TensorBoard's events.
    """

    def __init__(self, logs: Path, name: str) -> None:
        self.name = name
        self.path = logs / name
        self.config = self.path / "config.toml"
        self.train_log = self.path / "train.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self._lock: IO[str] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether a run of this name has left anything."""
        return any((self.path / trace).exists() for trace in _TRACES)

    def goes_on(self, resume: str | None) -> bool:
        """Whether `--resume` means to go on with this run: `latest`, or a checkpoint of its own folder.

        A checkpoint of another place begins a new run, which needs a name of its own.
        """
        if resume is None or resume == "latest":
            return resume == "latest"
        return self.path.resolve() in Path(resume).resolve().parents

    def check(self, resume: str | None) -> None:
        """Make sure that `claim` can succeed, without writing anything.

        Raises:
            BadInputError: the name is no file name, the folder cannot be written, or the run exists and is not resumed.
        """
        if not self.name or self.name.startswith(".") or self.name != Path(self.name).name or "\0" in self.name:
            raise BadInputError(
                f"--name {self.name!r}: give the plain name of a folder, without / and not beginning with ."
            )
        existing = next(folder for folder in (self.path, *self.path.absolute().parents) if folder.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            raise BadInputError(f"--logs {self.path.parent}: {existing} cannot be written; choose another folder")
        if self.has_begun and not self.goes_on(resume):
            raise BadInputError(
                f"--name {self.name}: there is such a run in {self.path.parent}; "
                "choose another --name, or go on with it with --resume latest"
            )

    def hold(self) -> None:
        """Keep other processes out of the run, if there is one, from before its checkpoints are looked at.

        Raises:
            BadInputError: another process holds it.
        """
        if self._lock is None and self.path.is_dir():
            self._lock = self._locked()

    def claim(self, resume: str | None, config_toml: str) -> None:
        """Take the run for this process, until it ends or calls `release`, and write its configuration.

        Raises:
            BadInputError: as `check`, or another process holds it.
        """
        self.check(resume)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.hold()
            self.check(resume)  # another process may have begun it and ended in between
            self._sign()
            with whole_file(self.config, self.path / ".config.toml.tmp") as file:  # replaces what a killed run left
                file.write(config_toml.encode())
            self.checkpoints.mkdir(exist_ok=True)
        except BaseException as error:
            self.release()
            if isinstance(error, OSError):
                raise BadInputError(f"--logs {self.path.parent}: cannot be written: {error.strerror}") from error
            raise

    def release(self) -> None:
        """Let other processes have the run."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _locked(self) -> IO[str]:
        file = (self.path / _LOCK).open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            raise BadInputError(
                f"--name {self.name}: {holder} trains in {self.path}; wait, or choose another --name"
            ) from None
        # A forked loader worker that outlives this process for some seconds must not hold the run.
        os.register_at_fork(after_in_child=file.close)
        return file

    def _sign(self) -> None:
        """Say in the lock's file who holds it."""
        assert self._lock is not None
        self._lock.truncate(0)
        self._lock.write(f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}\n")
        self._lock.flush()


def default_name(model: str, lr: float, batch_size: int, now: datetime) -> str:
    """`2026_01_31-12_00_00-model_ViT-B-16-lr_0.0001-b_4096`: the published name without workers and precision."""
    return f"{now:%Y_%m_%d-%H_%M_%S}-model_{model.replace('/', '-')}-lr_{lr}-b_{batch_size}"
