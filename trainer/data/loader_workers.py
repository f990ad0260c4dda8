"""Loader processes that outlive the signals meant for the trainer, and never outlive the trainer.

A scheduler that ends a job signals all its processes. The trainer then finishes its step and saves, for which its
workers must live on; it ends them itself, by message. A worker that ignored SIGTERM for good would keep a trainer that
ends without this from ever ending: Python terminates and joins its child processes at exit.
"""

import atexit
import os
import signal
from collections.abc import Iterator
from typing import Generic, TypeVar

from torch.utils.data import DataLoader

from taxonomy.errors import WorkFailedError

GRACE_S = 120
"""How long a worker lives on after SIGTERM, at most; a trainer needs it no longer than to the end of its step."""

Item = TypeVar("Item")


def outlive_signals(worker: int) -> None:
    """For `worker_init_fn`: ignore SIGINT and SIGUSR1, and end in peace only GRACE_S after SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))  # another exit code would raise an error in the trainer
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE_S))


class LoaderRun(Generic[Item]):
    """One pass over a loader whose workers end with it: when closed, on an error, and at the trainer's exit."""

    def __init__(self, loader: DataLoader) -> None:
        self._iterator = iter(loader)
        atexit.register(self.close)

    def __iter__(self) -> Iterator[Item]:
        try:
            yield from self._iterator
        except RuntimeError as error:
            if not str(error).startswith("DataLoader worker (pid"):
                raise  # the source's own, as torch passes it on
            raise WorkFailedError(f"a loader worker died, often for want of memory: {error}") from error
        finally:
            self.close()

    def close(self) -> None:
        """End the workers, even where a trace still refers to them."""
        atexit.unregister(self.close)
        end = getattr(self._iterator, "_shutdown_workers", None)  # torch calls it only when nothing refers to it
        if end is not None:
            end()
