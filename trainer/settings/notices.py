"""Lines for the start of a run: which of its settings mean another thing than they did, or do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from trainer.settings.flag import Status
from trainer.settings.flags import ACCEPTED

if TYPE_CHECKING:
    from trainer.settings.config import TrainConfig


def notices(config: TrainConfig, num_ranks: int = 1) -> list[str]:
    """One line for each setting to know of, beginning with its flag."""
    return [
        *_changed_meanings(config),
        *_loss_lines(config, num_ranks),
        *_without_effect(config),
        *_schedule_lines(config),
    ]


def _changed_meanings(config: TrainConfig) -> Iterator[str]:
    if config.precision == "bf16":
        yield "--precision bf16: bf16 autocast with fp32 weights; bf16_published stores weights in bf16, as published"
    if config.precision == "bf16_published":
        yield (
            "--precision bf16_published: weights in bf16 without an fp32 copy; updates below 1/256 of a weight are "
            "lost, most weight decay with them; bf16 keeps them"
        )
    if config.precision == "amp_bf16":
        yield "--precision amp_bf16: bf16 autocast; the published default was amp, fp16 autocast with loss scaling"
    pixels = (("--image-mean", config.image_mean), ("--image-std", config.image_std))
    if left_open := [flag for flag, value in pixels if value is None]:
        flags = " and ".join(left_open)
        yield f"{flags}: as the weights were trained with, else OpenAI's; the published default was ImageNet's"
    if config.text_type == "mixed":
        yield "--text_type mixed: a caption kind per pair; the published default was taxon, its recipe's random"
    if config.accum_freq > 1:
        yield "--accum-freq: gradients as of one large batch; the published ones of logit_scale were N times too large"


def _loss_lines(config: TrainConfig, num_ranks: int) -> Iterator[str]:
    both = [
        flag
        for flag, on in (("--local-loss", config.local_loss), ("--gather-with-grad", config.gather_with_grad))
        if on
    ]
    if config.loss == "siglip" and both:
        yield f"{' and '.join(both)}: no effect with --loss siglip"
    elif num_ranks == 1 and both:
        yield f"{' and '.join(both)}: no effect in one process"
    elif config.loss == "multi_positive" and config.local_loss:
        yield "--local-loss: no effect with --loss multi_positive, which never builds the whole matrix on a rank"
    if config.loss == "infonce" and num_ranks > 1 and not config.gather_with_grad:
        yield (
            f"--gather-with-grad is off: on {num_ranks} ranks the gradients of features are 1/{num_ranks} of the true "
            "ones, as published" + (", and with --local-loss biased" if config.local_loss else "")
        )


def _without_effect(config: TrainConfig) -> Iterator[str]:
    for name, flag in ACCEPTED.items():
        if flag.status is Status.NO_EFFECT and getattr(config, name):
            yield f"{flag.names[0]}: no effect: {flag.note}"
    if config.dataset_resampled and config.dataset_type != "webdataset":
        kind = config.dataset_type
        yield f"--dataset-resampled: no effect with --dataset-type {kind}, which reads each pair once an epoch"
    if config.train_num_samples is not None and config.dataset_type in ("shards", "csv"):
        yield f"--train-num-samples: no effect with --dataset-type {config.dataset_type}, where the pairs are counted"
    for flag, value, needed, present in (
        ("--lock-image-unlocked-groups", config.lock_image_unlocked_groups, "--lock-image", config.lock_image),
        ("--lock-image-freeze-bn-stats", config.lock_image_freeze_bn_stats, "--lock-image", config.lock_image),
        ("--lock-text-unlocked-layers", config.lock_text_unlocked_layers, "--lock-text", config.lock_text),
        ("--resume-at epoch", config.resume_at == "epoch", "--resume", config.resume),
    ):
        if value and not present:
            yield f"{flag}: no effect without {needed}"


def _schedule_lines(config: TrainConfig) -> Iterator[str]:
    if config.epochs_cooldown is not None and config.lr_scheduler != "const-cooldown":
        yield f"--epochs-cooldown: no effect with --lr-scheduler {config.lr_scheduler}"
    if config.max_steps is not None and config.warmup >= config.max_steps and not config.skip_scheduler:
        yield f"--warmup {config.warmup}: the run ends after {config.max_steps} steps, before the rate reaches --lr"
