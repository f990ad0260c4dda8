"""Each distinct text of a step once, and which pair has which.

A batch of a few thousand pairs has far fewer distinct captions than pairs, the fewer the more common its species. The
text tower sees each once; the losses weigh it by its count.

Shapes: N pairs, L tokens, V distinct texts in the order of their first pairs (V <= N).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F


@dataclass(frozen=True)
class DistinctTexts:
    """The distinct texts of N pairs of one rank.

    Attributes:
        token_VL: the texts, dtype as given.
        inverse_N: int64, the text of every pair: token_VL[inverse_N] are the pairs' tokens.
        count_V: int64, the pairs of every text, at least 1 each, N in all.
    """

    token_VL: torch.Tensor
    inverse_N: torch.Tensor
    count_V: torch.Tensor

    def to(self, device: torch.device) -> "DistinctTexts":
        """The same on a device; the host does not wait for the copy to CUDA."""
        return DistinctTexts(*(send(tensor, device) for tensor in (self.token_VL, self.inverse_N, self.count_V)))


def distinct(token_NL: torch.Tensor) -> DistinctTexts:
    """The distinct rows, on the CPU: their number is a size, which on CUDA would make the host wait.

    Args:
        token_NL: [N, L] whole numbers. On CUDA they are copied back first, which waits.
    """
    numbers: dict[bytes, int] = {}
    first, inverse = [], []
    token_NL = token_NL.cpu()
    for pair, row in enumerate(token_NL.numpy()):
        number = numbers.setdefault(row.tobytes(), len(numbers))
        if number == len(first):
            first.append(pair)
        inverse.append(number)
    inverse_N = torch.tensor(inverse, dtype=torch.int64)
    return DistinctTexts(token_NL[first], inverse_N, torch.bincount(inverse_N, minlength=len(first)))


def stack_tokens(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The rows of several micro-batches one below the other, filled up with 0 to the longest.

    0 behind the end token is what the tokenizer fills with, so equal texts stay equal rows.
    """
    length = max(token_BL.shape[1] for token_BL in parts)
    return torch.cat([F.pad(token_BL, (0, length - token_BL.shape[1])) for token_BL in parts])


def send(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on a device, by page-locked memory if that is CUDA, so that the host does not wait."""
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
