"""The two models of an interpolation, opened by the rules of every other command and checked against each other."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from evaluation.loading.architecture import architecture
from evaluation.loading.facts import ModelFacts
from evaluation.model import ModelRequest, build_model, resolve
from evaluation.settings.baselines import ModelChoice
from release.interpolate.config import InterpolateConfig
from release.interpolate.mix import StateDict, check_mixable, mixed
from taxonomy.errors import BadInputError

_LOG = logging.getLogger(__name__)

_PIXELS = ("image_mean", "image_std", "interpolation", "resize_mode")


@dataclass(frozen=True)
class Ends:
    """Two models of one architecture, on the CPU in fp32.

    Attributes:
        facts: of every point: those of the model at alpha 1.
        from_state, to_state: the weights at alpha 0 and 1; not changed by anybody.
        model: takes the weights of a point.
    """

    facts: ModelFacts
    from_state: StateDict
    to_state: StateDict
    model: torch.nn.Module

    def load(self, alpha: float) -> torch.nn.Module:
        """The model with the weights of a point, in evaluation mode; the same object each time."""
        self.model.load_state_dict(mixed(self.from_state, self.to_state, alpha), strict=True)
        return self.model.eval()


def open_ends(config: InterpolateConfig) -> Ends:
    """Both models, built and loaded.

    Raises:
        BadInputError: one cannot be opened, or the two cannot be averaged.
        WorkFailedError: a download failed.
    """
    first, last = (_request(choice, config) for choice in config.ends)
    known = resolve(first), resolve(last)
    check_alike(*known)
    first, last = _in_one_form(first, last, *known)
    with _said_already():
        from_model, _ = build_model(first)
        to_model, facts = build_model(last)
    from_state, to_state = from_model.state_dict(), {name: one.clone() for name, one in to_model.state_dict().items()}
    check_mixable(from_state, to_state)
    return Ends(facts, from_state, to_state, to_model)


def _request(choice: ModelChoice, config: InterpolateConfig) -> ModelRequest:
    return ModelRequest(choice.model, choice.pretrained, activation=config.activation, force=config.force)


def check_alike(first: ModelFacts, last: ModelFacts) -> None:
    """Check that two models compute the same function of their weights; says where they see other pixels.

    Raises:
        BadInputError: another architecture or activation.
    """
    differing = list(_differing(architecture(first.model_config), architecture(last.model_config)))
    if differing:
        shown = ", ".join(differing[:4]) + (", ..." if len(differing) > 4 else "")
        raise BadInputError(
            f"--from and --to are of different architectures ({len(differing)} settings differ: {shown}): only "
            "models of one architecture have an average"
        )
    if first.activation != last.activation:
        raise BadInputError(
            f"--from uses {first.activation} ({first.activation_source}), --to {last.activation} "
            f"({last.activation_source}): their average would be right with neither; give both with one activation, or "
            "--activation with --force to build both with it all the same"
        )
    for name in _PIXELS:
        if getattr(first, name) != getattr(last, name):
            values = f"{getattr(first, name)} of --from, {getattr(last, name)} of --to"
            _LOG.warning("%s differs: %s; every point sees pictures as --to, at alpha 0 too", name, values)


def _differing(first: Mapping[str, Any], last: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Each setting that differs, as `vision_cfg.width 64 against 128`."""
    for key in sorted(first.keys() | last.keys()):
        one, other = first.get(key), last.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _differing(one, other, f"{above}{key}.")
        elif one != other:
            yield f"{above}{key} {one} against {other}"


def _in_one_form(
    first: ModelRequest, last: ModelRequest, first_facts: ModelFacts, last_facts: ModelFacts
) -> tuple[ModelRequest, ModelRequest]:
    """Requests that give the weights the same names: both or neither with the text tower as a module, and with a bias.

    A bias of 0, as open_clip gives models without one, changes no choice: it is added to every class alike.
    """
    configs = first_facts.model_config, last_facts.model_config
    if any(one.get("custom_text") for one in configs):
        first, last = replace(first, custom_text=True), replace(last, custom_text=True)
    has_bias = [one.get("init_logit_bias") is not None for one in configs]
    if any(has_bias) and not all(has_bias):
        _LOG.warning("--%s has no logit_bias (sigmoid loss): it is averaged as 0", "to" if has_bias[0] else "from")
        first, last = (
            one if there else replace(one, init_logit_bias=0.0)
            for one, there in zip((first, last), has_bias, strict=True)
        )
    return first, last


@contextmanager
def _said_already() -> Iterator[None]:
    """The block without what is said of a model below errors: it was said when it was resolved."""
    logger = logging.getLogger("evaluation.model")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
