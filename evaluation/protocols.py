"""Protocols: what decides a score beside the model and the pictures, under a name that every result carries.

Prompts, logit scale and preprocessing move published scores by up to ten points, so they are chosen together or not
at all; a single one can still be replaced, and the result file says what was used. No torch here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from taxonomy.errors import BadInputError

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
"""Per channel, of pixels in [0, 1].

Source: open_clip's OPENAI_DATASET_MEAN and OPENAI_DATASET_STD.
"""


@dataclass(frozen=True)
class Protocol:
    """One way to score a model; None takes the model's own.

    Attributes:
        name: of the result files.
        doc: one line for people.
        prompt_set: of evaluation/encoding/prompts.py.
        logit_scale: what cosines are multiplied with before a softmax.
        interpolation: of the resize, "bicubic" or "bilinear".
        resize_mode: "shortest" (then centre crop), "squash" or "longest" (then padding).
        image_mean, image_std: three numbers each.
    """

    name: str
    doc: str
    prompt_set: str
    logit_scale: float | None = None
    interpolation: str | None = None
    resize_mode: str | None = None
    image_mean: tuple[float, float, float] | None = None
    image_std: tuple[float, float, float] | None = None

    @property
    def preprocess(self) -> dict[str, Any]:
        """Field of the preprocessing -> value, those that this protocol sets instead of the model."""
        values = {name: getattr(self, name) for name in ("interpolation", "resize_mode", "image_mean", "image_std")}
        return {name: value for name, value in values.items() if value is not None}


PAPER = Protocol(
    name="paper",
    doc="BioTrove's: 80 OpenAI prompts, 100 x cosine, bilinear resize, OpenAI mean and std",
    prompt_set="openai80",
    logit_scale=100.0,
    interpolation="bilinear",
    resize_mode="shortest",
    image_mean=OPENAI_MEAN,
    image_std=OPENAI_STD,
)
"""As the published figures were made. Source: BioTrove's model_validation (VLHub), its defaults."""

BIOCLIP = Protocol(
    name="bioclip",
    doc="BioCLIP's: taxon with common name in 80 prompts, the model's logit scale, bicubic, OpenAI mean and std",
    prompt_set="taxon_com_bioclip",
    interpolation="bicubic",
    resize_mode="shortest",
    image_mean=OPENAI_MEAN,
    image_std=OPENAI_STD,
)
"""Source: BioCLIP's src/evaluation, text type taxon_com."""

DEFAULT = Protocol(
    name="default",
    doc="80 OpenAI prompts and the bare `a photo of X.`; logit scale and preprocessing as the model was trained",
    prompt_set="openai81",
)
"""Ours: the plain text, which models here are trained on, is among the prompts; nothing else differs from training."""

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({one.name: one for one in (DEFAULT, PAPER, BIOCLIP)})
"""Name -> protocol."""


def find_protocol(name: str) -> Protocol:
    """The protocol of a name.

    Raises:
        BadInputError: there is none; names those that exist.
    """
    if name not in PROTOCOLS:
        raise BadInputError(f"--protocol {name!r}: allowed are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
