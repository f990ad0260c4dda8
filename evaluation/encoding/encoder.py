"""What scores pictures against texts: the interface that benchmarks know, and its implementation for open_clip.

Shapes: N pictures, H x W pixels, C channels, D embedding, V texts.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch

from evaluation.encoding.encode import Tokenizer, encode_image, encode_texts, to_input
from evaluation.encoding.preprocess import Preprocess
from evaluation.loading.facts import ModelFacts
from evaluation.loading.fingerprint import model_hash
from taxonomy.errors import BadInputError


class Encoder(Protocol):
    """Pictures and texts to unit rows of one space; any other model than open_clip's can be one.

    It may have `with_preprocess(preprocess)`, if it can be run with other pixels than its own.
    """

    @property
    def preprocess(self) -> Preprocess:
        """How pictures are brought to the size that `encode_images` takes, and normalised inside of it."""
        ...

    @property
    def hash(self) -> str:
        """Hex text that is another for other weights."""
        ...

    @property
    def variant(self) -> str:
        """What else changes its embeddings (activation, precision), for caches; may be empty."""
        ...

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


_SHORT = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


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
        pixels: what happens to pictures, instead of what the facts say.
    """

    model: Any
    facts: ModelFacts
    tokenizer: Tokenizer
    device: torch.device
    autocast: Callable[[], AbstractContextManager] | None = None
    text_batch_size: int = 1024
    pixels: Preprocess | None = None
    _hash: str | None = field(default=None, init=False, repr=False)

    @property
    def preprocess(self) -> Preprocess:
        """The preprocessing of the facts, unless `pixels` say otherwise."""
        return self.pixels or Preprocess.of(self.facts)

    @property
    def hash(self) -> str:
        """Hash of the weights as they are when first asked for: make a new encoder after they change."""
        if self._hash is None:
            self._hash = model_hash(self.model, self.facts)
        return self._hash

    @property
    def variant(self) -> str:
        """Activation and precision ("quickgelu fp32", "gelu bf16")."""
        with self._context():
            kind = self.device.type
            is_lower = torch.is_autocast_enabled(kind)
            dtype = torch.get_autocast_dtype(kind) if is_lower else torch.float32
        return f"{self.facts.activation} {_SHORT.get(dtype, str(dtype))}"

    def with_preprocess(self, preprocess: Preprocess) -> "OpenClipEncoder":
        """The same model with other pixels.

        Raises:
            BadInputError: another size than the model's.
        """
        if preprocess.image_size != self.facts.image_size:
            raise BadInputError(
                f"image size {preprocess.image_size}: the model was built for {self.facts.image_size} px; "
                f"give --image-size to build it for another"
            )
        made = replace(self, pixels=preprocess)
        made._hash = self._hash
        return made

    @property
    def logit_scale(self) -> float:
        """The learnt scale, from its logarithm."""
        return float(self.model.logit_scale.detach().exp())

    @torch.no_grad()
    def encode_images(self, image_NHWC: torch.Tensor) -> torch.Tensor:
        """Unit rows [N, D], float32 on the device, of uint8 RGB pictures."""
        with self._context():
            image_ND = encode_image(self.model, to_input(image_NHWC, self.preprocess, self.device))
        return torch.nn.functional.normalize(image_ND.float(), dim=-1)

    @torch.no_grad()
    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Unit rows [V, D], float32 on the device, in the order of the texts."""
        with self._context():
            text_VD = encode_texts(self.model, self.tokenizer, texts, self.device, self.text_batch_size)
        return torch.nn.functional.normalize(text_VD, dim=-1)

    def _context(self) -> AbstractContextManager:
        return self.autocast() if self.autocast is not None else nullcontext()


def with_preprocess(encoder: Encoder, changes: Mapping[str, Any]) -> Encoder:
    """The same model with other pixels: another mean, std or interpolation.

    An encoder without `with_preprocess` of its own gets its pictures resized so, and normalises them as it always
    does.

    Args:
        encoder: stays as it is.
        changes: fields of its Preprocess -> other values.

    Raises:
        BadInputError: the model cannot take them.
    """
    preprocess = replace(encoder.preprocess, **changes)
    if preprocess == encoder.preprocess:
        return encoder
    own = getattr(encoder, "with_preprocess", None)
    return own(preprocess) if own is not None else _Resized(encoder, preprocess)


@dataclass(frozen=True)
class _Resized:
    """An encoder whose pictures are resized in another way."""

    encoder: Encoder
    preprocess: Preprocess

    @property
    def hash(self) -> str:
        return self.encoder.hash

    @property
    def variant(self) -> str:
        return self.encoder.variant

    @property
    def logit_scale(self) -> float:
        return self.encoder.logit_scale

    def encode_images(self, image_NHWC: torch.Tensor) -> torch.Tensor:
        return self.encoder.encode_images(image_NHWC)

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        return self.encoder.encode_texts(texts)


@contextmanager
def evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """The model as in use (no patch dropout, fixed statistics); afterwards in the mode it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
