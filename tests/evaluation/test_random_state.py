"""Evaluation inside of training leaves no trace in the random numbers that follow."""

import random

import numpy as np
import pytest
import torch

from evaluation.benchmarks.benchmark import LABEL, Benchmark, Rows
from evaluation.encoding.preprocess import Preprocess
from evaluation.evaluate import run
from evaluation.random_state import random_state_kept
from evaluation.run_options import RunOptions
from tests.trainer.small_dataset import jpeg

pytestmark = pytest.mark.torch


def seed() -> None:
    for one in (random.seed, np.random.seed, torch.manual_seed):
        one(3)


def draw() -> tuple[float, ...]:
    return random.random(), np.random.rand(), torch.rand(1).item()


class DrawingEncoder:
    """Draws from every generator, as a model with dropout would."""

    preprocess = Preprocess(8, "bicubic", "shortest", (0, 0, 0), (1, 1, 1))
    hash, variant, logit_scale = "ab", "", 10.0

    def encode_images(self, image_NHWC: torch.Tensor) -> torch.Tensor:
        draw()
        return torch.nn.functional.normalize(image_NHWC.float().mean((1, 2)), dim=1)

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        draw()
        return torch.eye(3)[[len(text) % 3 for text in texts]]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_evaluation_leaves_the_random_numbers_alone(tmp_path, num_workers):
    for number in range(6):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(number))
    sources = [tmp_path / f"{number}.jpg" for number in range(6)]
    rows = Rows([str(number) for number in range(6)], sources, {LABEL: ["a", "bc", "def"] * 2})
    seed()
    expected = draw()
    seed()
    benchmark = Benchmark("drawn", rows, (LABEL,), LABEL)
    (record,) = run(benchmark, DrawingEncoder(), RunOptions(num_workers=num_workers))
    assert (draw(), record["num_images"]) == (expected, 6)


def test_generators_are_put_back_after_an_error_too():
    seed()
    expected = draw()
    seed()
    with pytest.raises(ZeroDivisionError), random_state_kept():
        draw()
        raise ZeroDivisionError
    assert draw() == expected
