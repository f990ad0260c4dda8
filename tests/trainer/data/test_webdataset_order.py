"""The order of samples over ranks, workers, epochs and passes, and going on within it."""

from collections import Counter
from dataclasses import replace
from itertools import islice, pairwise

import pytest

from taxonomy.errors import WorkFailedError
from tests.trainer.tar_shards import write_shards
from trainer.data.webdataset_list import ShardList, expand_shards
from trainer.data.webdataset_order import Cursor, Order, ordered_samples

pytestmark = pytest.mark.torch

SIZES = [7, 0, 5, 11, 3, 9, 4, 8]


def bare(number: int):
    return [(f"{number}.jpg", b"picture")]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return expand_shards(write_shards(tmp_path_factory.mktemp("order"), SIZES, sample=bare))


def order_of(shards: ShardList, resampled: bool = False, **changes) -> Order:
    order = Order(shards, resampled, seed=1, window=6, rank=0, num_ranks=1, worker=0, num_workers=1)
    return replace(order, **changes)


def taken(order: Order, num: int, start: Cursor | None = None) -> list[tuple[int, Cursor]]:
    """The running numbers of the next samples and the cursors behind them."""
    samples = islice(ordered_samples(order, start or Cursor(0)), num)
    return [(int(sample.members["__key__"]), cursor) for sample, cursor in samples]


def numbers(order: Order, num: int, start: Cursor | None = None) -> list[int]:
    return [number for number, _ in taken(order, num, start)]


@pytest.mark.parametrize("window", [1, 4, 6, 1000])
@pytest.mark.parametrize("epoch", [0, 3])
def test_every_pass_of_all_ranks_and_workers_is_the_whole_set(shards, window, epoch):
    seen = []
    for rank in range(2):
        for worker in range(2):
            order = order_of(shards, window=window, rank=rank, num_ranks=2, worker=worker, num_workers=2)
            sizes = [SIZES[shard] for shard in order.shards_of_pass(epoch)]
            one_pass = numbers(order, sum(sizes), Cursor(epoch))
            again = numbers(order, 2 * sum(sizes), Cursor(epoch))
            assert sorted(again[len(one_pass) :]) == sorted(one_pass) == sorted(set(one_pass))
            assert again[: len(one_pass)] == one_pass
            seen += one_pass
    assert sorted(seen) == list(range(sum(SIZES)))


def test_the_order_differs_by_what_it_depends_on_and_by_nothing_else(shards):
    order = order_of(shards, num_workers=2, num_ranks=2)
    base = numbers(order, 12)
    assert base == numbers(order, 12)
    changed = [
        numbers(replace(order, seed=2), 12),
        numbers(replace(order, window=5), 12),
        numbers(replace(order, rank=1), 12),
        numbers(replace(order, worker=1), 12),
        numbers(order, 12, Cursor(1)),
    ]
    assert all(other != base for other in changed)


def test_shards_are_permuted_and_windows_hold_neighbours_across_shards(shards):
    order = order_of(shards, window=6)
    visited = order.shards_of_pass(0)
    assert sorted(visited) == list(range(len(SIZES)))
    assert visited != list(range(len(SIZES)))
    firsts = [sum(SIZES[:shard]) for shard in range(len(SIZES))]
    unshuffled = [firsts[shard] + place for shard in visited for place in range(SIZES[shard])]
    given = numbers(order, sum(SIZES))
    windows = range(0, sum(SIZES), 6)
    assert all(sorted(given[at : at + 6]) == sorted(unshuffled[at : at + 6]) for at in windows)
    assert given != unshuffled
    ranks_in_windows = [
        tuple(sorted(range(6), key=lambda place: unshuffled.index(given[at + place]))) for at in windows[:-1]
    ]
    assert len(set(ranks_in_windows)) > 1, "every window is permuted alike"


def test_windows_of_ranks_workers_epochs_and_passes_are_permuted_differently(tmp_path):
    alike = expand_shards(write_shards(tmp_path, [8] * 4, sample=bare))
    parts = [order_of(alike, window=8, rank=r, num_ranks=2, worker=w, num_workers=2) for r in (0, 1) for w in (0, 1)]
    windows = [[number % 8 for number in numbers(part, 8, Cursor(epoch))] for part in parts for epoch in (0, 1)]
    again = [[number % 8 for number in numbers(part, 16)][8:] for part in parts]
    seeded = [number % 8 for number in numbers(replace(parts[0], seed=2), 8)]
    assert len({tuple(window) for window in (*windows, *again, seeded)}) == 13


@pytest.mark.parametrize("resampled", [False, True])
@pytest.mark.parametrize("window", [1, 3, 6, 20, 100])
def test_going_on_behind_any_sample_gives_the_same_rest(shards, window, resampled):
    order = order_of(shards, resampled, window=window, rank=1, num_ranks=2)
    whole = taken(order, 80)
    for at, (_, cursor) in enumerate(whole[:60], start=1):
        assert taken(order, 80 - at, cursor) == whole[at:]


@pytest.mark.parametrize("resampled", [False, True])
def test_items_tell_samples_apart_and_occasions_their_readings(shards, resampled):
    order = order_of(shards, resampled)
    samples = [sample for sample, _ in islice(ordered_samples(order, Cursor(0)), 4 * sum(SIZES))]
    item_of = {sample.item: sample.members["__key__"] for sample in samples}
    assert len(item_of) == len(set(item_of.values())) == len({s.members["__key__"] for s in samples})
    assert all(0 <= item < 2**63 for item in item_of)
    assert len({(sample.item, sample.occasion) for sample in samples}) == len(samples)
    if not resampled:  # the occasion is the pass, whoever reads it
        other = order_of(shards, rank=1, num_ranks=2)
        of_other = {sample.item: sample.occasion for sample, _ in islice(ordered_samples(other, Cursor(0)), 5)}
        of_all = {sample.item: sample.occasion for sample in samples[: sum(SIZES)]}
        assert of_other.items() <= of_all.items()


def test_the_next_window_is_read_while_one_is_given_and_no_more_than_one_is_held(shards, monkeypatch):
    read = 0

    def counted(url, skip=0):
        nonlocal read
        for _ in range(10):
            read += 1
            yield {"__key__": "0"}

    monkeypatch.setattr("trainer.data.webdataset_order.read_shard", counted)
    samples = islice(ordered_samples(order_of(shards, window=16), Cursor(0)), 80)
    for given, _ in enumerate(samples, start=1):
        assert 15 <= read - given <= 16 or read == 80
    assert read == 80


def test_a_resumed_worker_reads_one_window_before_it_gives(shards, monkeypatch):
    order = order_of(shards, window=16)
    _, cursor = taken(order, 12)[-1]
    skips, read = [], 0

    def counted(url, skip=0):
        nonlocal read
        skips.append(skip)
        for _ in range(SIZES[order.shards.urls.index(url)] - skip):
            read += 1
            yield {"__key__": "0"}

    monkeypatch.setattr("trainer.data.webdataset_order.read_shard", counted)
    next(ordered_samples(order, cursor))
    assert read == 16
    assert skips[0] == cursor.sample


@pytest.mark.parametrize("weights", [None, (1.0,) * 4 + (3.0,) * 3 + (0.0,)])
def test_draws_follow_the_weights(shards, weights):
    order = order_of(ShardList(shards.urls, weights), resampled=True)
    num = 20_000
    drawn = Counter(order.draw(visit) for visit in range(num))
    weights = weights or (1.0,) * len(SIZES)
    assert all(drawn[shard] == 0 for shard, weight in enumerate(weights) if weight == 0)
    expected = {shard: num * weight / sum(weights) for shard, weight in enumerate(weights) if weight}
    chi_square = sum((drawn[shard] - share) ** 2 / share for shard, share in expected.items())
    assert chi_square < 24.3  # 7 degrees of freedom: passed by 99.9 % of fair draws


def test_draws_of_ranks_and_workers_are_independent_and_runs_of_shards_are_not(shards):
    order = order_of(shards, resampled=True, num_ranks=2, num_workers=2)
    others = [order, replace(order, rank=1), replace(order, worker=1), replace(order, seed=2)]
    draws = [[one.draw(visit) for visit in range(200)] for one in others]
    for place, one in enumerate(draws):
        for other in draws[place + 1 :]:
            same = sum(a == b for a, b in zip(one, other, strict=True))
            assert 5 < same < 50  # 25 by chance
    assert 5 < sum(a == b for a, b in pairwise(draws[0])) < 50


@pytest.mark.parametrize("resampled", [False, True])
def test_shards_without_samples_end_the_run_instead_of_being_read_forever(tmp_path, resampled):
    empty = expand_shards(write_shards(tmp_path, [0, 0]))
    with pytest.raises(WorkFailedError, match="no sample in"):
        next(ordered_samples(order_of(empty, resampled), Cursor(0)))
