"""Draws are functions of their keys and look random."""

import numpy as np

from trainer.data.draws import generator, hash64, hash_text, permutation

GOLDEN_HASHES = (16294208416658607535, 6791897765849424158, 7194931792840665061)
GOLDEN_PERMUTATION = [9, 8, 6, 3, 7, 4, 2, 1, 5, 0]
GOLDEN_TEXT = 8041202454910283495
GOLDEN_DRAWS = [0.8594963157194255, 0.7536756904558355]


def test_values_never_change():
    """A run resumed by a later version must go on in the same order."""
    assert (hash64(), hash64(0), hash64(1, -2, 3)) == GOLDEN_HASHES
    assert permutation(10, 7, 8).tolist() == GOLDEN_PERMUTATION
    assert hash_text("Turdus merula") == GOLDEN_TEXT
    assert generator(1, 2, 3, "pair").random(2).tolist() == GOLDEN_DRAWS


def test_hash_tells_order_count_and_sign_apart():
    keys = [(), (0,), (0, 0), (1, 2), (2, 1), (1,), (-1,), (12,), (1, 2, 0), (2**63,), (-(2**63) + 1,)]
    assert len({hash64(*key) for key in keys}) == len(keys)


def test_hash_bits_are_even():
    values = np.array([hash64(1, number) for number in range(4000)], dtype=np.uint64)
    ones = ((values[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)).mean(axis=0)
    assert np.abs(ones - 0.5).max() < 5 * 0.5 / np.sqrt(4000)


def test_permutation_holds_every_number_once():
    for n in (0, 1, 2, 1000):
        assert sorted(permutation(n, 5).tolist()) == list(range(n))


def test_permutations_of_other_keys_are_unrelated():
    first, second = permutation(2000, 1, 0), permutation(2000, 1, 1)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
    assert (first == second).sum() < 10  # one is expected


def test_every_place_gets_every_number_equally_often():
    n, rounds = 8, 4000
    counts = np.zeros((n, n))
    for key in range(rounds):
        counts[np.arange(n), permutation(n, key)] += 1
    chi_square = ((counts - rounds / n) ** 2 / (rounds / n)).sum()
    assert chi_square < 49 + 5 * np.sqrt(2 * 49)


def test_generators_are_told_apart_by_each_key():
    keys = [(1, 2, 3, "a"), (0, 2, 3, "a"), (1, 0, 3, "a"), (1, 2, 0, "a"), (1, 2, 3, "b")]
    assert len({generator(*key).random() for key in keys}) == len(keys)
    assert generator(1, 2, 3, "a").random() == generator(1, 2, 3, "a").random()


def test_hash_of_text_is_signed_and_of_the_text():
    values = [hash_text(f"text {number}") for number in range(100)]
    assert len(set(values)) == 100
    assert min(values) < 0 < max(values) and all(-(2**63) <= value < 2**63 for value in values)
