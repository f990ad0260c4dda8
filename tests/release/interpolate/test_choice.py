"""The rule that chooses a point: by one benchmark or by all alike, ties to the smaller alpha, what is said of it."""

import numpy as np
import pytest

from release.interpolate.choice import choose_point
from tests.release.interpolate.sweeps import ALPHAS, line, sweep

VAL, TEST = "shards_birds_val", "shards_birds_test"


def chosen(*lines, by=None):
    return choose_point(ALPHAS[: len(lines[0].records)], lines, by)


def test_the_highest_on_the_named_benchmark_whatever_others_say():
    val, test = line(VAL, 0.1, 0.3, 0.2), line("fungi", 0.9, 0.1, 0.95)
    assert (chosen(val, test, by=VAL).number, chosen(val, test, by="fungi").number) == (1, 2)
    assert chosen(val, test, by=VAL).value == 0.3


def test_without_a_name_every_benchmark_counts_alike():
    made = chosen(line("a", 0.2, 0.5, 0.4), line("b", 0.2, 0.1, 0.4))
    assert (made.number, made.value) == (2, pytest.approx(0.4))
    assert "2 benchmarks" in made.rule


def test_of_equal_points_the_smaller_alpha():
    assert chosen(line("a", 0.2, 0.4, 0.4, 0.4)).number == 1
    # 0.1 + 0.2 and 0.3 + 0.0 differ in the last bit alone
    assert chosen(line("a", 0.3, 0.1), line("b", 0.0, 0.2)).number == 0


def test_neither_the_order_of_benchmarks_nor_a_shift_of_all_changes_the_choice():
    draw = np.random.default_rng(1)
    for _ in range(50):
        shares = draw.integers(0, 8, (3, 5)) / 10
        lines = [line(str(number), *row) for number, row in enumerate(shares)]
        shifted = [line(str(number), *row + 0.1) for number, row in enumerate(shares)]
        numbers = {chosen(*some).number for some in (lines, lines[::-1], shifted)}
        assert len(numbers) == 1
        best = numbers.pop()
        assert shares.mean(0)[best] == pytest.approx(shares.mean(0).max())
        assert (shares.mean(0)[:best] < shares.mean(0)[best] - 1e-9).all()


def test_choosing_on_what_is_shown_or_on_a_test_set_is_said():
    lines = line(VAL, 0.1, 0.2), line(TEST, 0.1, 0.2), line("fungi", 0.2, 0.1)
    assert "flatter" in str(chosen(*lines).flatters)
    for name in (TEST, "fungi"):
        assert f"{name} is a test set" in str(chosen(*lines, by=name).flatters)
    assert chosen(*lines, by=VAL).flatters is None


def test_the_sweep_of_these_tests_is_one():
    assert len(sweep()["benchmarks"]) == 3
