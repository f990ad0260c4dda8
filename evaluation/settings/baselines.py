"""Which models an evaluation is of: the three baselines of the paper by name, and what --model and --resume say."""

from dataclasses import dataclass
from pathlib import Path

from evaluation.loading.facts import HUB, LOCAL, STEP_FOLDER, WEIGHTS_FILE, newest_checkpoint
from taxonomy.errors import BadInputError

MODEL_ALIASES = {"resnet50": "RN50"}
"""Names of the published README that open_clip spells differently."""

_WITH_FACTS = (".pt", ".safetensors")
"""Endings of files of this trainer that tell their model, inside or beside."""


@dataclass(frozen=True)
class ModelChoice:
    """One model, as open_clip or a path names it; weights and config are not looked at.

    Attributes:
        model: open_clip's name, `local-dir:`, `hf-hub:` or a checkpoint folder.
        pretrained: tag, weights file, folder or hub model; None where `model` brings its weights, or for random ones.
        label: what people call it in tables and results.
        doc: one line on it.
    """

    model: str
    pretrained: str | None
    label: str
    doc: str = ""


BASELINES = {
    "bioclip": ModelChoice("hf-hub:imageomics/bioclip", None, "BioCLIP", "BioCLIP ViT-B/16"),
    "openai": ModelChoice("ViT-B-16", "openai", "OpenAI CLIP", "OpenAI CLIP ViT-B/16"),
    "metaclip": ModelChoice("ViT-L-14-quickgelu", "metaclip_fullcc", "MetaCLIP-cc", "MetaCLIP ViT-L/14, full CC"),
}
"""The baselines of the paper. Source: BioTrove's README, its baseline table."""


def choose(
    model: str | None, pretrained: str | None, resume: str | None, baselines: tuple[str, ...] = ()
) -> list[ModelChoice]:
    """The models asked for: that of --model, --pretrained and --resume first, then the baselines.

    Raises:
        BadInputError: no model is named, one is named twice over, or --resume is no file or folder.
    """
    named = [BASELINES[name] for name in dict.fromkeys(baselines)]
    if model is None and resume is None:
        if pretrained is not None:
            raise BadInputError(f"--pretrained {pretrained}: needs --model, which says what it is the weights of")
        if not named:
            raise BadInputError("no model: give --model with --pretrained, --resume CKPT, or --baseline NAME")
        return named
    return [_own(model, pretrained, resume), *named]


def _own(model: str | None, pretrained: str | None, resume: str | None) -> ModelChoice:
    if pretrained is not None and resume is not None:
        raise BadInputError(f"--pretrained {pretrained} and --resume {resume} both give the weights: drop one of them")
    name = MODEL_ALIASES.get(model, model) if model is not None else None
    if resume is None:
        assert name is not None
        return ModelChoice(name, pretrained, f"{name} {Path(pretrained).name}" if pretrained else _label(name))
    checkpoint = _checkpoint(resume)
    if name is not None:
        return ModelChoice(name, checkpoint, _label(checkpoint))
    if Path(checkpoint).is_file() and Path(checkpoint).suffix not in _WITH_FACTS:
        raise BadInputError(f"--resume {resume}: add --model, which says what it is the weights of")
    return ModelChoice(checkpoint, None, _label(checkpoint))


def brings_weights(choice: ModelChoice) -> bool:
    """Whether the model comes with weights; otherwise they are random."""
    return choice.pretrained is not None or choice.model.startswith((LOCAL, HUB)) or Path(choice.model).exists()


def _checkpoint(resume: str) -> str:
    """The checkpoint meant: of a run's folder its newest one.

    Raises:
        BadInputError: there is no such file or folder.
    """
    if resume.startswith((LOCAL, HUB)):
        return resume
    path = Path(resume)
    if not path.exists():
        raise BadInputError(f"--resume {resume}: no such file or folder")
    return str(newest_checkpoint(path) or resume)


def _label(place: str) -> str:
    """A name for people: of our checkpoints run and step, of other places their last part; no folder of a machine."""
    if place.startswith(HUB):
        return place.removeprefix(HUB)
    path = Path(place.removeprefix(LOCAL))
    path = path.parent if path.name == WEIGHTS_FILE else path
    if STEP_FOLDER.fullmatch(path.name) and path.parent.name == "checkpoints":
        return f"{path.parent.parent.name} {path.name}"
    return path.name or place
