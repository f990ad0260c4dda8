"""Settings of trials: a function of seed and number, nested, within their ranges, the first the recipe's own."""

import math
import subprocess
import sys

import pytest

from taxonomy.errors import BadInputError
from tests.conftest import PROJECT
from trainer.tuning.config import TuneConfig
from trainer.tuning.plan.space import NAMES, Space, make_space

TINY = {"lr": 2e-3, "beta1": 0.9, "beta2": 0.98, "wd": 0.2}


def config(**changes) -> TuneConfig:
    return TuneConfig(**({"recipe": "tiny", "train_data": "manifest.json", "out": "tuned"} | changes))


def space(**changes) -> Space:
    return make_space(config(**changes), TINY)


def test_trial_0_is_the_default():
    assert all(space().trial(0, seed) == TINY for seed in range(50))


def test_settings_depend_on_seed_and_number_alone():
    first, second = space(), space()
    backwards = [second.trial(number, 7) for number in reversed(range(40))]
    assert [first.trial(number, 7) for number in range(40)] == backwards[::-1]
    assert first.trial(1, 7) != first.trial(1, 8)


def test_settings_are_the_same_in_another_process_and_ever_after():
    code = "from tests.trainer.tuning.plan.test_space import space; print(space().trial(13, 5))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT, check=True)
    assert found.stdout.strip() == str(space().trial(13, 5))
    assert space().trial(13, 5) == {"lr": 0.009582, "beta1": 0.93144, "beta2": 0.97968, "wd": 0.07489}


def test_trials_differ_in_every_setting():
    trials = [space().trial(number, 0) for number in range(1, 200)]
    for name in NAMES:
        assert len({trial[name] for trial in trials}) > 190


@pytest.mark.parametrize("seed", range(5))
def test_settings_keep_within_their_ranges_and_fill_them_evenly(seed):
    searched = space()
    for name in NAMES:
        low, high = searched.ranges[name]
        values = [searched.trial(number, seed)[name] for number in range(1, 1001)]
        assert all(low <= value <= high for value in values)
        scaled = [math.log(1 - value if name.startswith("beta") else value) for value in values]
        ends = sorted(math.log(1 - end if name.startswith("beta") else end) for end in (low, high))
        quarters = [int(4 * (value - ends[0]) / (ends[1] - ends[0] + 1e-9)) for value in scaled]
        # 250 are expected in each, with a standard deviation of 13.7.
        assert all(190 < quarters.count(quarter) < 310 for quarter in range(4)), name


def test_ranges_hold_published_values():
    published = [
        {"lr": 5e-4, "beta1": 0.98, "beta2": 0.99, "wd": 4e-4},
        {"lr": 4e-4, "beta1": 0.8, "beta2": 0.9, "wd": 0.2},
    ]
    found = make_space(config(), TINY | {"lr": 5e-4}).ranges
    assert all(found[name][0] <= one[name] <= found[name][1] for one in published for name in NAMES)


def test_ranges_follow_the_recipe_or_the_flags():
    assert space().ranges["lr"] == pytest.approx((2e-4, 2e-2))
    assert space(lr_low=1e-5, wd_high=0.5).ranges["lr"] == pytest.approx((1e-5, 2e-2))
    fixed = space(beta1_low=0.95, beta1_high=0.95)
    assert {fixed.trial(number, 0)["beta1"] for number in range(1, 30)} == {0.95}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lr_low": 0.0}, r"--lr-low 0 .*above 0"),
        ({"lr_low": 1.0}, r"--lr-low 1 --lr-high 0.02: the low end"),
        ({"lr_high": math.inf}, "--lr-high inf: both"),
        ({"beta1_high": 1.0}, "--beta1-high 1: both must be at least 0 and below 1"),
        ({"beta2_low": -0.1}, "--beta2-low -0.1"),
        ({"wd_low": -1.0}, "--wd-low -1"),
    ],
)
def test_ranges_that_are_none_are_refused(changes, said):
    with pytest.raises(BadInputError, match=said):
        space(**changes)
