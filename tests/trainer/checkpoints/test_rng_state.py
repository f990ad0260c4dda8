"""Draws go on from a saved state."""

import random

import numpy as np
import pytest
import torch

from tests.trainer.checkpoint_contents import CPU
from trainer.checkpoints.rng_state import rng_state, set_rng_state

pytestmark = pytest.mark.torch


def draw() -> list[float]:
    """From all generators, also an odd number of normal ones, of which the next is kept inside."""
    numbers = [random.random(), random.gauss(), np.random.rand(), np.random.randn(), torch.rand(1).item()]
    return [*numbers, *torch.randn(3).tolist()]


@pytest.mark.parametrize("num_before", [0, 1, 700])
def test_draws_go_on_from_a_state(num_before, tmp_path):
    for _ in range(num_before):
        draw()
    torch.save(rng_state(CPU), tmp_path / "rng.pt")
    expected = [draw() for _ in range(3)]
    set_rng_state(torch.load(tmp_path / "rng.pt", weights_only=True), CPU)
    assert [draw() for _ in range(3)] == expected
