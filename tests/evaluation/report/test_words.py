"""Figures in words: signs, digits and empty cells."""

import pytest

from evaluation.report import words


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.percent(0.12345), "12.3"),
        (words.percent(None), "\N{EN DASH}"),
        (words.interval({"value": 0.5, "low": 0.4812, "high": 0.5649}), "48.1 to 56.5"),
        (words.interval({"value": None, "low": None, "high": None}), ""),
        (words.interval(None), ""),
        (words.points(0.0312), "+3.1"),
        (words.points(-0.0312), "\N{MINUS SIGN}3.1"),
        (words.points(-0.0001), "0.0"),
        (words.points(None), "\N{EN DASH}"),
        (words.points_interval({"low": -0.01, "high": 0.02}), "\N{MINUS SIGN}1.0 to +2.0"),
        (words.probability(0.0), "< 0.0001"),
        (words.probability(0.01234), "0.012"),
        (words.probability(1.0), "1.00"),
        (words.number(12345), "12,345"),
        (words.number(14.2857), "14.29"),
        (words.counts([7, 7]), "7"),
        (words.counts([1200, 7]), "7 to 1,200"),
        (words.level("rollup_genus"), "genus, rolled up"),
        (words.level("species"), "epithet"),
        (words.and_list([]), ""),
        (words.and_list(["a"]), "a"),
        (words.and_list(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_says(said: str, expected: str) -> None:
    assert said == expected
