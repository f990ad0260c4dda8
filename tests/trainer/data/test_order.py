"""The order of items and how it is dealt out to ranks and micro-batches."""

from itertools import islice

import numpy as np
import pytest

from taxonomy.errors import BadInputError
from trainer.data.order import BatchPlan, Order, Split

SIZES = [7, 1, 12, 3, 0, 20, 5] * 30  # 1,440 items in 210 shards: four groups


def plans(split: Split, count: int, step: int = 0) -> list[BatchPlan]:
    return list(islice(split.plans(step), count))


def step_items(num_ranks: int, accum_freq: int, batch_size: int, step: int) -> list[int]:
    """All items of a step, in the order of the epoch."""
    pairs = []
    for rank in range(num_ranks):
        for plan in plans(Split(Order(SIZES, 5), rank, num_ranks, accum_freq, batch_size), accum_freq, step):
            assert plan.step == step
            pairs += zip(plan.place_B.tolist(), plan.item_B.tolist(), strict=True)
    return [item for _, item in sorted(pairs)]


def test_an_epoch_holds_every_item_once():
    order = Order(SIZES, 1)
    assert sorted(order.items(0, 0, len(order)).tolist()) == list(range(sum(SIZES)))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [Order(SIZES, seed).items(epoch, 0, sum(SIZES)) for seed, epoch in ((1, 0), (1, 1), (2, 0))]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert abs(np.corrcoef(orders[first], orders[second])[0, 1]) < 0.15
    groups = {tuple(Order(SIZES, seed).first_shards(epoch, 0).tolist()) for seed, epoch in ((1, 0), (1, 1), (2, 0))}
    assert len(groups) == 3


def test_any_stretch_equals_that_of_the_whole():
    order = Order(SIZES, 1)
    whole = order.items(3, 0, len(order))
    for start, stop in ((0, 0), (0, 1), (500, 900), (1439, 1440), (1440, 1440), (100, 1400)):
        assert np.array_equal(Order(SIZES, 1).items(3, start, stop), whole[start:stop])


def test_a_group_reads_no_more_than_64_shards():
    order = Order([10] * 200, 1)
    shards = order.items(0, 0, 2000) // 10
    for start in range(0, 2000, 640):
        group = set(shards[start : start + 640].tolist())
        assert len(group) == min(64, len(shards[start : start + 640]) // 10)
        assert group == set(order.first_shards(0, start).tolist()) == set(order.first_shards(0, start + 79).tolist())


def test_shards_of_a_group_are_mixed():
    shards = Order([100] * 64, 1).items(0, 0, 6400) // 100
    assert len(set(shards[:64].tolist())) > 30


def test_an_epoch_takes_each_item_at_most_once_and_all_but_the_last_few():
    split = Split(Order(SIZES, 5), 0, 1, 2, 50)
    assert split.steps_per_epoch == 14
    items = np.concatenate([plan.item_B for plan in plans(split, 28)])
    assert len(set(items.tolist())) == len(items) == 1400
    assert {plan.epoch for plan in plans(split, 28)} == {0} and plans(split, 29)[-1].epoch == 1


@pytest.mark.parametrize("ranks, accum, batch", [(1, 1, 24), (2, 1, 12), (3, 2, 4), (1, 4, 6), (4, 3, 2)])
def test_ranks_and_micro_batches_share_the_same_global_batch(ranks: int, accum: int, batch: int):
    for step in (0, 59, 60, 131):
        assert step_items(ranks, accum, batch, step) == step_items(1, 1, 24, step)


def test_rank_and_micro_batch_take_strided_parts():
    whole = plans(Split(Order(SIZES, 5), 0, 1, 1, 24), 1)[0].item_B
    part = plans(Split(Order(SIZES, 5), 1, 2, 3, 4), 3)
    assert [plan.item_B.tolist() for plan in part] == [whole[1::2][micro::3].tolist() for micro in range(3)]


def test_a_later_step_begins_where_the_run_would_have_been():
    split = Split(Order(SIZES, 5), 1, 2, 2, 30)
    run = plans(split, 60)
    for step in (1, 11, 12, 13, 29):
        for plan, same in zip(plans(split, 2, step), run[2 * step :], strict=False):
            assert (plan.step, plan.micro, plan.epoch) == (same.step, same.micro, same.epoch)
            assert np.array_equal(plan.item_B, same.item_B) and np.array_equal(plan.place_B, same.place_B)


def test_too_few_items_are_refused_with_the_counts():
    with pytest.raises(BadInputError, match=r"--batch-size 800.*1,600 pairs.*only 1,440.*at most 720"):
        Split(Order(SIZES, 5), 0, 2, 1, 800)
