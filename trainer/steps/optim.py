"""AdamW with the published groups and learning rates, and what happens to gradients and the logit scale around it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch

MAX_LOGIT_SCALE = math.log(100)
"""Source: CLIP (Radford et al. 2021), section 2.5: logits are not scaled by more than 100."""

_NO_DECAY = ("bn", "ln", "bias", "logit_scale")


@dataclass(frozen=True)
class AdamWSettings:
    """Settings of AdamW.

    Attributes:
        lr: the highest learning rate.
        weight_decay: of matrices; vectors, scalars, norms and biases have none.
        beta1: decay of the mean of gradients.
        beta2: decay of the mean of squared gradients.
        eps: added to the denominator.
    """

    lr: float
    weight_decay: float
    beta1: float
    beta2: float
    eps: float


@dataclass(frozen=True)
class LrSchedule:
    """What the learning rate of a step depends on.

    Attributes:
        kind: "cosine" to zero, "const", or "const-cooldown"; "none" (`--skip-scheduler`) has no warm-up either.
        base_lr: the highest.
        warmup_steps: over which it rises in a line.
        total_steps: of the whole run.
        cooldown_steps: the last ones, of const-cooldown.
        cooldown_power: of the polynomial of const-cooldown.
        cooldown_end: the lr at which const-cooldown ends.
    """

    kind: Literal["cosine", "const", "const-cooldown", "none"]
    base_lr: float
    warmup_steps: int
    total_steps: int
    cooldown_steps: int = 0
    cooldown_power: float = 1.0
    cooldown_end: float = 0.0


def lr_at(step: int, schedule: LrSchedule) -> float:
    """The learning rate of a step, counted from 0; after the last step, that of the end.

    Source: open_clip_train/scheduler.py; equal to it to the last bit.
    """
    if schedule.kind == "none":
        return schedule.base_lr
    if step < schedule.warmup_steps:
        return schedule.base_lr * (step + 1) / schedule.warmup_steps
    if schedule.kind == "cosine":
        num_steps = schedule.total_steps - schedule.warmup_steps
        done = min(step - schedule.warmup_steps, num_steps)
        return 0.5 * (1 + math.cos(math.pi * done / max(num_steps, 1))) * schedule.base_lr
    start_cooldown = schedule.total_steps - schedule.cooldown_steps
    if schedule.kind == "const" or step < start_cooldown or schedule.cooldown_steps == 0:
        return schedule.base_lr
    done = min(step - start_cooldown, schedule.cooldown_steps)
    decay = (1 - done / schedule.cooldown_steps) ** schedule.cooldown_power
    return decay * (schedule.base_lr - schedule.cooldown_end) + schedule.cooldown_end


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give all groups of an optimizer a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def parameter_groups(model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups of the parameters that are trained, in the order of their names: without decay, with decay.

    No decay for those of less than two dimensions, and for names that contain bn, ln, bias or logit_scale.

    Source: open_clip_train/main.py.
    """
    without, with_decay = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            excluded = parameter.ndim < 2 or any(part in name for part in _NO_DECAY)
            (without if excluded else with_decay).append(parameter)
    return [{"params": without, "weight_decay": 0.0}, {"params": with_decay, "weight_decay": weight_decay}]


def make_optimizer(model: torch.nn.Module, settings: AdamWSettings) -> torch.optim.AdamW:
    """Fused AdamW (one kernel for all parameters) over the published groups."""
    return torch.optim.AdamW(
        parameter_groups(model, settings.weight_decay),
        lr=settings.lr,
        betas=(settings.beta1, settings.beta2),
        eps=settings.eps,
        fused=True,
    )


def clip_gradients(parameters: Iterable[torch.nn.Parameter], max_norm: float | None) -> torch.Tensor:
    """The 2-norm of all gradients before clipping, a scalar on their device; scales them down to `max_norm`.

    The host does not wait for the device. None only measures. A norm that is not finite spoils the gradients, so such
    a step must be left out.
    """
    with_gradient = [parameter for parameter in parameters if parameter.grad is not None]
    gradients = [parameter.grad for parameter in with_gradient if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if max_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(with_gradient, max_norm, norm)
    return norm


@torch.no_grad()
def clamp_logit_scale(logit_scale: torch.Tensor) -> None:
    """Keep the logarithm of the logits' scale in [0, ln 100], in place; call it after each update."""
    logit_scale.clamp_(0, MAX_LOGIT_SCALE)
