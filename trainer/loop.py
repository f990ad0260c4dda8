"""The training loop: a step, its update, then what is due: a logged line, an evaluation, a checkpoint, a stop."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from trainer.checkpoints.saver import Saver
from trainer.data.batch import Batch, TrainData
from trainer.distributed import Ranks, all_sum, any_rank
from trainer.record.meter import Meter
from trainer.record.run_log import RunLog
from trainer.record.step_record import StepRecord, split_counts, timing
from trainer.settings.config import TrainConfig
from trainer.steps.copies import steps_ahead
from trainer.steps.flops import ModelFlops, mfu, model_flops, peak_flops, train_flops
from trainer.steps.model import TrainedModel
from trainer.steps.optim import LrSchedule, lr_at, set_lr
from trainer.steps.step import StepInputs, StepSettings, train_step
from trainer.steps.update import Updater
from trainer.stop import StopSignals
from trainer.validation import Validation

ESTIMATE_AFTER_STEPS = 10
"""Steps until the time of an epoch is estimated: the first ones compile and fill buffers."""


@dataclass
class Run:
    """A run that is set up; `train` moves it on.

    Attributes:
        step: optimizer steps done, skipped ones included.
        steps_per_epoch: optimizer steps.
        total_steps: at which the run ends.
        log: of rank 0; None on the others.
        best: step and top-1 of the best evaluation of the first set; empty before one. Saving keeps its checkpoint.
        owes_evaluation: the one at the end of the last epoch, left out for a stop.
    """

    config: TrainConfig
    ranks: Ranks
    model: TrainedModel
    data: TrainData
    settings: StepSettings
    updater: Updater
    schedule: LrSchedule
    meter: Meter
    saver: Saver
    stop: StopSignals
    validation: Validation
    log: RunLog | None
    steps_per_epoch: int
    total_steps: int
    step: int = 0
    best: dict[str, float] = field(default_factory=dict)
    owes_evaluation: bool = False

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return self.step // self.steps_per_epoch


def train(run: Run) -> bool:
    """Train to the last step, or until asked to stop; whether the last step was reached. Either way, it is saved.

    Raises:
        WorkFailedError: too many bad steps, an unreadable shard or a checkpoint that cannot be written.
    """
    if run.owes_evaluation:
        _evaluate(run, run.step == run.total_steps)
        run.saver.save(run)
    started, first_step = time.monotonic(), run.step
    steps = steps_ahead(run.data.batches(), run.config.accum_freq, run.ranks.device)
    while run.step < run.total_steps:
        with run.meter.waiting():
            batches, inputs = next(steps)
        one_step(run, batches, inputs)
        if run.log is not None:
            run.log.progress(run.step)
        if run.step == first_step + ESTIMATE_AFTER_STEPS and run.log is not None:
            run.log.say(_estimate(run, (time.monotonic() - started) / ESTIMATE_AFTER_STEPS))
        if _do_what_is_due(run, inputs) and (run.step < run.total_steps or run.owes_evaluation):
            return False
    return True


def one_step(run: Run, batches: Sequence[Batch], inputs: StepInputs) -> None:
    """One optimizer step: forward, backward, update, and the account of it."""
    set_lr(run.updater.optimizer, lr_at(run.step, run.schedule))
    loss = train_step(run.model.parts, inputs, run.settings, run.ranks)
    run.updater.apply(loss)
    for batch in batches:
        run.data.trained_on(batch)
        run.meter.add(len(batch.taxon_B), batch.counts)
    run.meter.add_step()
    run.step += 1


def _do_what_is_due(run: Run, inputs: StepInputs) -> bool:
    """Log, evaluate, save; whether the run was asked to stop.

    Evaluation comes before saving, so that a run resumed at this step need not evaluate again; one that is asked to
    stop saves at once and owes the evaluation.
    """
    stopping = run.stop.on_any_rank(run.ranks)
    is_last = run.step == run.total_steps
    ends_epoch = run.step % run.steps_per_epoch == 0
    if run.step % run.config.log_every_n_steps == 0 or is_last:
        log_step(run, inputs)
    if ends_epoch or is_last:
        run.owes_evaluation = True
        if not stopping:
            with run.meter.paused():
                _evaluate(run, is_last)
            stopping = run.stop.on_any_rank(run.ranks)
    is_best = run.best.get("step") == run.step
    if stopping or is_last or is_best or _save_is_due(run, ends_epoch):
        with run.meter.paused():
            run.saver.save(run)
    return stopping


def _save_is_due(run: Run, ends_epoch: bool) -> bool:
    by_time = run.saver.is_due_by_time() and run.ranks.is_first
    if run.config.save_minutes is not None and any_rank(by_time, run.ranks):
        return True
    return run.saver.is_due(run.step, run.epoch if ends_epoch else None)


def _evaluate(run: Run, is_last: bool) -> None:
    run.owes_evaluation = False
    metrics = run.validation.measure(run.model, run.settings, run.epoch, is_last)
    if metrics and run.log is not None:
        run.log.evaluation(run.step, metrics)
    top1 = next((value for name, value in metrics.items() if name.endswith("-top1")), None)
    if top1 is not None and top1 > run.best.get("top1", -1.0):
        run.best = {"step": run.step, "top1": top1}


def log_step(run: Run, inputs: StepInputs) -> None:
    """Write the line of the steps since the last one. Waits for the device; all ranks call it."""
    run.updater.judge()
    window = run.meter.take(run.updater.take_losses())
    counts = all_sum(window.counts, run.ranks)
    if run.log is None:
        return
    global_batch = run.config.batch_size * run.config.accum_freq * run.ranks.size
    speed, parts = timing(window, run.ranks.size), split_counts(counts)
    run.log.step(
        StepRecord(
            step=run.step,
            epoch=run.step / run.steps_per_epoch,
            samples_seen=run.step * global_batch,
            loss=window.loss,
            lr=lr_at(run.step - 1, run.schedule),
            logit_scale=float(run.model.parts.logit_scale.detach().exp()),
            mfu=_mfu(run, inputs, speed["batch_time_s"]),
            peak_memory_mb=_peak_memory_mb(run.ranks.device),
            grad_norm=run.updater.last_norm,
            skipped_steps=run.updater.guard.skipped_steps,
            captions=parts["captions"],
            bad_samples=parts["bad_samples"],
            **speed,
        )
    )


def _mfu(run: Run, inputs: StepInputs, step_s: float) -> float | None:
    """Of the step just done, which stands for those since the last line."""
    model: ModelFlops | None = model_flops(run.model.facts.model_config)
    if model is None:
        return None
    num_images = sum(len(image_BHWC) for image_BHWC in inputs.images)
    num_texts, length = inputs.texts.token_VL.shape
    return mfu(train_flops(model, num_images, num_texts, length), step_s, peak_flops(run.ranks.device))


def _peak_memory_mb(device: torch.device) -> float | None:
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None


def _estimate(run: Run, step_s: float) -> str:
    remaining = (run.total_steps - run.step) * step_s
    return f"about {_duration(run.steps_per_epoch * step_s)} per epoch, {_duration(remaining)} to the end"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"
