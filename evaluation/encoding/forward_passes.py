"""A batch of pictures through a model, in forward passes that suit the device.

On the CPU the layers' outputs are memory of malloc's, which glibc hands back to the system after each layer and gets
anew, zeroed page by page, for the next: a fifth of the time of ViT-B/16 at 64 pictures (docs/LOG.md). So a pass is
small enough for blocks that glibc can keep, and glibc is told to keep them.

Shapes: N pictures of S x S pixels, T tokens of a picture, D embedding, or width of the layers.
"""

import ctypes
import platform
from functools import cache

import torch

from evaluation.encoding.encoder import Encoder

CPU_PICTURES = 8
"""The most of one pass on the CPU."""

_OTHER_MODELS = 6
"""Of a pass of a model that is no ViT of open_clip's."""

_KEPT_BYTES = 2**25
"""Blocks below it are kept; glibc allows no more."""

_FREE_BYTES = 2**28
"""What may lie free at the end of the heap: more than such a pass takes at a time."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Source: mallopt(3)."""


def encode_in_passes(encoder: Encoder, image_NSSC: torch.Tensor) -> torch.Tensor:
    """Unit rows [N, D], float32 on the CPU, of uint8 RGB pictures; the same pictures give the same bytes.

    Args:
        encoder: takes all pictures at once, unless its `device` is the CPU.
        image_NSSC: one picture at least.
    """
    device = getattr(encoder, "device", None)
    if not isinstance(device, torch.device) or device.type != "cpu":
        return encoder.encode_images(image_NSSC).float().cpu()
    keep_freed_memory()
    size = pictures_of_a_pass(getattr(encoder, "model", None))
    return torch.cat([encoder.encode_images(one_NSSC).float() for one_NSSC in image_NSSC.split(size)])


def pictures_of_a_pass(model: object) -> int:
    """So many, 1 to CPU_PICTURES, that glibc can keep the widest output of a ViT's layers: four times tokens x width.

    Args:
        model: of an encoder on the CPU, in float32 or narrower.
    """
    position_TD = getattr(getattr(model, "visual", None), "positional_embedding", None)
    if not isinstance(position_TD, torch.Tensor):
        return _OTHER_MODELS
    widest_bytes = 4 * position_TD.numel() * torch.float32.itemsize
    return min(CPU_PICTURES, max(1, (_KEPT_BYTES - 1) // widest_bytes))


@cache
def keep_freed_memory() -> None:
    """Have glibc keep freed blocks for the next pass, from now on and in all of this process; elsewhere do nothing."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _FREE_BYTES)
