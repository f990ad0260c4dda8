"""Whether the machines that a search names can be had, as far as that can be told without Ray."""

import os
import socket

from taxonomy.errors import BadInputError
from trainer.tuning.config import TuneConfig

_ANSWER_S = 10.0
"""So long something may take to answer; Ray itself would try for two minutes."""


def check_machines(config: TuneConfig) -> None:
    """Check that this machine has the CPUs of a trial, or that something listens at the cluster's HOST:PORT.

    Raises:
        BadInputError: not so.
    """
    if config.address is None:
        if (config.cpus_per_trial or 1) > (there := os.cpu_count() or 1):
            raise BadInputError(f"--cpus-per-trial {config.cpus_per_trial}: this machine has {there}")
        return
    if config.address == "auto":
        return
    host, _, port = config.address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise no_cluster_error(config.address, error) from error


def no_cluster_error(address: str | None, error: Exception) -> BadInputError:
    """What to say where no cluster answers."""
    reason = " ".join(str(error).split())[:200]
    return BadInputError(
        f"--address {address}: no Ray cluster answers there ({reason}); start one with `ray start --head`, or leave "
        "--address out"
    )
