"""Names come back sorted, however few of them fit in memory."""

import random
import tracemalloc

import pytest

from inference.inputs.sorted_names import sorted_names

LETTERS = 'aZ09 \n\t"\\é鳥\udce9\x00'


@pytest.mark.parametrize("at_once", [1, 2, 7, 39, 40, 41, 1000])
def test_the_order_is_that_of_sorting_at_once(at_once):
    draw = random.Random(at_once)
    names = ["".join(draw.choices(LETTERS, k=draw.randrange(6))) for _ in range(40)]
    assert list(sorted_names(iter(names), at_once)) == sorted(names)


def test_no_names_are_no_names():
    assert list(sorted_names([])) == []


def test_names_that_do_not_fit_wait_outside_of_memory():
    names = (f"{number * 7919 % 40_000:0100d}" for number in range(40_000))
    tracemalloc.start()
    first = next(sorted_names(names, at_once=2000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert first == "0" * 100
    assert peak < 40_000 * 149 / 3  # all of them in a list
