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
from trainer.tuning.leftovers import STOP, STORAGE
from trainer.tuning.ray_session import session
from trainer.tuning.rungs import Schedule
from trainer.tuning.signals import Asked
from trainer.tuning.trainable import REFUSED, SPEC, STATUS, Rungs, TrialActor
from trainer.tuning.trial_folder import TrialFolder
from trainer.tuning.trial_run import Spec

_TRIES = 3
"""Processes of a trial that may end in failure until it is left for the next start of the search."""

_SAVING_S = 600.0
"""The longest that trials are waited for that save after a stop."""


class _Watch(Stopper, Callback):
    """Has trials end when the search is asked to or one is refused; tells of every trial that is done.

    Attributes:
        refused: what the trainer said to settings that all trials share.
    """

    def __init__(
        self, out: Path, trials: Sequence[TrialFolder], asked: Asked, tell: Callable[[TrialFolder], None]
    ) -> None:
        self.refused: str | None = None
        self._out = out
        self._trials = trials
        self._asked = asked
        self._tell = tell

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never ends a single trial."""
        self.refused = self.refused or result.get(REFUSED)
        return False

    def stop_all(self) -> bool:
        """Whether the search is to end and no trial runs; those that do are told to save, which Ray would give 5 s."""
        if not (self._asked.to_stop or self.refused is not None):
            return False
        (self._out / STOP).touch()
        return not any(files.is_running() for files in self._trials)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tell of a trial that has its result, or that the scheduler has stopped."""
        files = trial.config[SPEC].files
        if STATUS in (trial.last_result or {}) or files.stop_decision() is not None:
            self._tell(files)


def search(
    config: settings.TuneConfig,
    specs: Sequence[Spec],
    done: Sequence[TrialFolder],
    schedule: Schedule,
    asked: Asked,
    tell: Callable[[TrialFolder], None],
) -> None:
    """Run trials until they have results, or until asked to stop; then all processes have saved and ended.

    Args:
        config: of the search.
        specs: the trials without a result.
        done: those with one, which the scheduler takes into account.
        schedule: of all trials.
        asked: whether to stop.
        tell: is called with each trial that is done.

    Raises:
        BadInputError: the trainer refuses the settings, or the cluster cannot be used.
        WorkFailedError: Ray failed.
    """
    watch = _Watch(config.out_dir, [spec.files for spec in specs], asked, tell)
    try:
        with session(config) as cpus_per_trial:
            asked.listen()  # Ray takes SIGTERM when it starts
            _tuner(config, specs, cpus_per_trial, _scheduler(config, done, schedule), watch).fit()
    except tune.TuneError as error:
        raise WorkFailedError(f"Ray Tune failed: {' '.join(str(error).split())[:300]}") from error
    except SystemExit as error:
        if error.code != signal.SIGTERM:  # what Ray makes of that while it starts
            raise WorkFailedError("Ray ended itself; --debug shows more") from error
        asked.to_stop = True
    _wait_until_saved([spec.files for spec in specs])
    if watch.refused is not None:
        raise BadInputError(watch.refused)


def _tuner(
    config: settings.TuneConfig, specs: Sequence[Spec], cpus_per_trial: int, scheduler: Rungs | None, watch: _Watch
) -> tune.Tuner:
    """Ray's search, each trial of which is a spec."""
    return tune.Tuner(
        tune.with_resources(TrialActor, {"cpu": cpus_per_trial, "gpu": config.gpus_per_trial}),
        param_space={SPEC: tune.grid_search(list(specs))},
        tune_config=TuneConfig(scheduler=scheduler, reuse_actors=True),
        run_config=RunConfig(
            name="ray",
            storage_path=str(config.out_dir / STORAGE),
            stop=watch,
            callbacks=[watch],
            failure_config=FailureConfig(max_failures=_TRIES - 1),
            checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )


def _scheduler(config: settings.TuneConfig, done: Sequence[TrialFolder], schedule: Schedule) -> Rungs | None:
    """The rungs, with what was seen at them before; None for a random search."""
    if config.scheduler != settings.ASHA:
        return None
    rungs = Rungs(schedule, config.reduction_factor)
    for files in done:
        result = files.result()
        assert result is not None
        rungs.remember(result, [one for one in files.evaluations(config.metric) if one[0] < schedule.total_steps])
    return rungs


def _wait_until_saved(trials: Sequence[TrialFolder]) -> None:
    """Return when no process of these trials runs any more."""
    until = time.monotonic() + _SAVING_S
    while any(files.is_running() for files in trials) and time.monotonic() < until:
        time.sleep(0.1)
