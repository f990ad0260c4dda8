"""What checkpoints of the tests hold, a function of a seed, and when two of them are the same to the last bit."""

import random
from typing import Any

import numpy as np
import torch

from trainer.checkpoints.checkpoint import CheckpointContent
from trainer.checkpoints.rng_state import rng_state

CPU = torch.device("cpu")


def content_of(seed: int, num_ranks: int = 2, width: int = 8) -> CheckpointContent:
    """Tensors of all types that a model or optimizer has, odd ones among them, and odd numbers in the states."""
    generator = torch.Generator().manual_seed(seed)
    weights = {
        dtype: torch.nn.Parameter(torch.randn(width, width, generator=generator).to(dtype))
        for dtype in (torch.float32, torch.bfloat16, torch.float64)
    }
    optimizer = torch.optim.AdamW(weights.values(), lr=0.1 + 1e-17 * seed, fused=True)
    for weight in weights.values():
        weight.grad = torch.randn(width, width, generator=generator).to(weight.dtype)
    optimizer.step()
    table = torch.randn(width, width, generator=generator)
    model_state = {f"{dtype}.weight": weight for dtype, weight in weights.items()} | {
        "odd": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45, seed]),
        "transposed": table.t(),
        "part": table[2:4, 1:3],
        "tied": table,
        "tied_too": table,
        "scalar": torch.tensor(seed / 3),
        "empty": torch.zeros(0, 3),
        "count": torch.tensor(2**53 + seed),
        "mask": torch.tensor([True, False]),
    }
    for set_seed in (torch.manual_seed, np.random.seed, random.seed):
        set_seed(seed)
    ranks = [
        {"position": {"item": 7 * seed, "workers": [rank, None]}, "rng": rng_state(CPU)} for rank in range(num_ranks)
    ]
    state = {"step": seed, "loss": 0.1 + seed / 3, "best": None, "name": "Grüße", "position": {"epoch": seed}}
    return CheckpointContent(model_state, optimizer.state_dict(), {"scale": 65536.0 + seed}, state, ranks)


def is_same(one: Any, other: Any) -> bool:
    """Whether two values, however nested, are of the same types and the same to the last bit."""
    if isinstance(one, CheckpointContent):
        return type(other) is CheckpointContent and is_same(vars(one), vars(other))
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and _have_same_bits(one, other)
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    return repr(one) == repr(other)


def _have_same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    bits = [tensor.detach().contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other)]
    return torch.equal(*bits)
