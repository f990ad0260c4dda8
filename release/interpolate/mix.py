"""The weights between two models: theta = (1 - alpha) theta_from + alpha theta_to, tensor by tensor, in fp32.

The logit scale is a parameter like others and stored as its logarithm, so that scales are averaged geometrically.

Source: WiSE-FT, Wortsman et al. 2022, Robust fine-tuning of zero-shot models, section 3.
"""

import logging
from collections.abc import Mapping

import torch

from taxonomy.errors import BadInputError

_LOG = logging.getLogger(__name__)

StateDict = Mapping[str, torch.Tensor]

_COUNTER = "num_batches_tracked"
"""BatchNorm's count of its training batches: says nothing where a model is only used."""


def mixed(from_state: StateDict, to_state: StateDict, alpha: float) -> dict[str, torch.Tensor]:
    """The point at `alpha`; bit by bit a model of the two at 0 and 1, and everywhere where both are equal.

    Tensors may be those of the arguments: load them into a model, which copies, or leave them unchanged.

    Args:
        from_state: of the model at 0; fp32.
        to_state: of the model at 1; the same names and shapes.
        alpha: 0 to 1, both included.
    """
    return {name: _mixed(tensor, to_state[name], alpha) for name, tensor in from_state.items()}


def _mixed(start: torch.Tensor, end: torch.Tensor, alpha: float) -> torch.Tensor:
    if alpha == 0:
        return start
    if alpha == 1 or not start.is_floating_point():
        return end
    return torch.lerp(start, end, alpha)


def check_mixable(from_state: StateDict, to_state: StateDict) -> None:
    """Check that there is something between two models of one architecture, and that it is a model.

    Raises:
        BadInputError: they have the same weights, weights that are not finite, or whole numbers that differ.
    """
    assert from_state.keys() == to_state.keys(), from_state.keys() ^ to_state.keys()
    for flag, state in (("--from", from_state), ("--to", to_state)):
        bad = [name for name, tensor in state.items() if not bool(torch.isfinite(tensor).all())]
        if bad:
            raise BadInputError(f"{flag}: {len(bad)} tensors hold numbers that are not finite, as {bad[0]}")
    differing = [name for name, tensor in from_state.items() if not torch.equal(tensor, to_state[name])]
    if not differing:
        raise BadInputError("--from and --to have the same weights: there is nothing between them")
    whole = [name for name in differing if not from_state[name].is_floating_point() and not name.endswith(_COUNTER)]
    if whole:
        raise BadInputError(f"--from and --to differ in whole numbers, which have no average: {', '.join(whole[:4])}")
    if any(name.endswith("running_var") for name in from_state):
        _LOG.warning("the statistics of BatchNorm are averaged as weights are, not measured anew at each point")
