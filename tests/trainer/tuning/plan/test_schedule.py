"""When trials are measured and may be stopped: at ends of epochs, not before the warm-up is over, never at the end."""

import dataclasses

import pytest

from taxonomy.errors import BadInputError
from tests.trainer.tuning.plan.test_space import config
from trainer.settings.config import TrainConfig
from trainer.tuning.plan.schedule import make_schedule

BASE = TrainConfig(train_data="manifest.json", batch_size=10, epochs=1000, max_steps=90, warmup=0)


def schedule(num_pairs: int, base: TrainConfig = BASE, **changes):
    return make_schedule(config(**changes), base, num_pairs)


def test_rungs_grow_by_the_factor_and_end_before_the_last_step():
    found = schedule(25)
    assert (found.total_steps, found.epochs_between, found.rungs) == (90, 5, (10, 30))
    assert schedule(25, reduction_factor=2).rungs == (10, 20, 40, 80)
    assert schedule(25, grace_steps=20).rungs == (20, 60)
    assert schedule(25, grace_steps=30).rungs == (30,)  # and not 90


@pytest.mark.parametrize("num_pairs", [10, 19, 77, 153, 600])
@pytest.mark.parametrize("warmup", [0, 7, 30, 5000])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_rungs_are_evaluations_after_the_warm_up(num_pairs, warmup, factor):
    found = schedule(num_pairs, dataclasses.replace(BASE, warmup=warmup), reduction_factor=factor)
    evaluated = range(
        found.epochs_between * (num_pairs // 10), found.total_steps, found.epochs_between * (num_pairs // 10)
    )
    assert found.rungs
    assert set(found.rungs) <= set(evaluated)
    assert found.rungs[0] >= min(warmup, 45)
    assert found.rungs[0] >= 10


def test_random_measures_as_the_recipe_does():
    base = dataclasses.replace(BASE, zeroshot_frequency=4)
    found = schedule(25, base, scheduler="random")
    assert (found.epochs_between, found.rungs) == (4, ())


def test_steps_are_those_of_all_ranks_and_micro_batches():
    base = dataclasses.replace(BASE, accum_freq=2, nproc=2, epochs=7, max_steps=None)
    assert schedule(100, base, scheduler="random").total_steps == 7 * 2


@pytest.mark.parametrize(
    ("num_pairs", "changes", "said"),
    [
        (9, {}, "9 pairs for training, fewer than the 10 of a step"),
        (900, {}, "not before the last of 90 steps; use --scheduler random"),
        (25, {"grace_steps": 90}, "--grace-steps"),
    ],
)
def test_what_leaves_no_rung_is_refused(num_pairs, changes, said):
    with pytest.raises(BadInputError, match=said):
        schedule(num_pairs, **changes)


def test_a_search_that_measures_nothing_is_refused():
    with pytest.raises(BadInputError, match="--zeroshot-frequency 0"):
        schedule(25, dataclasses.replace(BASE, zeroshot_frequency=0), scheduler="random")
