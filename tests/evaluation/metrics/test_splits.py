"""Support sets and folds: set by rule and keys alone, and what cannot be split says so."""

import hashlib
import json

import numpy as np
import pytest

from evaluation.metrics.splits import deal, make_split


@pytest.fixture
def rows():
    class_N = np.random.default_rng(0).integers(0, 6, 80)
    class_N[class_N == 4] = 3  # a class without pictures
    class_N = np.concatenate([class_N, [6, 7, 7]])  # classes with one and with two
    return class_N, [f"photos/{number}.jpg" for number in range(len(class_N))]


def direct_support(class_N, keys, fold, k):
    """The rule in plain words: per class, sorted by key, then by hash; the first k if there are more than k."""
    chosen = set()
    for one in sorted(set(class_N.tolist())):
        own = sorted(key for key, number in zip(keys, class_N, strict=True) if number == one)
        if len(own) > k:
            chosen |= set(sorted(own, key=lambda key: hashlib.sha256(f"{fold}:{key}".encode()).hexdigest())[:k])
    return chosen


@pytest.mark.parametrize("k", [1, 5])
def test_the_support_is_the_rules_and_the_others_of_its_classes_are_asked_for(rows, k):
    class_N, keys = rows
    split = make_split(class_N, keys)
    for fold in range(5):
        support, queries = split.support(fold, k), split.queries(fold, k)
        assert {keys[number] for number in support} == direct_support(class_N, keys, fold, k)
        kept = {number for number in set(class_N.tolist()) if (class_N == number).sum() > k}
        assert sorted([*support, *queries]) == [n for n, one in enumerate(class_N) if one in kept]
    assert len({tuple(split.support(fold, k)) for fold in range(5)}) == 5


def test_one_shot_is_part_of_five_and_no_other_picture_or_order_has_a_say(rows):
    class_N, keys = rows
    split = make_split(class_N, keys)
    enough = np.bincount(class_N) > 5
    order = np.random.default_rng(1).permutation(len(keys))
    shuffled_keys = [keys[number] for number in order]
    shuffled = make_split(class_N[order], shuffled_keys, ks=(5,))
    alone = np.flatnonzero(class_N == 2)
    of_one_class = make_split(class_N[alone], [keys[number] for number in alone])
    for fold in range(5):
        five = set(split.support(fold, 5))
        assert {number for number in split.support(fold, 1) if enough[class_N[number]]} <= five
        assert {keys[number] for number in five} == {shuffled_keys[number] for number in shuffled.support(fold, 5)}
        assert set(alone[of_one_class.support(fold, 5)]) == five & set(alone)


def test_the_file_tells_the_support_and_its_bytes_are_those_of_the_sha256(rows):
    class_N, keys = rows
    split = make_split(class_N, keys)
    text = split.to_json()
    assert hashlib.sha256(text.encode()).hexdigest() == split.sha256
    record = json.loads(text)
    for fold, of_class in enumerate(record["folds"]):
        for k in record["ks"]:
            counts = np.bincount(class_N)
            found = {key for one, taken in of_class.items() if counts[int(one)] > k for key in taken[:k]}
            assert found == {keys[number] for number in split.support(fold, k)}
    assert make_split(class_N, [*keys[:-1], "other.jpg"]).sha256 != split.sha256


def test_equal_keys_are_both_there():
    split = make_split(np.zeros(4, int), ["a", "a", "b", "b"], ks=(1,))
    assert len(split.support(0, 1)) == 1 and len(split.queries(0, 1)) == 3


def test_what_cannot_be_split_says_so():
    assert len(make_split(np.zeros(0, int), []).support(0, 1)) == 0
    with pytest.raises(ValueError, match="3 pictures with a class, 2 keys"):
        make_split(np.zeros(3, int), ["a", "b"])
    with pytest.raises(ValueError, match="shots"):
        make_split(np.zeros(1, int), ["a"], ks=(0,))


def test_stratified_folds_hold_every_class_evenly(rows):
    class_N, keys = rows
    fold_N = deal(class_N, keys, 5)
    for one in set(class_N.tolist()):
        counts = np.bincount(fold_N[class_N == one], minlength=5)
        assert counts.max() - counts.min() <= 1
    order = np.random.default_rng(2).permutation(len(keys))
    assert np.array_equal(deal(class_N[order], [keys[number] for number in order], 5), fold_N[order])
