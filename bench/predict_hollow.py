"""Runs a command with the forward pass of its pictures taken out; started by bench/predict.py in either environment.

    python bench/predict_hollow.py MODULE ARGUMENT ...

Calls MODULE.main() as the command line would, after open_clip's `CLIP.encode_image` was replaced by a product of a few
pixels with fixed random numbers: still another embedding for every picture, in microseconds. What the command then
uses is what it does around the forward pass. Needs nothing but torch and open_clip.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import open_clip
import torch
import torch.nn.functional as F

SIDE = 4
"""Pixels looked at along each edge."""


def hollow_encode_image(model: Any, image_NCHW: torch.Tensor, normalize: bool = False) -> torch.Tensor:
    """Embeddings [N, D] of the model's width, other ones for other pictures, whatever the weights."""
    step = max(1, image_NCHW.shape[-1] // SIDE)
    pixel_NP = image_NCHW[:, :, step // 2 :: step, step // 2 :: step].flatten(1)
    width = model.text_projection.shape[-1]
    fixed_PD = torch.randn(pixel_NP.shape[1], width, generator=torch.Generator().manual_seed(0))
    embedding_ND = pixel_NP @ fixed_PD.to(pixel_NP)
    return F.normalize(embedding_ND, dim=-1) if normalize else embedding_ND


def main() -> None:
    """Run the command of the arguments, hollow."""
    module, *arguments = sys.argv[1:]
    open_clip.model.CLIP.encode_image = hollow_encode_image  # pyright: ignore[reportAttributeAccessIssue]
    sys.argv = [module, *arguments]
    importlib.import_module(module).main()


if __name__ == "__main__":
    main()
