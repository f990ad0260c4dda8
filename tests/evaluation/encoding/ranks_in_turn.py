"""Two ranks in one process: as threads that meet at every sum."""

from collections.abc import Callable
from threading import Barrier, Thread

import torch

from evaluation.distributed import Share


def of_two_ranks(work: Callable[[Share], object]) -> list:
    """What `work(share)` returns on rank 0 and on rank 1; an error of either is raised."""
    barrier, given, made, errors = Barrier(2, timeout=60), [None, None], [None, None], []

    def be(rank: int) -> None:
        def sum_over_ranks(tensor: torch.Tensor) -> torch.Tensor:
            given[rank] = tensor.clone()
            barrier.wait()
            total = given[0] + given[1]
            barrier.wait()
            return total

        try:
            made[rank] = work(Share(rank, 2, sum_over_ranks))
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    threads = [Thread(target=be, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return made
