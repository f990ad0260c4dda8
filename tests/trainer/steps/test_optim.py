"""Optimizer and learning rates are the published ones."""

import math
from types import SimpleNamespace

import open_clip
import pytest
import torch
from open_clip_train import scheduler

from trainer.steps.optim import (
    AdamWSettings,
    LrSchedule,
    clamp_logit_scale,
    clip_gradients,
    lr_at,
    make_optimizer,
    parameter_groups,
    set_lr,
)

pytestmark = pytest.mark.torch

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 32, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return open_clip.CLIP(**TINY)


def published_lrs(kind: str, base_lr: float, warmup: int, total: int, *cooldown: float) -> list[float]:
    make = {"cosine": scheduler.cosine_lr, "const": scheduler.const_lr, "const-cooldown": scheduler.const_lr_cooldown}
    adjust = make[kind](SimpleNamespace(param_groups=[{}]), base_lr, warmup, total, *cooldown)
    return [adjust(step) for step in range(total)]


@pytest.mark.parametrize("base_lr", [1e-4, 3e-3])
@pytest.mark.parametrize(("warmup", "total"), [(0, 7), (1, 50), (10, 226), (33, 100), (100, 100), (200, 60)])
@pytest.mark.parametrize("kind", ["cosine", "const"])
def test_learning_rates_are_the_published_ones_to_the_last_bit(kind, warmup, total, base_lr):
    schedule = LrSchedule(kind, base_lr, warmup, total)
    assert [lr_at(step, schedule) for step in range(total)] == published_lrs(kind, base_lr, warmup, total)


@pytest.mark.parametrize("cooldown", [(1, 1.0, 0.0), (20, 1.0, 1e-6), (35, 2.0, 0.0), (50, 0.5, 1e-5), (90, 3.0, 2e-4)])
@pytest.mark.parametrize("warmup", [0, 10, 60])
def test_learning_rates_with_a_cooldown_are_the_published_ones(warmup, cooldown):
    schedule = LrSchedule("const-cooldown", 1e-3, warmup, 100, *cooldown)
    expected = published_lrs("const-cooldown", 1e-3, warmup, 100, *cooldown)
    assert [lr_at(step, schedule) for step in range(100)] == expected


def test_without_a_scheduler_the_learning_rate_stays():
    assert {lr_at(step, LrSchedule("none", 0.3, 10, 20)) for step in range(30)} == {0.3}


@pytest.mark.parametrize(
    ("schedule", "end"),
    [
        (LrSchedule("cosine", 1.0, 5, 20), 0.0),
        (LrSchedule("const", 1.0, 5, 20), 1.0),
        (LrSchedule("const-cooldown", 1.0, 5, 20, 10, 0.5, 0.25), 0.25),
        (LrSchedule("const-cooldown", 1.0, 5, 20), 1.0),
    ],
)
def test_after_the_end_it_stays_at_the_end(schedule, end):
    assert [lr_at(step, schedule) for step in (20, 21, 1000)] == [end] * 3


def test_groups_are_the_published_ones(model):
    """The rule as written in open_clip_train/main.py, by name."""
    excluded = [
        name
        for name, parameter in model.named_parameters()
        if parameter.ndim < 2 or "bn" in name or "ln" in name or "bias" in name or "logit_scale" in name
    ]
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    without, with_decay = parameter_groups(model, 0.2)
    assert [names[id(parameter)] for parameter in without["params"]] == excluded
    assert [names[id(parameter)] for parameter in with_decay["params"]] == [
        n for n in names.values() if n not in excluded
    ]
    assert (without["weight_decay"], with_decay["weight_decay"]) == (0.0, 0.2)
    assert "logit_scale" in excluded
    assert "visual.conv1.weight" not in excluded


def test_locked_parameters_are_in_no_group(model):
    model.lock_image_tower()
    groups = parameter_groups(model, 0.2)
    trained = [parameter for group in groups for parameter in group["params"]]
    assert len(trained) == sum(parameter.requires_grad for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in trained)
    make_optimizer(model, AdamWSettings(1e-3, 0.2, 0.9, 0.98, 1e-6))


def test_an_update_is_the_published_optimizers(model):
    settings = AdamWSettings(1e-2, 0.2, 0.9, 0.98, 1e-6)
    optimizer = make_optimizer(model, settings)
    twin = open_clip.CLIP(**TINY)
    twin.load_state_dict(model.state_dict())
    plain = torch.optim.AdamW(parameter_groups(twin, 0.2), lr=1.0, betas=(0.9, 0.98), eps=1e-6, fused=False)
    for step in range(3):
        set_lr(optimizer, 0.01 * (step + 1))
        set_lr(plain, 0.01 * (step + 1))
        for one, other in zip(model.parameters(), twin.parameters(), strict=True):
            one.grad = torch.randn(one.shape)
            other.grad = one.grad.clone()
        optimizer.step()
        plain.step()
    assert optimizer.defaults["fused"]
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("max_norm", [None, 0.5, 1e6])
def test_gradients_are_clipped_to_the_norm_of_all_of_them(max_norm):
    parameters = [
        torch.nn.Parameter(torch.zeros(3, 4)),
        torch.nn.Parameter(torch.zeros(5)),
        torch.nn.Parameter(torch.zeros(2)),
    ]
    parameters[0].grad = torch.randn(3, 4)
    parameters[1].grad = torch.randn(5)
    before = torch.cat([parameters[0].grad.flatten(), parameters[1].grad])
    norm = clip_gradients(parameters, max_norm)
    after = torch.cat([parameters[0].grad.flatten(), parameters[1].grad])
    torch.testing.assert_close(norm, before.norm())
    scale = 1.0 if max_norm is None else min(1.0, max_norm / before.norm().item())
    torch.testing.assert_close(after, before * scale, atol=1e-5, rtol=1e-5)
    assert parameters[2].grad is None
    if max_norm is None:
        assert torch.equal(after, before)


def test_a_norm_that_is_not_finite_is_said_not_raised():
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([math.nan, 1.0])
    assert math.isnan(clip_gradients([parameter], 1.0).item())
    assert clip_gradients([], 1.0).item() == 0.0


@pytest.mark.parametrize(("value", "clamped"), [(-1.0, 0.0), (2.5, 2.5), (5.0, math.log(100))])
def test_the_logit_scale_stays_in_its_range(value, clamped):
    parameter = torch.nn.Parameter(torch.tensor(value))
    clamp_logit_scale(parameter)
    assert parameter.item() == pytest.approx(clamped, rel=1e-7)
    assert parameter.requires_grad
    assert parameter.is_leaf
