import pytest

from evaluation.benchmarks.published_figures import NUM_CLASSES, NUM_IMAGES, PUBLISHED_TOP1, PUBLISHED_WEIGHTED_MEAN
from evaluation.benchmarks.registry import in_paper_mean


def test_the_paper_s_mean_follows_from_its_table():
    for model, figures in PUBLISHED_TOP1.items():
        mean = sum(NUM_CLASSES[name] * figure.top1 for name, figure in figures.items()) / sum(NUM_CLASSES.values())
        assert mean == pytest.approx(PUBLISHED_WEIGHTED_MEAN[model], abs=0.051)


def test_every_model_has_the_eight_of_the_mean():
    assert PUBLISHED_TOP1.keys() == PUBLISHED_WEIGHTED_MEAN.keys()
    for names in (*PUBLISHED_TOP1.values(), NUM_IMAGES, NUM_CLASSES):
        assert set(names) == set(in_paper_mean())
