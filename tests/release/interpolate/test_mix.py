"""Averages of weights: exact at the ends and where both are equal, linear between, refused where there is none."""

import math

import pytest
import torch

from release.interpolate.mix import check_mixable, mixed
from taxonomy.errors import BadInputError

pytestmark = pytest.mark.torch

AWKWARD = torch.tensor([0.0, -0.0, 1e-42, -3e38, 3e38, 1.0, -7.25, 0.1])


def state(seed, **more):
    draw = torch.Generator().manual_seed(seed)
    return {
        "weight": torch.randn(64, 32, generator=draw),
        "awkward": AWKWARD[torch.randperm(8, generator=draw)],
        "scalar": torch.randn((), generator=draw),
        **more,
    }


def bits(tensor):
    return tensor.view(torch.int32)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_the_ends_are_the_models_bit_by_bit(alpha):
    first, last = state(1), state(2)
    made = mixed(first, last, alpha)
    for name, tensor in (last if alpha else first).items():
        assert torch.equal(bits(made[name]), bits(tensor)), name


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1 / 3, 0.9999])
def test_equal_tensors_stay_as_they_are(alpha):
    both = state(3)
    made = mixed(both, {name: tensor.clone() for name, tensor in both.items()}, alpha)
    assert all(torch.equal(made[name], tensor) for name, tensor in both.items())


@pytest.mark.parametrize("alpha", [1e-6, 0.25, 0.5, 0.7])
def test_between_is_the_weighted_mean_in_fp32(alpha):
    first, last = state(1), state(2)
    made = mixed(first, last, alpha)
    for name in ("weight", "scalar"):
        exact = (1 - alpha) * first[name].double() + alpha * last[name].double()
        assert made[name].dtype == torch.float32
        torch.testing.assert_close(made[name].double(), exact, rtol=2e-7, atol=3e-7)
        assert bool((made[name] >= torch.minimum(first[name], last[name]) - 3e-7).all())


def test_from_the_other_side_it_is_the_same_point():
    first, last = state(1), state(2)
    for alpha in (0.25, 0.375):
        one, other = mixed(first, last, alpha), mixed(last, first, 1 - alpha)
        assert torch.equal(one["weight"], other["weight"])


def test_logit_scales_are_averaged_as_logarithms():
    first, last = {"logit_scale": torch.tensor(math.log(4.0))}, {"logit_scale": torch.tensor(math.log(100.0))}
    assert float(mixed(first, last, 0.5)["logit_scale"].exp()) == pytest.approx(20)


def test_no_argument_is_changed():
    first, last = state(1), state(2)
    before = [{name: tensor.clone() for name, tensor in one.items()} for one in (first, last)]
    mixed(first, last, 0.3)
    for one, kept in zip((first, last), before, strict=True):
        assert all(torch.equal(bits(one[name]), bits(kept[name])) for name in one)


def test_whole_numbers_come_from_the_model_at_1_where_both_have_the_same(caplog):
    table = {"positions": torch.arange(5), "bn.running_var": torch.ones(3)}
    counts = [{"bn.num_batches_tracked": torch.tensor(number)} for number in (7, 9)]
    first, last = state(1, **table, **counts[0]), state(2, **table, **counts[1])
    check_mixable(first, last)
    assert "BatchNorm" in caplog.text
    made = mixed(first, last, 0.5)
    assert torch.equal(made["positions"], torch.arange(5))
    assert [int(mixed(first, last, alpha)["bn.num_batches_tracked"]) for alpha in (0.0, 0.5, 1.0)] == [7, 9, 9]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda first, last: last.update(first), "same weights"),
        (lambda first, last: last.update(positions=torch.arange(5) + 1), "whole numbers.*positions"),
        (lambda first, last: last.update(scalar=torch.tensor(float("nan"))), "--to: 1 tensors .* not finite.*scalar"),
        (lambda first, last: first["weight"].view(-1)[5:6].fill_(float("inf")), "--from: 1 .* not finite.*weight"),
    ],
)
def test_what_has_no_average_is_refused(change, expected):
    first, last = state(1, positions=torch.arange(5)), state(2, positions=torch.arange(5))
    check_mixable(first, last)
    change(first, last)
    with pytest.raises(BadInputError, match=expected):
        check_mixable(first, last)
