"""What happens to a picture before a model sees it, apart from the model: protocols differ in it. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.loading.facts import ModelFacts
from taxonomy.errors import BadInputError


@dataclass(frozen=True)
class Preprocess:
    """Picture file -> input of a model.

    Attributes:
        image_size: side of the square input, px.
        interpolation: "bicubic" or "bilinear".
        resize_mode: "shortest" (then centre crop), "squash" or "longest" (then padding).
        image_mean, image_std: per channel, of pixels in [0, 1].
    """

    image_size: int
    interpolation: str
    resize_mode: str
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]

    def __post_init__(self):
        for name in ("image_mean", "image_std"):
            object.__setattr__(self, name, _three(name, getattr(self, name)))
        if min(self.image_std) <= 0:
            raise BadInputError(f"image_std {self.image_std}: only numbers above 0 are allowed")
        if self.image_size < 1:
            raise BadInputError(f"image_size {self.image_size}: 1 px or more is allowed")
        if self.interpolation not in ("bicubic", "bilinear"):
            raise BadInputError(f"interpolation {self.interpolation!r}: bicubic or bilinear is allowed")
        if self.resize_mode not in ("shortest", "squash", "longest"):
            raise BadInputError(f"resize_mode {self.resize_mode!r}: shortest, squash or longest is allowed")

    @classmethod
    def of(cls, facts: ModelFacts) -> "Preprocess":
        """The model's own."""
        return cls(facts.image_size, facts.interpolation, facts.resize_mode, facts.image_mean, facts.image_std)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; of it `Preprocess(**...)` makes an equal one."""
        return {
            "image_size": self.image_size,
            "interpolation": self.interpolation,
            "resize_mode": self.resize_mode,
            "image_mean": list(self.image_mean),
            "image_std": list(self.image_std),
        }


def _three(name: str, values: Sequence[float]) -> tuple[float, ...]:
    made = tuple(float(value) for value in values)
    if len(made) != 3:
        raise BadInputError(f"{name} {list(values)}: three numbers are needed, one per channel")
    return made
