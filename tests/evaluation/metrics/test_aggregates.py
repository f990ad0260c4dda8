"""Averages over benchmarks: the paper's come out, and what is missing is named."""

import pytest

from evaluation.benchmarks.published_figures import PAPERS_EIGHT
from evaluation.metrics.aggregates import BALANCED, Aggregate, Score, aggregates

SIZES = {
    "biotrove_unseen": (300, 11_983),  # as the paper states it
    "biotrove_balanced": (2253, 112_209),
    "bioclip_rare": (400, 11_983),
    "fungi": (25, 1000),
    "insects2": (102, 4080),
    "birds525": (525, 89_885),
    "biotrove_lifestages": (20, 600),
    "deepweeds": (9, 17_509),
}
TABLE_5 = {
    "OpenAI": (12.9, 7.3, 10.9, 11.5, 10.2, 50.0, 56.5, 10.3),
    "BioCLIP": (68.2, 62.2, 30.2, 45.1, 20.8, 68.7, 18.0, 19.9),
    "MetaCLIP": (24.9, 15.4, 20.5, 24.6, 16.1, 70.1, 64.3, 14.7),
    "BT-CLIP-O": (47.1, 91.1, 22.9, 43.2, 16.5, 47.8, 28.0, 17.0),
    "BT-CLIP-B": (53.8, 82.2, 23.7, 53.9, 16.9, 57.1, 15.0, 18.4),
    "BT-CLIP-M": (44.3, 91.1, 21.8, 54.7, 5.1, 42.5, 26.3, 49.9),
}
RECOMPUTED = {
    "class_weighted": (14.7, 58.5, 25.0, 70.8, 67.2, 69.5),
    "image_weighted": (23.5, 59.5, 35.9, 63.3, 63.1, 63.4),
    "unweighted": (21.2, 41.6, 31.3, 39.2, 40.1, 42.0),
    "class_weighted_without_balanced": (26.8, 52.4, 40.7, 37.6, 42.8, 34.2),
}


def published(model: str) -> dict[str, Score]:
    return {name: Score(top1, *size) for (name, size), top1 in zip(SIZES.items(), TABLE_5[model], strict=True)}


@pytest.mark.parametrize("kind", RECOMPUTED)
def test_the_papers_averages_come_out_and_the_others_beside_them(kind):
    for model, expected in zip(TABLE_5, RECOMPUTED[kind], strict=True):
        made = aggregates(published(model))[kind]
        assert made.value == pytest.approx(expected, abs=0.0501)
        assert made.missing == ()


def test_what_is_missing_is_named_and_only_where_it_is_needed():
    scores = published("OpenAI")
    del scores[BALANCED]
    made = aggregates(scores)
    assert made["class_weighted"] == Aggregate(None, (BALANCED,))
    assert made["class_weighted_without_balanced"].value == pytest.approx(26.8, abs=0.05)
    nothing = aggregates({name: Score(None, 2, 0) for name in PAPERS_EIGHT})
    assert nothing["unweighted"].missing == PAPERS_EIGHT
    assert aggregates({})["unweighted"].missing == PAPERS_EIGHT


def test_benchmarks_beyond_the_eight_and_their_order_change_nothing():
    scores = published("BioCLIP")
    more = {"confounding": Score(99.0, 10_000, 100)} | dict(reversed(scores.items()))
    assert {name: made.value for name, made in aggregates(more).items()} == {
        name: made.value for name, made in aggregates(scores).items()
    }


def test_a_score_of_0_is_not_missing():
    scores = published("OpenAI") | {"fungi": Score(0.0, 25, 1000)}
    assert aggregates(scores)["unweighted"].value == pytest.approx((169.6 - 11.5) / 8)
