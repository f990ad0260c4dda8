"""One run from its settings to its end: all checks, then the run's folder, then the loop.

Until the folder is claimed nothing is written, so that bad input leaves nothing behind.
"""

import dataclasses
import functools
import json
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import torch

from evaluation.loading.facts import ModelFacts
from evaluation.model import get_tokenizer
from taxonomy.errors import TaxaflowError, WorkFailedError
from trainer import distributed
from trainer.checkpoints import resume
from trainer.checkpoints.checkpoint import load, remove_leftovers, set_aside_newer
from trainer.checkpoints.resume import Resumed
from trainer.checkpoints.rng_state import set_rng_state
from trainer.checkpoints.saver import Saver
from trainer.data.batch import DataSettings, TrainData
from trainer.data.open_data import data_settings, open_data
from trainer.distributed import Ranks
from trainer.loop import Run, train
from trainer.record.meter import Meter
from trainer.record.reports import ReportSettings, check_reports, open_reports
from trainer.record.run_folder import RunFolder, default_name
from trainer.record.run_log import RunLog
from trainer.record.start_check import first_lines
from trainer.settings.config import TrainConfig, check_device, check_ranks, notices
from trainer.steps.guard import Guard
from trainer.steps.model import TrainedModel, begin_alike, make_model, model_facts, step_settings
from trainer.steps.optim import AdamWSettings, LrSchedule, make_optimizer
from trainer.steps.update import Updater
from trainer.stop import StopSignals
from trainer.validation import Validation

Thing = TypeVar("Thing")


def run(config: TrainConfig) -> None:
    """Train as the settings say; returns when the run is done, or saved after it was asked to stop.

    Raises:
        BadInputError: nothing was written.
        WorkFailedError: the last good checkpoint is kept.
        KeyboardInterrupt: it was asked to stop by Ctrl-C, and is saved.
    """
    stop = StopSignals()
    ranks = distributed.start(config.dist_backend, config.device_name, config.dist_url, not config.no_set_device_rank)
    try:
        _run(config, ranks, stop)
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        reason = " ".join(str(error).split())
        raise WorkFailedError(f"a loader process died, often for want of memory: {reason}") from error
    distributed.stop(ranks)  # not after an error: the others may wait in a collective
    if stop.was_interrupted:
        raise KeyboardInterrupt


def _run(config: TrainConfig, ranks: Ranks, stop: StopSignals) -> None:
    folder = _folder(config, ranks)
    kinds, facts, settings = on_all_ranks(lambda: _checked(config, folder, ranks), ranks)
    data = None
    try:
        resumed, remarks = _resumed(config, folder, ranks)
        position = resumed.position(ranks) if resumed else None
        data = on_all_ranks(lambda: open_data(config, settings, ranks, position), ranks)
        validation = on_all_ranks(lambda: Validation.open(config, facts, settings, ranks), ranks)
        model = on_all_ranks(lambda: make_model(config, ranks), ranks)
        begin_alike(model, config, ranks)
        run = _assembled(config, model, data, validation, folder, stop)
        if resumed is not None:
            remarks += filter(None, [resume.check_facts(resumed, facts, config.force)])
            remarks += resume.changes(resumed, config)
            on_all_ranks(functools.partial(_put_back, run, resumed), ranks)
            resumed = resumed.without_tensors()
        if run.step >= run.total_steps and not run.owes_evaluation:
            if ranks.is_first:
                print(f"nothing to do: all {run.total_steps:,} steps are done", file=sys.stderr)
            return
        _claim(run, resumed, folder, kinds)
        _train_logged(run, [*notices(config, ranks.size), *remarks, *first_lines(run, settings)])
    finally:
        if data is not None:
            data.close()
        folder.release()


def _checked(config: TrainConfig, folder: RunFolder, ranks: Ranks) -> tuple[tuple[str, ...], ModelFacts, DataSettings]:
    """What can be checked without data and weights: where to report, the model's facts, how to make batches."""
    check_device(config, ranks.device.type)
    check_ranks(config, ranks.size)
    kinds = check_reports(config.report_to)
    folder.check(config.resume)
    _set_up_torch(config, ranks)
    facts = model_facts(config)
    return kinds, facts, data_settings(config, facts, get_tokenizer(facts), ranks.device)


def on_all_ranks(work: Callable[[], Thing], ranks: Ranks) -> Thing:
    """What `work` gives here; if it fails on any rank, as with a file that one machine lacks, all end with its line."""
    things: list[Thing] = []
    error = None
    try:
        things = [work()]
    except TaxaflowError as failure:
        error = failure
    errors = distributed.gather_objects(error, ranks) or []
    raise_together(next(filter(None, errors), None), ranks)
    return things[0]


def raise_together(error: TaxaflowError | None, ranks: Ranks) -> None:
    """Raise on all ranks what rank 0 brings, marked as what rank 0 says for all."""
    error = distributed.from_first(error, ranks)
    if error is not None:
        error.is_said_by_first = True  # pyright: ignore[reportAttributeAccessIssue]
        raise error


def _put_back(run: Run, resumed: Resumed) -> None:
    """Weights, optimizer, generators and account as at the checkpoint; all that a step depends on."""
    state = resumed.content.state
    resume.restore(resumed, run.model.module, run.updater.optimizer)
    if run.updater.scaler is not None and resumed.content.scaler_state is not None:
        run.updater.scaler.load_state_dict(dict(resumed.content.scaler_state))
    run.updater.guard.load(state["guard"])
    run.best = state["best"]
    run.step = resumed.step(run.steps_per_epoch)
    if resumed.at_epoch:
        return
    run.owes_evaluation = state["owes_evaluation"]
    if (meter := resumed.meter(run.ranks)) is not None:
        run.meter.load(meter)
    if (own := resumed.of_rank(run.ranks)) is not None:
        set_rng_state(own["rng"], run.ranks.device)


def _claim(run: Run, resumed: Resumed | None, folder: RunFolder, kinds: tuple[str, ...]) -> None:
    """Take the folder and open the log on rank 0; if that fails, all ranks end."""
    config, error = run.config, None
    if run.ranks.is_first:
        try:
            goes_on = resumed is not None or folder.has_begun  # also one killed before its first checkpoint
            folder.claim(config.resume, config.to_toml())
            last = run.step if goes_on else None
            reports = open_reports(_report_settings(config, folder, kinds), last)
            run.log = RunLog(folder.train_log, reports, run.total_steps, run.ranks.size, last)
        except TaxaflowError as failure:
            error = failure
    raise_together(error, run.ranks)
    if resumed is not None and (resumed.at_epoch or not folder.goes_on(config.resume)):
        run.saver.save(run)  # before later ones are hidden, so that this run always has one to go on from
    if run.ranks.is_first and folder.goes_on(config.resume):
        set_aside_newer(folder.checkpoints, run.step)


def _train_logged(run: Run, said: list[str]) -> None:
    if run.log is None:
        train(run)
        return
    with run.log:
        for line in said:
            run.log.say(line)
        done = train(run)
        run.log.event("done" if done else "stopped", run.step)
        run.log.say(
            f"done: {run.step:,} steps" if done else f"stopped at step {run.step:,}, saved; go on with --resume latest"
        )


def _folder(config: TrainConfig, ranks: Ranks) -> RunFolder:
    """The run's folder; a default name has the time in it, which rank 0 reads."""
    name = config.name or default_name(config.model, config.lr, config.batch_size, datetime.now())
    return RunFolder(Path(config.logs), distributed.from_first(name, ranks))


def _set_up_torch(config: TrainConfig, ranks: Ranks) -> None:
    if ranks.device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        ranks_here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // ranks_here - config.workers))
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.benchmark = not config.deterministic
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs for it
        torch.use_deterministic_algorithms(True)


def _resumed(config: TrainConfig, folder: RunFolder, ranks: Ranks) -> tuple[Resumed | None, list[str]]:
    """The checkpoint to go on from, and lines to say; rank 0, holding the run, looks for it, the others read it."""

    def found() -> tuple[Path | None, list[str]]:
        if not ranks.is_first:
            return None, []
        if folder.goes_on(config.resume):
            folder.hold()
            remove_leftovers(folder.checkpoints)
        return resume.find(config, folder)

    path, remarks = distributed.from_first(on_all_ranks(found, ranks), ranks)
    if path is None:
        return None, remarks
    content = on_all_ranks(lambda: load(path, verify=config.resume != "latest"), ranks)
    return Resumed(path, content, config.resume_at == "epoch"), remarks


def _assembled(
    config: TrainConfig,
    model: TrainedModel,
    data: TrainData,
    validation: Validation,
    folder: RunFolder,
    stop: StopSignals,
) -> Run:
    ranks = validation.ranks
    steps_per_epoch = data.batches_per_epoch // config.accum_freq
    total_steps = min(config.epochs * steps_per_epoch, config.max_steps or config.epochs * steps_per_epoch)
    optimizer = make_optimizer(
        model.module, AdamWSettings(config.lr, config.wd, config.beta1, config.beta2, config.eps)
    )
    scaler = torch.amp.GradScaler(ranks.device.type) if config.precision == "amp" else None
    at_once = ranks.device.type != "cuda" or config.spike_factor is not None
    updater = Updater(optimizer, model.parts, Guard(config.spike_factor), config.grad_clip_norm, scaler, at_once)
    facts = {"model_facts": model.facts.to_dict(), "config": json.loads(json.dumps(dataclasses.asdict(config)))}
    return Run(
        config=config,
        ranks=ranks,
        model=model,
        data=data,
        settings=step_settings(config, model, scaler),
        updater=updater,
        schedule=_schedule(config, steps_per_epoch, total_steps),
        meter=Meter(),
        saver=Saver(config, folder, facts),
        stop=stop,
        validation=validation,
        log=None,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
    )


def _schedule(config: TrainConfig, steps_per_epoch: int, total_steps: int) -> LrSchedule:
    return LrSchedule(
        kind="none" if config.skip_scheduler else config.lr_scheduler,  # pyright: ignore[reportArgumentType] checked
        base_lr=config.lr,
        warmup_steps=config.warmup,
        total_steps=total_steps,
        cooldown_steps=(config.epochs_cooldown or 0) * steps_per_epoch,
        cooldown_power=config.lr_cooldown_power,
        cooldown_end=config.lr_cooldown_end,
    )


def _report_settings(config: TrainConfig, folder: RunFolder, kinds: tuple[str, ...]) -> ReportSettings:
    return ReportSettings(
        kinds=kinds,
        run_name=folder.name,
        run_folder=folder.path,
        tensorboard_folder=folder.tensorboard,
        wandb_project=config.wandb_project_name,
        wandb_notes=config.wandb_notes,
        config=dataclasses.asdict(config),
    )
