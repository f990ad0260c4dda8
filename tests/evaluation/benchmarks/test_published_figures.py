"""The published figures are complete, and their means follow from them."""

import pytest

from evaluation.benchmarks.published_figures import (
    PAPERS_EIGHT,
    PUBLISHED_NUM_CLASSES,
    PUBLISHED_NUM_IMAGES,
    PUBLISHED_TOP1,
    PUBLISHED_WEIGHTED_MEAN,
)


def test_the_paper_s_mean_follows_from_its_table():
    for model, figures in PUBLISHED_TOP1.items():
        total = sum(PUBLISHED_NUM_CLASSES[name] * figure.top1 for name, figure in figures.items())
        mean = total / sum(PUBLISHED_NUM_CLASSES.values())
        assert mean == pytest.approx(PUBLISHED_WEIGHTED_MEAN[model], abs=0.051)


def test_every_model_has_the_eight_of_the_mean():
    assert PUBLISHED_TOP1.keys() == PUBLISHED_WEIGHTED_MEAN.keys()
    for names in (*PUBLISHED_TOP1.values(), PUBLISHED_NUM_IMAGES):
        assert tuple(names) == PAPERS_EIGHT
