"""Which steps are bad, and when they end the run."""

import json
import math
import random
import statistics

import pytest

from taxonomy.errors import WorkFailedError
from trainer.steps.guard import MAX_IN_A_ROW, Guard, TooManyBadSteps

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("numbers", [(NAN, 1.0), (INF, 1.0), (-INF, 1.0), (1.0, NAN), (1.0, INF)])
@pytest.mark.parametrize("spike_factor", [None, 2.0])
def test_a_number_that_is_not_finite_is_bad(numbers, spike_factor):
    guard = Guard(spike_factor)
    assert guard.judge(1.0, 1.0)
    assert not guard.judge(*numbers)
    assert guard.judge(1.0, 1e30)
    assert guard.skipped_steps == 1


def test_spikes_are_bad_only_where_asked_for():
    for spike_factor in (None, 3.0):
        guard = Guard(spike_factor)
        assert guard.judge(1.0, 1.0)
        assert guard.judge(3.0, 1.0)  # 3 x the median is not above it
        assert guard.judge(1e6, 1.0) == (spike_factor is None)


def test_verdicts_follow_the_rule():
    draws = random.Random(0)
    losses = [draws.choice([1.0, 1.0, 1.0, 4.0]) * draws.uniform(0.5, 1.5) * 0.999**i for i in range(400)]
    guard, good = Guard(2.0), []
    for loss in losses:
        is_good = not good or loss <= 2.0 * statistics.median(good[-100:])
        assert guard.judge(loss, 1.0) == is_good
        if is_good:
            good.append(loss)
    assert 0 < guard.skipped_steps == len(losses) - len(good)


def test_ten_in_a_row_end_the_run_and_a_good_one_starts_the_count_again():
    guard = Guard()
    for _ in range(3):
        for _ in range(MAX_IN_A_ROW - 1):
            assert not guard.judge(NAN, 1.0)
        assert guard.judge(1.0, 1.0)
    for _ in range(MAX_IN_A_ROW - 1):
        guard.judge(1.0, INF)
    with pytest.raises(
        TooManyBadSteps, match=r"10 steps in a row were bad.*gradient norm is inf.*--resume latest"
    ) as seen:
        guard.judge(1.0, INF)
    assert isinstance(seen.value, WorkFailedError)
    assert "\n" not in str(seen.value)
    assert guard.skipped_steps == 3 * 9 + 10


@pytest.mark.parametrize("stop", [0, 1, 57, 150, 195])
def test_a_guard_goes_on_from_its_state(stop):
    draws = random.Random(stop)
    losses = [draws.choice([1, 1, 1, 1, 3, NAN]) * draws.uniform(0.8, 1.2) for _ in range(200)]
    whole, first = Guard(2.0), Guard(2.0)
    verdicts = [whole.judge(loss, 1.0) for loss in losses]
    assert [first.judge(loss, 1.0) for loss in losses[:stop]] == verdicts[:stop]
    second = Guard(2.0)
    second.load(json.loads(json.dumps(first.state(), allow_nan=False)))
    assert [second.judge(loss, 1.0) for loss in losses[stop:]] == verdicts[stop:]
    assert second.state() == whole.state()


def test_bad_steps_in_a_row_are_counted_over_a_resume():
    guard = Guard()
    for _ in range(6):
        guard.judge(NAN, 1.0)
    resumed = Guard()
    resumed.load(guard.state())
    for _ in range(3):
        resumed.judge(NAN, 1.0)
    with pytest.raises(TooManyBadSteps):
        resumed.judge(NAN, 1.0)
