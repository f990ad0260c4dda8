"""Who runs beside this process, and the few things that all of them do together.

There is no DistributedDataParallel: gradients are averaged by hand, once per optimizer step, after the whole backward
pass. With accumulation over k micro-batches that is one synchronisation and exact. Every function here does nothing,
and needs no process group, when there is one rank.

Shapes: W ranks, N rows of all ranks in the order of ranks, B rows of one rank.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed as dist

from taxonomy.errors import BadInputError

TIMEOUT_S = 1800
"""How long a collective waits for the other ranks, seconds: longer than an evaluation or a checkpoint on rank 0."""

BUCKET_ELEMENTS = 2**25
"""Most elements averaged or broadcast by one collective: bounds the extra memory, 128 MiB in fp32."""

Thing = TypeVar("Thing")

_RANK_VARIABLES = (  # (rank, number of ranks, rank on this machine); the first group whose first two are set counts
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),  # torchrun
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),  # srun; a batch script alone has no step
    ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
)


@dataclass(frozen=True)
class Ranks:
    """This process among all of them.

    Attributes:
        rank: 0 to size - 1, over all machines.
        size: number of processes, W.
        local_rank: rank on this machine.
        device: where this process computes.
        control_device: where flags and objects travel: the CPU where possible, so that they do not wait for the GPU.
    """

    rank: int
    size: int
    local_rank: int
    device: torch.device
    control_device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that talks and writes."""
        return self.rank == 0


def start(
    backend: str | None = None,
    device: str | None = None,
    dist_url: str | None = None,
    set_device_rank: bool = True,
    timeout_s: float = TIMEOUT_S,
) -> Ranks:
    """This process's place, from the variables of torchrun or SLURM; joins the process group if it is not alone.

    Args:
        backend: `gloo` or `nccl`, with which gloo serves tensors on the CPU. None: nccl on CUDA, gloo elsewhere.
        device: a torch device. None: CUDA if there is any, else the CPU.
        dist_url: how ranks meet; None is `env://`, that is MASTER_ADDR and MASTER_PORT.
        set_device_rank: on CUDA, whether local rank i takes device i (with `device="cuda"` or None).
        timeout_s: how long a collective waits for the others, seconds.

    Raises:
        BadInputError: the variables are no numbers, the device is not there, or the backend does not fit it.
    """
    rank, size, local_rank = _place(os.environ)
    place = _device(device, local_rank if set_device_rank else 0)
    if size == 1:
        return Ranks(rank, size, local_rank, place)
    backend = _backend(backend, place)
    if dist_url in (None, "env://"):
        _check_meeting_point()
    dist.init_process_group(
        backend,
        init_method=dist_url or "env://",
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=timeout_s),
        device_id=place if "nccl" in backend else None,  # else nccl guesses the device at its first barrier
    )
    return Ranks(rank, size, local_rank, place)


def stop(ranks: Ranks) -> None:
    """Leave the process group, if there is one."""
    if ranks.size > 1 and dist.is_initialized():
        dist.destroy_process_group()


def gather(tensor: torch.Tensor, ranks: Ranks) -> torch.Tensor:
    """The rows of all ranks in their order, [B, ...] to [W B, ...], without gradient; B is the same on all."""
    tensor = tensor.detach()
    if ranks.size == 1:
        return tensor
    rows = tensor.new_empty((ranks.size * tensor.shape[0], *tensor.shape[1:]))
    dist.all_gather_into_tensor(rows, tensor.contiguous())
    return rows


def gather_with_grad(tensor: torch.Tensor, ranks: Ranks) -> torch.Tensor:
    """As `gather`; the gradient of a row is the sum of what all ranks' losses give it.

    With losses whose mean over ranks is the loss, that is W times the gradient: averaging the parameters' gradients
    over ranks sets it right.
    """
    if ranks.size == 1:
        return tensor
    rows = _GatherWithGrad.apply(tensor, ranks)
    assert isinstance(rows, torch.Tensor)
    return rows


def average_gradients(parameters: Iterable[torch.nn.Parameter], ranks: Ranks) -> None:
    """Replace every gradient by its mean over ranks; call once per optimizer step.

    Parameters without a gradient (locked towers) are skipped; which these are, and the order, must be the same on all
    ranks.
    """
    if ranks.size == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for bucket in _buckets(gradients):
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        dist.all_reduce(flat)
        _write_back(flat.div_(ranks.size), bucket)


def broadcast_parameters(module: torch.nn.Module, ranks: Ranks) -> None:
    """Give all ranks the parameters and buffers of rank 0."""
    _broadcast([*module.parameters(), *module.buffers()], ranks)


def broadcast_buffers(module: torch.nn.Module, ranks: Ranks) -> None:
    """Give all ranks the buffers of rank 0."""
    _broadcast(list(module.buffers()), ranks)


def _broadcast(tensors: Sequence[torch.Tensor], ranks: Ranks) -> None:
    if ranks.size == 1:
        return
    for bucket in _buckets([tensor.detach() for tensor in tensors]):
        flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
        dist.broadcast(flat, src=0)
        _write_back(flat, bucket)


def mean_over_ranks(tensor: torch.Tensor, ranks: Ranks) -> torch.Tensor:
    """The mean of a tensor over ranks, on its device and without gradient; the host does not wait for CUDA."""
    tensor = tensor.detach().clone()
    if ranks.size > 1:
        dist.all_reduce(tensor)
        tensor /= ranks.size
    return tensor


def all_sum(counts: Mapping[str, float], ranks: Ranks) -> dict[str, float]:
    """The sums over ranks, by key; ranks may have different keys. All ranks get all sums, keys in sorted order."""
    parts: list[Mapping[str, float] | None] = [counts]
    if ranks.size > 1:
        parts = [None] * ranks.size
        dist.all_gather_object(parts, dict(counts))
    keys = sorted({key for part in parts if part for key in part})
    return {key: sum(part.get(key, 0) for part in parts if part) for key in keys}


def gather_objects(thing: object, ranks: Ranks) -> list | None:
    """The objects of all ranks in their order, on rank 0; None on the others. Objects are pickled."""
    if ranks.size == 1:
        return [thing]
    things: list[object] = [None] * ranks.size
    dist.gather_object(thing, things if ranks.is_first else None, dst=0)
    return things if ranks.is_first else None


def from_first(thing: Thing, ranks: Ranks) -> Thing:
    """The object of rank 0, on all ranks; those of the others are dropped. Objects are pickled."""
    if ranks.size == 1:
        return thing
    things = [thing]
    dist.broadcast_object_list(things, src=0)
    return things[0]


def any_rank(flag: bool, ranks: Ranks) -> bool:
    """Whether the flag is set on any rank; all ranks get the same answer."""
    if ranks.size == 1:
        return flag
    raised = torch.tensor(int(flag), device=ranks.control_device)
    dist.all_reduce(raised, op=dist.ReduceOp.MAX)
    return bool(raised.item())


class _GatherWithGrad(torch.autograd.Function):
    """all_gather forwards, reduce_scatter (sum) backwards."""

    @staticmethod
    def forward(ctx, tensor: torch.Tensor, ranks: Ranks) -> torch.Tensor:
        ctx.size = ranks.size
        return gather(tensor, ranks)

    @staticmethod
    def backward(ctx, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor, None]:
        (gradient,) = grad_outputs
        own = gradient.new_empty((gradient.shape[0] // ctx.size, *gradient.shape[1:]))
        dist.reduce_scatter_tensor(own, gradient.contiguous())
        return own, None


def _buckets(tensors: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """The tensors in groups of one dtype and at most BUCKET_ELEMENTS (or one tensor), in an order fixed by theirs."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        bucket: list[torch.Tensor] = []
        for tensor in (tensor for tensor in tensors if tensor.dtype == dtype):
            if bucket and sum(map(torch.Tensor.numel, bucket)) + tensor.numel() > BUCKET_ELEMENTS:
                yield bucket
                bucket = []
            bucket.append(tensor)
        yield bucket


def _write_back(flat: torch.Tensor, tensors: Sequence[torch.Tensor]) -> None:
    for tensor, values in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(values.view(tensor.shape))


def _place(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """(rank, number of ranks, local rank); (0, 1, 0) without a launcher."""
    for rank_name, size_name, local_name in _RANK_VARIABLES:
        if rank_name in environment and size_name in environment:
            values = [environment[rank_name], environment[size_name], environment.get(local_name, "0")]
            try:
                rank, size, local_rank = map(int, values)
            except ValueError:
                raise BadInputError(
                    f"{rank_name}, {size_name}, {local_name} must be whole numbers, got {values}"
                ) from None
            if not 0 <= rank < size:
                raise BadInputError(f"{rank_name}={rank} is no rank among {size_name}={size}: 0 to {size - 1}")
            return rank, size, local_rank
    return 0, 1, 0


def _device(name: str | None, local_rank: int) -> torch.device:
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError:
        raise BadInputError(f"--device {name}: unknown; allowed: cpu, cuda, cuda:0, ...") from None
    if device.type != "cuda":
        return device
    index = local_rank if device.index is None else device.index
    if index >= torch.cuda.device_count():
        raise BadInputError(
            f"--device {name or 'cuda'}: no GPU {index}, this machine shows {torch.cuda.device_count()}"
        )
    device = torch.device("cuda", index)
    torch.cuda.set_device(device)
    return device


def _backend(name: str | None, device: torch.device) -> str:
    if name is None:
        name = "nccl" if device.type == "cuda" else "gloo"
    if name not in ("gloo", "nccl"):
        raise BadInputError(f"--dist-backend {name}: unknown; allowed: gloo, nccl")
    if name == "nccl" and device.type != "cuda":
        raise BadInputError(f"--dist-backend nccl needs CUDA, not --device {device.type}: use gloo")
    return "cpu:gloo,cuda:nccl" if name == "nccl" else name


def _check_meeting_point() -> None:
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise BadInputError(f"several ranks, but {' and '.join(missing)} not set: export them, or start with torchrun")
