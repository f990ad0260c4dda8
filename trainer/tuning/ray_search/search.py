"""The search itself: Ray Tune runs the trials that are not done, here or on a cluster, until it is asked to stop."""

import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig, Stopper, TuneConfig

from taxonomy.errors import BadInputError, WorkFailedError
from trainer.tuning import config as settings
from trainer.tuning.plan.schedule import Schedule
from trainer.tuning.ray_search.leftovers import STORAGE, core_processes, has_ended
from trainer.tuning.ray_search.scheduler import SparingASHA
from trainer.tuning.ray_search.session import session
from trainer.tuning.ray_search.stop_request import StopRequest
from trainer.tuning.ray_search.trainable import REFUSED, SPEC, STATUS, TrialActor
from trainer.tuning.trials.folder import TrialFolder
from trainer.tuning.trials.spec import STOP, TrialSpec

_MAX_TRIES = 3
"""Processes of a trial that may end in failure until it is left for the next start of the search."""

_SAVE_TIMEOUT_S = 600.0
"""The longest that trials are waited for that save after a stop."""


class _SearchCallback(Stopper, Callback):
    """Has trials end when the search is asked to or one is refused; tells of every trial that is done.

    Attributes:
        refused: what the trainer said to settings that all trials share.
    """

    def __init__(
        self,
        out: Path,
        trials: Sequence[TrialFolder],
        stop_request: StopRequest,
        on_done: Callable[[TrialFolder], None],
    ) -> None:
        self.refused: str | None = None
        self._out = out
        self._trials = trials
        self._stop_request = stop_request
        self._on_done = on_done
        self._core_processes = core_processes(out)

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Notice that Ray is gone, for whose answers Tune would wait for good.

        Raises:
            WorkFailedError: it is.
        """
        if any(has_ended(process) for process in self._core_processes):
            raise WorkFailedError("Ray's processes were killed; run the same command again to go on")

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never ends a single trial."""
        self.refused = self.refused or result.get(REFUSED)
        return False

    def stop_all(self) -> bool:
        """Whether the search is to end and no trial runs; those that do are told to save, which Ray would give 5 s."""
        if not (self._stop_request.is_set or self.refused is not None):
            return False
        (self._out / STOP).touch()
        return not any(files.is_running() for files in self._trials)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tell of a trial that has its result, or that the scheduler has stopped."""
        files = trial.config[SPEC].files
        if STATUS in (trial.last_result or {}) or files.early_stop() is not None:
            self._on_done(files)


def search(
    config: settings.TuneConfig,
    specs: Sequence[TrialSpec],
    done: Sequence[TrialFolder],
    schedule: Schedule,
    stop_request: StopRequest,
    on_done: Callable[[TrialFolder], None],
) -> None:
    """Run trials until they have results, or until asked to stop; then all processes have saved and ended.

    Args:
        config: of the search.
        specs: the trials without a result.
        done: those with one, which the scheduler takes into account.
        schedule: of all trials.
        stop_request: whether to stop.
        on_done: is called with each trial that is done.

    Raises:
        BadInputError: the trainer refuses the settings, or the cluster cannot be used.
        WorkFailedError: Ray failed.
    """
    refused = None
    try:
        with session(config) as cpus_per_trial:
            stop_request.listen()  # Ray takes SIGTERM when it starts
            callback = _SearchCallback(config.out_dir, [spec.files for spec in specs], stop_request, on_done)
            _tuner(config, specs, cpus_per_trial, _scheduler(config, done, schedule), callback).fit()
            refused = callback.refused
    except tune.TuneError as error:
        raise WorkFailedError(f"Ray Tune failed: {' '.join(str(error).split())[:300]}") from error
    except SystemExit as error:
        if error.code != signal.SIGTERM:  # what Ray makes of that while it starts
            raise WorkFailedError("Ray ended itself; --debug shows more") from error
        stop_request.is_set = True
    _wait_until_saved([spec.files for spec in specs])
    if refused is not None:
        raise BadInputError(refused)


def _tuner(
    config: settings.TuneConfig,
    specs: Sequence[TrialSpec],
    cpus_per_trial: int,
    scheduler: SparingASHA | None,
    callback: _SearchCallback,
) -> tune.Tuner:
    """Ray's search, each trial of which is a spec."""
    return tune.Tuner(
        tune.with_resources(TrialActor, {"cpu": cpus_per_trial, "gpu": config.gpus_per_trial}),
        param_space={SPEC: tune.grid_search(list(specs))},
        tune_config=TuneConfig(scheduler=scheduler, reuse_actors=True),
        run_config=RunConfig(
            name="ray",
            storage_path=str(config.out_dir / STORAGE),
            stop=callback,
            callbacks=[callback],
            failure_config=FailureConfig(max_failures=_MAX_TRIES - 1),
            checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )


def _scheduler(config: settings.TuneConfig, done: Sequence[TrialFolder], schedule: Schedule) -> SparingASHA | None:
    """ASHA, with what was seen at its rungs before; None for a random search."""
    if config.scheduler != settings.ASHA:
        return None
    scheduler = SparingASHA(schedule, config.reduction_factor)
    for files in done:
        result = files.result()
        assert result is not None
        scheduler.replay(result, [one for one in files.evaluations(config.metric) if one[0] < schedule.total_steps])
    return scheduler


def _wait_until_saved(trials: Sequence[TrialFolder]) -> None:
    """Return when no process of these trials runs any more."""
    until = time.monotonic() + _SAVE_TIMEOUT_S
    while any(files.is_running() for files in trials) and time.monotonic() < until:
        time.sleep(0.1)
