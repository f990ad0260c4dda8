"""Ray for as long as a search needs it: its own processes on this machine, or a running cluster."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from taxonomy.errors import BadInputError, WorkFailedError
from trainer.tuning.config import TuneConfig
from trainer.tuning.leftovers import make_temporary, remove_leftovers

_STORE_BYTES = 80 * 2**20
"""Ray's least: nothing but settings and figures goes through its object store."""

_TRIES = 3
"""Ray gives itself 30 s to start, which is little on a machine that is busy."""

_ANSWER_S = 10.0


@contextmanager
def session(config: TuneConfig) -> Iterator[int]:
    """Ray for as long as the block lasts; gives the CPUs of a trial. Afterwards nothing of it is left.

    Raises:
        BadInputError: no cluster answers, or no machine has what a trial takes.
        WorkFailedError: Ray cannot be started here.
    """
    for name in ("ray", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.DEBUG if config.debug else logging.CRITICAL)
    remove_leftovers(config.out_dir)
    try:
        if config.address is None:
            _start_here(config)
            yield config.cpus_per_trial or _cpus()
        else:
            _connect(config)
            yield config.cpus_per_trial or 1
    finally:
        ray.shutdown()
        remove_leftovers(config.out_dir)


def _start_here(config: TuneConfig) -> None:
    """Start Ray's processes on this machine."""
    if (config.cpus_per_trial or 1) > _cpus():
        raise BadInputError(f"--cpus-per-trial {config.cpus_per_trial}: this machine has {_cpus()}")
    for attempt in range(1, _TRIES + 1):
        remove_leftovers(config.out_dir)
        temporary = make_temporary(config.out_dir)
        try:
            ray.init(
                address="local",
                num_cpus=_cpus(),
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                log_to_driver=config.debug,
                logging_level=logging.INFO if config.debug else logging.CRITICAL,
                _temp_dir=str(temporary),
            )
            break
        except Exception as error:  # Ray raises a plain one where it takes too long
            ray.shutdown()
            if attempt == _TRIES:
                reason = " ".join(str(error).split())[:300]
                raise WorkFailedError(f"Ray could not be started in {_TRIES} attempts: {reason}") from error
    if config.gpus_per_trial > (there := ray.cluster_resources().get("GPU", 0)):
        raise BadInputError(f"--gpus-per-trial {config.gpus_per_trial}: this machine has {there:.0f}")


def _connect(config: TuneConfig) -> None:
    """Join a running cluster."""
    _check_answers(config.address or "")
    try:
        ray.init(
            address=config.address,
            log_to_driver=config.debug,
            logging_level=logging.INFO if config.debug else logging.CRITICAL,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _no_cluster(config.address, error) from error
    cpus, gpus = config.cpus_per_trial or 1, config.gpus_per_trial
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(one.get("CPU", 0) >= cpus and one.get("GPU", 0) >= gpus for one in machines):
        raise BadInputError(
            f"--address {config.address}: no machine of the cluster has {cpus} CPUs and {gpus} GPUs, which a trial "
            "takes by --cpus-per-trial and --gpus-per-trial"
        )


def _check_answers(address: str) -> None:
    """Check that something listens at HOST:PORT: Ray would try for two minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S).close()
        except (OSError, OverflowError) as error:
            raise _no_cluster(address, error) from error


def _no_cluster(address: str | None, error: Exception) -> BadInputError:
    reason = " ".join(str(error).split())[:200]
    return BadInputError(
        f"--address {address}: no Ray cluster answers there ({reason}); start one with `ray start --head`, or leave "
        "--address out"
    )


def _cpus() -> int:
    return os.cpu_count() or 1
