"""When a run is saved, and what a checkpoint of it holds."""

import time
from typing import TYPE_CHECKING, Any

from taxonomy.errors import WorkFailedError
from trainer.checkpoints.checkpoint import CheckpointContent, save
from trainer.checkpoints.published_checkpoint import LATEST, epoch_file, save_published
from trainer.checkpoints.rng_state import rng_state
from trainer.distributed import from_first, gather_objects
from trainer.record.run_folder import RunFolder
from trainer.settings.config import TrainConfig

if TYPE_CHECKING:
    from trainer.loop import Run


class Saver:
    """Saves a run when it is due.

    Args:
        config: says when.
        folder: says where.
        facts: what state.json has beside the run's progress, JSON-able.
    """

    def __init__(self, config: TrainConfig, folder: RunFolder, facts: dict[str, Any]) -> None:
        self._config = config
        self._folder = folder
        self._facts = facts
        self._saved_step: int | None = None
        self._saved_at = time.monotonic()

    def is_due(self, step: int, ended_epoch: int | None) -> bool:
        """Whether a checkpoint is due after a step; `ended_epoch` is the number of epochs done where it ends one."""
        config = self._config
        if config.save_steps is not None and step % config.save_steps == 0:
            return True
        if ended_epoch is None:
            return False
        by_frequency = config.save_frequency > 0 and ended_epoch % config.save_frequency == 0
        return by_frequency or config.save_most_recent

    def is_due_by_time(self) -> bool:
        """Whether the minutes between two checkpoints are over, by this process's clock."""
        minutes = self._config.save_minutes
        return minutes is not None and time.monotonic() - self._saved_at >= 60 * minutes

    def save(self, run: "Run") -> None:
        """Save the run as it stands; all ranks call it. A step is saved once.

        Raises:
            WorkFailedError: on all ranks, if rank 0 could not write.
        """
        if self._saved_step == run.step:
            return
        run.updater.judge()
        run.meter.add_losses(run.updater.take_losses())
        per_rank = gather_objects(_rank_state(run), run.ranks)
        error = None
        if per_rank is not None:
            try:
                self._write(run, per_rank)
            except WorkFailedError as failure:
                error = failure
        if (error := from_first(error, run.ranks)) is not None:
            raise error  # the same on all ranks, so that the launcher repeats the reason whichever ends first
        self._saved_step, self._saved_at = run.step, time.monotonic()

    def _write(self, run: "Run", per_rank: list[dict[str, Any]]) -> None:
        scaler = run.updater.scaler
        content = CheckpointContent(
            model_state=run.model.module.state_dict(),
            optimizer_state=run.updater.optimizer.state_dict(),
            scaler_state=None if scaler is None else scaler.state_dict(),
            state=self._facts | _progress(run),
            per_rank=per_rank,
        )
        best = run.best.get("step")
        save(self._folder.checkpoints, run.step, content, self._keep_last(), None if best is None else int(best))
        if self._config.format == "open_clip":
            self._write_published(run, content)

    def _write_published(self, run: "Run", content: CheckpointContent) -> None:
        names = [epoch_file(run.epoch)] if run.step % run.steps_per_epoch == 0 else []
        names += [LATEST] if self._config.save_most_recent or not names else []
        for name in names:
            save_published(self._folder.checkpoints / name, content, run.epoch, self._folder.name)

    def _keep_last(self) -> int | None:
        if self._config.delete_previous_checkpoint:
            return 1
        return self._config.keep_last or None


def _rank_state(run: "Run") -> dict[str, Any]:
    return {"position": run.data.position(), "meter": run.meter.state(), "rng": rng_state(run.ranks.device)}


def _progress(run: "Run") -> dict[str, Any]:
    config = run.config
    return {
        "step": run.step,
        "epoch": run.epoch,
        "samples_seen": run.step * config.batch_size * config.accum_freq * run.ranks.size,
        "guard": run.updater.guard.state(),
        "best": run.best,
        "owes_evaluation": run.owes_evaluation,
    }
