"""What happens to a picture before a model sees it, apart from the model: protocols differ in it. No torch."""

from dataclasses import dataclass
from typing import Any

from evaluation.loading.facts import ModelFacts, check_pixels, checked_mean_and_std


@dataclass(frozen=True)
class Preprocess:
    """Picture file -> input of a model.

    Attributes:
        image_size: side of the square input, px.
        interpolation: "bicubic" or "bilinear".
        resize_mode: "shortest" (then centre crop), "squash" or "longest" (then padding).
        image_mean, image_std: per channel, of pixels in [0, 1].
        fast_pixels: pixels of `fast_picture`, which are nearly those of `eval_picture`.
    """

    image_size: int
    interpolation: str
    resize_mode: str
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]
    fast_pixels: bool = False

    def __post_init__(self):
        check_pixels(self.image_size, self.interpolation, self.resize_mode)
        mean, std = checked_mean_and_std(self.image_mean, self.image_std)
        object.__setattr__(self, "image_mean", mean)
        object.__setattr__(self, "image_std", std)

    @classmethod
    def of(cls, facts: ModelFacts) -> "Preprocess":
        """The model's own."""
        return cls(facts.image_size, facts.interpolation, facts.resize_mode, facts.image_mean, facts.image_std)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; of it `Preprocess(**...)` makes an equal one. Exact pixels go without saying."""
        exact = {
            "image_size": self.image_size,
            "interpolation": self.interpolation,
            "resize_mode": self.resize_mode,
            "image_mean": list(self.image_mean),
            "image_std": list(self.image_std),
        }
        return exact | ({"fast_pixels": True} if self.fast_pixels else {})
