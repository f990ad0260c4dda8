"""Who evaluates beside this process: the process group of torchrun, as a share of the work and a device.

Sums over ranks are the only thing ranks do together; they come after the loops, never inside one.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
from torch import distributed

from taxonomy.errors import BadInputError

TIMEOUT_S = 7200
"""How long a sum waits for the other ranks, seconds: ranks read unequal pictures, and meet once per benchmark."""

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun sets."""


@dataclass(frozen=True)
class Share:
    """One rank's part of an evaluation.

    Attributes:
        rank: 0-based.
        size: number of ranks.
        sum_over_ranks: tensor -> its sum over all ranks, on every rank.
    """

    rank: int = 0
    size: int = 1
    sum_over_ranks: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor


ALONE = Share()
"""One process does everything."""


@dataclass(frozen=True)
class ProcessPlace:
    """This process among all of them.

    Attributes:
        share: its part of the work.
        device: where it computes.
    """

    share: Share = field(default_factory=lambda: ALONE)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@contextmanager
def process_group(device: str | None = None) -> Iterator[ProcessPlace]:
    """This process's place, in the process group while the block runs; no group if it is alone.

    Args:
        device: a torch device; on CUDA without a number, local rank i takes GPU i. None: CUDA if there is any, else
            the CPU.

    Raises:
        BadInputError: the device is not there, or torchrun's variables are incomplete or no numbers.
    """
    rank, size, local_rank = _process_ranks(os.environ)
    place = find_device(device, local_rank)
    if size == 1:
        yield ProcessPlace(ALONE, place)
        return
    # gloo serves tensors of the CPU, nccl those of the GPU: both kinds are summed
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo",
        timeout=timedelta(seconds=TIMEOUT_S),
        device_id=place if place.type == "cuda" else None,
    )
    try:
        yield ProcessPlace(Share(rank, size, sum_over_ranks), place)
    finally:
        distributed.destroy_process_group()


def sum_over_ranks(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of a tensor over all ranks of the process group, on every rank; the argument is left as it is."""
    total = tensor.detach().clone()
    distributed.all_reduce(total)
    return total


def find_device(name: str | None = None, local_rank: int = 0) -> torch.device:
    """The device of a name, its GPU chosen by the local rank unless it has a number.

    Raises:
        BadInputError: no such device here.
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError:
        raise BadInputError(f"--device {name}: unknown; allowed are cpu, cuda, cuda:N and mps") from None
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise BadInputError(f"--device {name}: not there on this machine; use cpu")
    if device.type != "cuda":
        return device
    index = local_rank if device.index is None else device.index
    if index >= torch.cuda.device_count():
        shown = torch.cuda.device_count()
        raise BadInputError(f"--device {name or 'cuda'}: no GPU {index}, this machine shows {shown}; use cpu, or fewer")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def _process_ranks(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """(rank, number of ranks, rank on this machine); (0, 1, 0) outside torchrun."""
    if "RANK" not in environment:
        return 0, 1, 0
    missing = [name for name in _VARIABLES if name not in environment]
    if missing:
        raise BadInputError(f"RANK is set, {', '.join(missing)} not: start the processes with torchrun or --nproc")
    try:
        rank, size, local_rank = (int(environment[name]) for name in _VARIABLES[:3])
    except ValueError:
        values = " ".join(environment[name] for name in _VARIABLES[:3])
        raise BadInputError(f"RANK, WORLD_SIZE, LOCAL_RANK are {values!r}: must be whole numbers") from None
    if not 0 <= rank < size:
        raise BadInputError(f"RANK={rank} is no rank among WORLD_SIZE={size}: 0 to {size - 1}")
    return rank, size, local_rank
