"""Training steps of one side on synthetic batches that lie on the device; started by bench/train_device.py.

Ours: trainer/steps/step.py and its update, as trainer/loop.py does them, blocks compiled. open_clip: its own
train_one_epoch, with model, loss and AdamW as open_clip_train/main.py makes them. Both: bf16 autocast over fp32
weights, the loss of plain pairs.

Shapes: B pairs, L text length; H, W, C height, width, colour.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any

import open_clip
import torch
from open_clip_train.scheduler import cosine_lr
from open_clip_train.train import train_one_epoch

from bench.train_report import OPEN_CLIP, StepRun
from bench.train_texts import draw_texts
from trainer.data.batch import Batch, trimmed_tokens
from trainer.distributed import Ranks
from trainer.settings.config import TrainConfig, load
from trainer.steps.distinct_texts import distinct
from trainer.steps.flops import mfu, model_flops, peak_flops, train_flops
from trainer.steps.guard import Guard
from trainer.steps.model import make_model, step_settings
from trainer.steps.optim import AdamWSettings, make_optimizer, parameter_groups, set_lr
from trainer.steps.step import step_inputs, train_step
from trainer.steps.update import Updater

LR, WEIGHT_DECAY, BETAS, EPS = 5e-4, 0.2, (0.9, 0.98), 1e-6
"""The published defaults for a ViT, on both sides."""
NUM_BATCHES = 2
"""Different ones, used in turn."""
LEAST_MB_PER_PAIR = {"ViT-B-16": 47, "ViT-L-14": 145}
"""0.6 of the activations kept in bf16: 34 bytes per layer, token and width. Saves tries that compile and then fail.

Source of the 34: Korthikanti et al. 2022, Reducing Activation Recomputation in Large Transformer Models, equation 2.
"""


@dataclass(frozen=True)
class Lengths:
    """How long to measure.

    Attributes:
        warm_up: steps before: compiling, and memory that is asked for once.
        windows: measured, one after the other.
        steps: of a window.
    """

    warm_up: int = 6
    windows: int = 3
    steps: int = 10

    @property
    def total(self) -> int:
        """Steps in all."""
        return self.warm_up + self.windows * self.steps


class Timed:
    """Batches in turn as a loop takes them, and the time of each window of steps; a loader to open_clip."""

    def __init__(self, batches: Sequence[Any], lengths: Lengths, device: torch.device, batch_size: int) -> None:
        self.step_s: list[float] = []
        self.num_batches = lengths.total
        self.num_samples = lengths.total * batch_size
        self._batches, self._lengths, self._device = batches, lengths, device

    def __iter__(self) -> Iterator[Any]:
        """`lengths.total` batches; at the ends of windows it waits for the device."""
        started = 0.0
        for step in range(self._lengths.total + 1):
            window, place = divmod(step - self._lengths.warm_up, self._lengths.steps)
            if window >= 0 and place == 0:
                if self._device.type == "cuda":
                    torch.cuda.synchronize(self._device)
                if window > 0:
                    self.step_s.append((time.perf_counter() - started) / self._lengths.steps)
                started = time.perf_counter()
            if step < self._lengths.total:
                yield self._batches[step % len(self._batches)]


def run_ours(model: str, token_batches: Sequence[torch.Tensor], device: torch.device, lengths: Lengths) -> list[float]:
    """Seconds per step of each window."""
    batch_size = len(token_batches[0])
    config = ours_config(model, batch_size, device)
    ranks = Ranks(0, 1, 0, device)
    trained = make_model(config, ranks)
    optimizer = make_optimizer(
        trained.module, AdamWSettings(config.lr, config.wd, config.beta1, config.beta2, config.eps)
    )
    updater = Updater(optimizer, trained.parts, Guard(None), None, None, judges_at_once=device.type != "cuda")
    settings = step_settings(config, trained, None)
    timed = Timed([_batch(one, trained.facts.image_size, device) for one in token_batches], lengths, device, batch_size)
    for batch in timed:
        set_lr(optimizer, LR)
        updater.apply(train_step(trained.parts, step_inputs([batch], device), settings, ranks))
    updater.judge()
    return timed.step_s


def ours_config(model: str, batch_size: int, device: torch.device) -> TrainConfig:
    """The trainer's settings."""
    flags = ["--model", model, "--batch-size", str(batch_size), "--device", device.type, "--precision", "amp_bf16"]
    flags += ["--loss", "infonce", "--lr", str(LR), "--wd", str(WEIGHT_DECAY), "--eps", str(EPS)]
    flags += ["--beta1", str(BETAS[0]), "--beta2", str(BETAS[1])]
    flags += ["--dataset-type", "synthetic", "--train-num-samples", str(batch_size)]
    return load([*flags, "--compile"] if device.type == "cuda" else flags)


def _batch(token_BL: torch.Tensor, image_size: int, device: torch.device) -> Batch:
    """Pictures on the device; tokens on the CPU, where the trainer compares them for each step."""
    num = len(token_BL)
    image_BHWC = torch.randint(0, 256, (num, image_size, image_size, 3), dtype=torch.uint8, device=device)
    number_B = torch.arange(num)
    return Batch(image_BHWC, trimmed_tokens(token_BL), number_B, number_B, {}, None)


def run_open_clip(
    model: str, token_batches: Sequence[torch.Tensor], device: torch.device, lengths: Lengths
) -> list[float]:
    """Seconds per step of each window."""
    batch_size = len(token_batches[0])
    made: tuple[Any, Any, Any] = open_clip.create_model_and_transforms(
        model, precision="amp_bf16", device=device, output_dict=True
    )
    module = made[0]
    groups = parameter_groups(module, WEIGHT_DECAY)  # the same two as its main.py makes
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=BETAS, eps=EPS)
    batches = [
        (torch.randn(batch_size, 3, *module.visual.image_size, device=device), one.long().to(device))
        for one in token_batches
    ]
    timed = Timed(batches, lengths, device, batch_size)
    data = {"train": SimpleNamespace(dataloader=timed, set_epoch=lambda epoch: None)}
    loss = open_clip.ClipLoss(cache_labels=True)
    schedule = cosine_lr(optimizer, LR, 0, lengths.total)
    train_one_epoch(module, data, loss, 0, optimizer, None, schedule, None, _arguments(device, batch_size))
    return timed.step_s


def _arguments(device: torch.device, batch_size: int) -> SimpleNamespace:
    """open_clip_train's defaults, as far as its loop reads them."""
    return SimpleNamespace(
        device=str(device),
        precision="amp_bf16",
        accum_freq=1,
        batch_size=batch_size,
        distill=False,
        grad_clip_norm=None,
        horovod=False,
        log_every_n_steps=100,
        rank=0,
        save_logs=False,
        skip_scheduler=False,
        wandb=False,
        world_size=1,
    )


RUN: dict[str, Callable[..., list[float]]] = {"taxaflow": run_ours, OPEN_CLIP: run_open_clip}


def measure_side(side: str, model: str, sizes: Sequence[int], device: torch.device, lengths: Lengths) -> StepRun:
    """One side at the first of these batches that fits.

    Raises:
        torch.OutOfMemoryError: none fits.
    """
    for size in worth_trying(model, sizes, device):
        token_batches = draw_texts(model, NUM_BATCHES, size)
        torch.compiler.reset()  # or the batch would be a size that changes, which compiles to slower code
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        try:
            step_s = RUN[side](model, token_batches, device, lengths)
        except torch.OutOfMemoryError:
            if size == sizes[-1]:
                raise
        else:
            return _figures(side, model, token_batches, device, step_s)
        gc.collect()  # outside of the handler, which holds the failed step's tensors
        torch.cuda.empty_cache()
    raise AssertionError("no batch size was given")


def worth_trying(model: str, sizes: Sequence[int], device: torch.device) -> Sequence[int]:
    """The sizes without those that cannot fit; the smallest is always there."""
    if device.type != "cuda" or model not in LEAST_MB_PER_PAIR:
        return sizes
    most = torch.cuda.get_device_properties(device).total_memory / (LEAST_MB_PER_PAIR[model] * 1e6)
    return [size for size in sizes if size <= most] or sizes[-1:]


def _figures(
    side: str, model: str, token_batches: Sequence[torch.Tensor], device: torch.device, step_s: list[float]
) -> StepRun:
    batch_size = len(token_batches[0])
    trimmed = [distinct(trimmed_tokens(token_BL)).token_VL for token_BL in token_batches]
    shape = open_clip.get_model_config(model)
    flops = model_flops(shape) if shape is not None else None
    if side == OPEN_CLIP:
        encoded = [(batch_size, token_BL.shape[1]) for token_BL in token_batches]
    else:
        encoded = [(token_VL.shape[0], token_VL.shape[1]) for token_VL in trimmed]
    done = flops and sum(train_flops(flops, batch_size, *texts) for texts in encoded) / len(encoded)
    is_cuda = device.type == "cuda"
    tokens = sum(int((token_BL != 0).sum()) for token_BL in token_batches) / (batch_size * len(token_batches))
    return StepRun(
        device=torch.cuda.get_device_name(device) if is_cuda else device.type,
        model=model,
        side=side,
        batch_size=batch_size,
        step_s=step_s,
        mfu=mfu(done, sorted(step_s)[len(step_s) // 2], peak_flops(device)),
        peak_mb=torch.cuda.max_memory_allocated(device) / 2**20 if is_cuda else 0.0,
        texts=f"{encoded[0][0]} of {encoded[0][1]} tokens (mean length {tokens:.0f})",
    )


def main() -> None:
    """Measure and print a StepRun as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.train_step", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--side", choices=tuple(RUN), required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--batch-sizes", type=int, nargs="+", required=True)
    parser.add_argument("--device", default="cuda")
    for name, value in asdict(Lengths()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    given = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = True  # as both sides' command lines do
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    lengths = Lengths(given.warm_up, given.windows, given.steps)
    print(
        json.dumps(
            asdict(measure_side(given.side, given.model, given.batch_sizes, torch.device(given.device), lengths))
        )
    )


if __name__ == "__main__":
    main()
