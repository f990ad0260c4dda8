"""What scores pictures against texts: the interface that benchmarks know, and its implementation for open_clip.

Shapes: N pictures, H x W pixels, C channels, D embedding, V texts.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from evaluation.encode import Tokenizer, encode_image, encode_texts, to_input
from evaluation.facts import ModelFacts


class Encoder(Protocol):
    """Pictures and texts to unit rows of one space; any other model than open_clip's can be one."""

    @property
    def logit_scale(self) -> float:
        """What cosines are multiplied with before a softmax."""
        ...

    def encode_images(self, image_NHWC: torch.Tensor) -> torch.Tensor:
        """Unit rows [N, D], float32, of uint8 RGB pictures."""
        ...

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Unit rows [V, D], float32, in the order of the texts."""
        ...


@dataclass
class OpenClipEncoder:
    """An open_clip model as an Encoder; without gradients.

    Attributes:
        model: in evaluation mode, on the device.
        facts: mean and std of its pictures.
        tokenizer: texts -> tokens.
        device: where the model is.
        autocast: makes the context of a forward pass, e.g. bf16 autocast; None for none.
        text_batch_size: texts of one forward pass.
    """

    model: Any
    facts: ModelFacts
    tokenizer: Tokenizer
    device: torch.device
    autocast: Callable[[], AbstractContextManager] | None = None
    text_batch_size: int = 1024

    @property
    def logit_scale(self) -> float:
        """The learnt scale, from its logarithm."""
        return float(self.model.logit_scale.detach().exp())

    @torch.no_grad()
    def encode_images(self, image_NHWC: torch.Tensor) -> torch.Tensor:
        """Unit rows [N, D], float32 on the device, of uint8 RGB pictures."""
        with self._context():
            image_ND = encode_image(self.model, to_input(image_NHWC, self.facts, self.device))
        return torch.nn.functional.normalize(image_ND.float(), dim=-1)

    @torch.no_grad()
    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Unit rows [V, D], float32 on the device, in the order of the texts."""
        with self._context():
            text_VD = encode_texts(self.model, self.tokenizer, texts, self.device, self.text_batch_size)
        return torch.nn.functional.normalize(text_VD, dim=-1)

    def _context(self) -> AbstractContextManager:
        return self.autocast() if self.autocast is not None else nullcontext()


@contextmanager
def evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """The model as in use (no patch dropout, fixed statistics); afterwards in the mode it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
