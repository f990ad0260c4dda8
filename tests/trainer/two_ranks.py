"""Two processes that train together, as one call."""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch.multiprocessing import start_processes  # pyright: ignore[reportPrivateImportUsage]

from tests.forked import forking
from trainer.distributed import Ranks, start, stop

ONE_RANK = Ranks(rank=0, size=1, local_rank=0, device=torch.device("cpu"))


def on_two_ranks(work: Callable[[Ranks], object], folder: Path) -> list:
    """What `work(ranks)` returns on rank 0 and on rank 1 of a gloo group; `work` is a function of a module."""
    forking()
    start_processes(_be_a_rank, args=(work, folder), nprocs=2, start_method="forkserver")
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


def join(folder: Path, rank: int, name: str = "meeting", **options: float) -> Ranks:
    """Start as rank `rank` of two, as torchrun would, meeting in a file."""
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK=str(rank))
    return start(device="cpu", dist_url=f"file://{folder / name}", **options)


def _be_a_rank(rank: int, work: Callable[[Ranks], object], folder: Path) -> None:
    torch.set_num_threads(1)
    ranks = join(folder, rank)
    torch.save(work(ranks), folder / f"{rank}.pt")
    stop(ranks)
