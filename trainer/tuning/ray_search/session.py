"""Ray for as long as a search needs it: its own processes on this machine, or a running cluster."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from taxonomy.errors import BadInputError, WorkFailedError
from trainer.tuning.config import TuneConfig
from trainer.tuning.ray_search.leftovers import make_temporary, remove_leftovers, temporary_parent
from trainer.tuning.ray_search.machines import no_cluster_error

_STORE_BYTES = 80 * 2**20
"""Ray's least: nothing but settings and figures goes through its object store."""

_MAX_TRIES = 3
"""Ray gives itself 30 s to start, which is little on a machine that is busy."""


@contextmanager
def session(config: TuneConfig) -> Iterator[int]:
    """Ray for as long as the block lasts; gives what it calls the CPUs of a trial. Afterwards nothing of it is left.

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
            yield 1
        else:
            _connect(config)
            yield config.cpus_per_trial or 1
    finally:
        ray.shutdown()
        remove_leftovers(config.out_dir)


def _start_here(config: TuneConfig) -> None:
    """Start Ray's processes on this machine."""
    for attempt in range(1, _MAX_TRIES + 1):
        remove_leftovers(config.out_dir)
        temporary = make_temporary(config.out_dir, temporary_parent())
        try:
            ray.init(
                address="local",
                num_cpus=_num_parallel(config),
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                log_to_driver=config.debug,
                logging_level=logging.INFO if config.debug else logging.CRITICAL,
                _temp_dir=str(temporary),
            )
            break
        except Exception as error:  # Ray raises a plain one where it takes too long
            ray.shutdown()
            if attempt == _MAX_TRIES:
                reason = " ".join(str(error).split())[:300]
                raise WorkFailedError(f"Ray could not be started in {_MAX_TRIES} attempts: {reason}") from error
    if config.gpus_per_trial > (there := ray.cluster_resources().get("GPU", 0)):
        raise BadInputError(f"--gpus-per-trial {config.gpus_per_trial}: this machine has {there:.0f}")


def _connect(config: TuneConfig) -> None:
    """Join a running cluster."""
    try:
        ray.init(
            address=config.address,
            log_to_driver=config.debug,
            logging_level=logging.INFO if config.debug else logging.CRITICAL,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise no_cluster_error(config.address, error) from error
    cpus, gpus = config.cpus_per_trial or 1, config.gpus_per_trial
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(one.get("CPU", 0) >= cpus and one.get("GPU", 0) >= gpus for one in machines):
        raise BadInputError(
            f"--address {config.address}: no machine of the cluster has {cpus} CPUs and {gpus} GPUs, which a trial "
            "takes by --cpus-per-trial and --gpus-per-trial"
        )


def _num_parallel(config: TuneConfig) -> int:
    """How many trials run at a time here: so many CPUs Ray is told of, since it starts a process for each at once."""
    cpus = os.cpu_count() or 1
    return max(1, cpus // (config.cpus_per_trial or cpus))
