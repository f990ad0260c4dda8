"""What must be known beside the weights to run a model: stored in every checkpoint, enforced on load."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from evaluation.loading.activation import ACTIVATIONS
from taxonomy.errors import BadInputError

STATE_FILE = "state.json"
"""Beside the weights in a checkpoint folder; the facts are its value `model_facts`."""

WEIGHTS_FILE = "model.safetensors"
"""The weights in a checkpoint folder."""

LOCAL, HUB = "local-dir:", "hf-hub:"
"""open_clip's prefixes of a folder and of a hub model."""

STEP_FOLDER = re.compile(r"step_(\d{6,})")
"""Name of a checkpoint folder, in `checkpoints/` of a run's folder."""


@dataclass(frozen=True)
class ModelFacts:
    """How a model is built and what its pictures and texts look like.

    Attributes:
        name: open_clip's name, `local-dir:`, `hf-hub:`, or the name of an own config.
        pretrained: tag, file or folder that the weights came from; None for random ones.
        activation: "gelu" or "quickgelu".
        activation_source: what decided the activation, in words.
        image_mean, image_std: per channel, of pixels in [0, 1].
        interpolation: "bicubic" or "bilinear".
        image_size: side of the square input, px.
        context_length: tokens of a full text.
        embed_dim: length of an embedding.
        resize_mode: "shortest" (then centre crop), "squash" or "longest" (then padding).
        model_config: open_clip's complete `model_cfg`, with quick_gelu: enough to build the model anew.
    """

    name: str
    pretrained: str | None
    activation: str
    activation_source: str
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]
    interpolation: str
    image_size: int
    context_length: int
    embed_dim: int
    resize_mode: str = "shortest"
    model_config: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        _check_types(self)
        check_pixels(self.image_size, self.interpolation, self.resize_mode)
        mean, std = checked_mean_and_std(self.image_mean, self.image_std)
        object.__setattr__(self, "image_mean", mean)
        object.__setattr__(self, "image_std", std)
        if self.activation not in ACTIVATIONS:
            raise BadInputError(f"activation {self.activation!r}: one of {', '.join(ACTIVATIONS)} is allowed")

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able copy, from which `from_dict` makes an equal one."""
        made = asdict(self)
        return made | {"image_mean": list(self.image_mean), "image_std": list(self.image_std)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "ModelFacts":
        """The facts as stored.

        Raises:
            BadInputError: a fact is missing, of another type or not allowed. Facts of later versions, unknown here,
                are passed over.
        """
        known = {one.name for one in fields(cls)}
        missing = sorted(known - {"resize_mode"} - set(stored))
        if missing:
            raise BadInputError(f"the stored model facts lack {', '.join(missing)}")
        return cls(**{key: _printable(value) for key, value in stored.items() if key in known})


def _printable(value: Any) -> Any:
    """A text on one line that a terminal only shows; other values as they are."""
    if not isinstance(value, str):
        return value
    return "".join(letter if letter.isprintable() else " " for letter in value)


_KINDS = {
    "name": (str, "a text"),
    "pretrained": ((str, type(None)), "a text or nothing"),
    "activation_source": (str, "a text"),
    "image_size": (int, "a whole number"),
    "context_length": (int, "a whole number"),
    "embed_dim": (int, "a whole number"),
    "model_config": (Mapping, "a dictionary"),
}
"""Fact -> its type, and that in words; the other facts are held to what is allowed."""


def _check_types(facts: ModelFacts) -> None:
    for name, (kind, words) in _KINDS.items():
        value = getattr(facts, name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise BadInputError(f"{name} {value!r:.60}: {words} is needed")


def check_pixels(image_size: int, interpolation: str, resize_mode: str) -> None:
    """Check how pictures are brought to their size.

    Raises:
        BadInputError: a value that is not allowed.
    """
    if image_size < 1:
        raise BadInputError(f"image_size {image_size}: 1 px or more is allowed")
    if interpolation not in ("bicubic", "bilinear"):
        raise BadInputError(f"interpolation {interpolation!r}: bicubic or bilinear is allowed")
    if resize_mode not in ("shortest", "squash", "longest"):
        raise BadInputError(f"resize_mode {resize_mode!r}: shortest, squash or longest is allowed")


def checked_mean_and_std(mean: Sequence[float], std: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Both as tuples of floats.

    Raises:
        BadInputError: not one per channel, or a deviation that is not above 0.
    """
    for name, values in (("image_mean", mean), ("image_std", std)):
        is_list = isinstance(values, Sequence) and not isinstance(values, str)
        if not is_list or len(values) != 3 or not all(_is_number(value) for value in values):
            raise BadInputError(f"{name} {values!r:.60}: three numbers are needed, one per channel")
    if min(std) <= 0:
        raise BadInputError(f"image_std {tuple(std)}: only numbers above 0 are allowed")
    return tuple(float(value) for value in mean), tuple(float(value) for value in std)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def facts_of_checkpoint(folder: Path) -> ModelFacts | None:
    """The facts of our checkpoint folder; None if the folder is none (no state.json with facts).

    Raises:
        BadInputError: state.json cannot be read as JSON, or its facts are incomplete.
    """
    state = folder / STATE_FILE
    if not state.is_file():
        return None
    try:
        stored = json.loads(state.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{state} is not readable as JSON: {error}") from error
    return stored_facts(stored, str(state))


def newest_checkpoint(run: Path) -> Path | None:
    """The checkpoint folder of the highest step in a run's folder; None if it has none."""
    folders = [path for path in run.glob("checkpoints/*") if (path / STATE_FILE).is_file()]
    found = {int(name[1]): path for path in folders if (name := STEP_FOLDER.fullmatch(path.name))}
    return found[max(found)] if found else None


def stored_facts(content: Any, where: str) -> ModelFacts | None:
    """The facts beside the weights in what a checkpoint holds; None if there are none.

    Args:
        content: of the checkpoint.
        where: begins the message.

    Raises:
        BadInputError: they are incomplete or not allowed.
    """
    if not isinstance(content, Mapping) or not isinstance(content.get("model_facts"), Mapping):
        return None
    try:
        return ModelFacts.from_dict(content["model_facts"])
    except BadInputError as error:
        raise BadInputError(f"{where}: {error}") from error
