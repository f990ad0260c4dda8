"""Permutations and hashes behind generated rows: each place once, spread evenly, the same for a part."""

import numpy as np
import pytest

from bench.scatter import Permutation, below, mix64, salt_of


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 1000, 65_537])
def test_a_permutation_reaches_every_place_once(size):
    image = Permutation(size, salt=7)(np.arange(size))
    assert sorted(image.tolist()) == list(range(size))


def test_a_permutation_depends_on_its_salt_and_moves_most_places():
    indices = np.arange(10_000)
    first, second = Permutation(10_000, 1)(indices), Permutation(10_000, 2)(indices)
    assert (first == indices).mean() < 0.01
    assert (first == second).mean() < 0.01


def test_a_permutation_is_the_same_for_a_part_as_for_the_whole():
    shuffle = Permutation(5_000, 3)
    assert np.array_equal(shuffle(np.arange(5_000))[1234:1300], shuffle(np.arange(1234, 1300)))


def test_the_hash_is_splitmix64():
    # The first two outputs of SplitMix64 seeded with 0, as published with the generator.
    golden = 0x9E3779B97F4A7C15
    assert mix64(np.array([0, golden], dtype=np.uint64), 0).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


def test_below_is_spread_evenly_and_salts_are_unrelated():
    first = below(np.arange(100_000), salt_of(42, "one"), 10)
    second = below(np.arange(100_000), salt_of(42, "two"), 10)
    assert np.abs(np.bincount(first, minlength=10) - 10_000).max() < 500
    assert abs((first == second).mean() - 0.1) < 0.01
