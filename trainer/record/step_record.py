"""One logged step: its line of train.jsonl, its published scalars, its line for people."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trainer.record.meter import Window

DATA_BOUND_SHARE = 0.2
"""Above it, faster data would help more than a faster GPU."""


@dataclass(frozen=True)
class StepRecord:
    """A line of train.jsonl.

    Attributes:
        step: updates so far, skipped ones included; the first line has 1 or more.
        epoch: passes over the data so far, with its fraction.
        samples_seen: pictures of all ranks so far.
        loss: mean since the last line, over ranks and good steps; None where no step was good.
        lr: of the last step.
        logit_scale: what logits are multiplied by, 1 to 100.
        images_per_s: of all ranks.
        data_wait_share: of the time, 0 to 1, waited for batches.
        data_time_s: seconds per step of that.
        batch_time_s: seconds per step.
        mfu: share of the GPUs' bf16 peak, 0 to 1; None on a CPU or an unknown GPU.
        peak_memory_mb: MiB of the device's memory; None on a CPU.
        grad_norm: of the last step, before clipping; None where it was not measured.
        captions: kind -> pairs since the last line.
        bad_samples: reason -> samples since the last line.
        skipped_steps: bad steps of the run so far.
    """

    step: int
    epoch: float
    samples_seen: int
    loss: float | None
    lr: float
    logit_scale: float
    images_per_s: float
    data_wait_share: float
    data_time_s: float
    batch_time_s: float
    mfu: float | None = None
    peak_memory_mb: float | None = None
    grad_norm: float | None = None
    captions: Mapping[str, int] = field(default_factory=dict)
    bad_samples: Mapping[str, int] = field(default_factory=dict)
    skipped_steps: int = 0

    @property
    def verdict(self) -> str:
        """`data-bound` or `compute-bound`."""
        return "data-bound" if self.data_wait_share > DATA_BOUND_SHARE else "compute-bound"

    def line(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    def scalars(self, num_ranks: int) -> dict[str, float]:
        """The published names and ours; what is None is left out.

        Source: open_clip_train/train.py for all but the last seven.
        """
        values = {
            "loss": self.loss,
            "lr": self.lr,
            "scale": self.logit_scale,
            "samples_per_second": self.images_per_s,
            "samples_per_second_per_gpu": self.images_per_s / num_ranks,
            "data_time": self.data_time_s,
            "batch_time": self.batch_time_s,
            "epoch": self.epoch,
            "data_wait_share": self.data_wait_share,
            "mfu": self.mfu,
            "peak_memory_mb": self.peak_memory_mb,
            "grad_norm": self.grad_norm,
            "skipped_steps": self.skipped_steps,
            **{f"bad_samples/{reason}": number for reason, number in self.bad_samples.items()},
        }
        return {f"train/{name}": value for name, value in values.items() if value is not None}

    def text(self, total_steps: int) -> str:
        """`step 20 of 226, epoch 0.09, loss 4.1250, ..., 2 % data wait: compute-bound`."""
        parts = [
            f"step {self.step:,} of {total_steps:,}",
            f"epoch {self.epoch:.2f}",
            "loss none" if self.loss is None else f"loss {self.loss:.4f}",
            f"lr {self.lr:.2e}",
            f"scale {self.logit_scale:.2f}",
            f"{self.images_per_s:,.0f} images/s",
        ]
        if self.mfu is not None:
            parts.append(f"MFU {100 * self.mfu:.1f} %")
        if self.peak_memory_mb is not None:
            parts.append(f"{self.peak_memory_mb / 1024:.1f} GiB")
        parts += [f"{number:,} {reason}" for reason, number in sorted(self.bad_samples.items()) if number]
        if self.skipped_steps:
            parts.append(f"{self.skipped_steps} steps skipped")
        return ", ".join([*parts, f"{100 * self.data_wait_share:.0f} % data wait: {self.verdict}"])


def timing(window: Window, num_ranks: int) -> dict[str, float]:
    """The four fields of a `StepRecord` that say how fast it went, of ranks that work alike."""
    num_steps = max(window.timed_steps, 1)
    return {
        "images_per_s": window.images_per_s * num_ranks,
        "data_wait_share": window.data_wait_share,
        "data_time_s": window.wait_s / num_steps,
        "batch_time_s": window.wall_s / num_steps,
    }


def split_counts(counts: Mapping[str, float]) -> dict[str, dict[str, int]]:
    """The fields `captions` and `bad_samples` of a `StepRecord` from counts such as "caption/sci", "bad/no_caption"."""
    fields = {"captions": "caption/", "bad_samples": "bad/"}
    return {
        name: {key.removeprefix(prefix): int(counts[key]) for key in sorted(counts) if key.startswith(prefix)}
        for name, prefix in fields.items()
    }
