"""Runs a command with the forward pass of its pictures taken out; started by bench/predict.py in either environment.

    python bench/predict_hollow.py MODULE ARGUMENT ...

Calls MODULE.main() as the command line would; when it imports open_clip, `CLIP.encode_image` is replaced by a product
of a few pixels with fixed random numbers: still another embedding for every picture, in microseconds. What the command
then uses is what it does around the forward pass. Imports torch no sooner than the command: what it sets before counts.
"""

from __future__ import annotations

import importlib
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SIDE = 4
"""Pixels looked at along each edge."""


def hollow_encode_image(model: Any, image_NCHW: torch.Tensor, normalize: bool = False) -> torch.Tensor:
    """Embeddings [N, D] of the model's width, other ones for other pictures, whatever the weights."""
    import torch
    import torch.nn.functional as F

    step = max(1, image_NCHW.shape[-1] // SIDE)
    pixel_NP = image_NCHW[:, :, step // 2 :: step, step // 2 :: step].flatten(1)
    width = model.text_projection.shape[-1]
    fixed_PD = torch.randn(pixel_NP.shape[1], width, generator=torch.Generator().manual_seed(0))
    embedding_ND = pixel_NP @ fixed_PD.to(pixel_NP)
    return F.normalize(embedding_ND, dim=-1) if normalize else embedding_ND


class HollowModel(MetaPathFinder):
    """Finds open_clip's models, and makes them hollow when they are imported."""

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module's own spec, with an import that ends in the replacement."""
        if fullname != "open_clip.model":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        assert spec is not None and spec.loader is not None
        execute = spec.loader.exec_module

        def execute_hollow(module: ModuleType) -> None:
            execute(module)
            module.CLIP.encode_image = hollow_encode_image

        spec.loader.exec_module = execute_hollow
        return spec


def main() -> None:
    """Run the command of the arguments, hollow."""
    module, *arguments = sys.argv[1:]
    sys.meta_path.insert(0, HollowModel())
    sys.argv = [module, *arguments]
    importlib.import_module(module).main()


if __name__ == "__main__":
    main()
