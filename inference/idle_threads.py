"""How long a thread of OpenMP that has nothing to do keeps its core busy. No torch here."""

import os

_SPINS = "10000"
"""Some ten microseconds, enough from one operation of a layer to the next; GNU's default is thirty times as long."""


def let_idle_threads_sleep() -> None:
    """Have them sleep soon: counts where it is called before torch is imported. What the environment says stays.

    Between forward passes, where pictures are decoded and answers written, waiting threads would take more processor
    time than the work (docs/LOG.md).
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
