"""A trial as Ray Tune sees it, and the scheduler that may stop it. The only two classes here that Ray calls."""

from types import SimpleNamespace
from typing import Any

from ray.tune import Trainable
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from taxonomy.errors import BadInputError
from trainer.tuning.rungs import Schedule
from trainer.tuning.space import DEFAULT
from trainer.tuning.trial_folder import FAILED, Result
from trainer.tuning.trial_run import Spec, TrialRun

SPEC, STEP, METRIC, STATUS, REFUSED = "spec", "trained_steps", "metric", "trial_status", "refused"
"""Keys of what Ray passes on."""

_PATIENCE_S = 1.0
"""For so long a look at a trial may take, so that it can be stopped in between."""


class TrialActor(Trainable):
    """Runs one trial after the other, each as processes of the trainer, where Ray has room for it."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begin a trial or go on with it."""
        self._run = TrialRun(config[SPEC])

    def step(self) -> dict[str, Any]:
        """What is new; empty where nothing is.

        Raises:
            WorkFailedError: the process ended before its time; Ray tries again.
        """
        try:
            news = self._run.news(_PATIENCE_S)
        except BadInputError as error:
            return {REFUSED: str(error), "done": True}
        if news.has_ended:
            return {"done": True}
        if (result := news.result) is not None:
            return {STEP: result.steps, STATUS: result.status, "done": True} | _measured(result.metric)
        return {} if news.step is None else {STEP: news.step} | _measured(news.metric)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial: a new process of Ray's takes seconds."""
        self._run.end()
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """End the trial's process, which saves."""
        self._run.end()


def _measured(metric: float | None) -> dict[str, float]:
    return {} if metric is None else {METRIC: metric}


class Rungs(ASHAScheduler):
    """Asynchronous successive halving that never stops the default, which the best is compared with.

    At a rung a trial goes on if its metric is among the best 1/reduction_factor of those seen there so far.
    Source: Li et al., arXiv 1810.05934.

    Args:
        schedule: when trials may be stopped.
        reduction_factor: of trials and steps.
    """

    def __init__(self, schedule: Schedule, reduction_factor: int) -> None:
        super().__init__(STEP, METRIC, "max", schedule.total_steps, schedule.rungs[0], reduction_factor)

    def remember(self, result: Result, evaluations: list[tuple[int, float]]) -> None:
        """Take a trial of an earlier life into account."""
        trial: Any = SimpleNamespace(trial_id=f"earlier-{result.trial}")
        if result.status == FAILED and not evaluations:
            return
        self.on_trial_add(None, trial)  # pyright: ignore[reportArgumentType] it uses the trial's name alone
        for step, value in evaluations:
            super().on_trial_result(None, trial, {STEP: step, METRIC: value})  # pyright: ignore[reportArgumentType]

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether the trial goes on; that it does not is written to its folder first."""
        decision = super().on_trial_result(tune_controller, trial, result)
        spec: Spec = trial.config[SPEC]
        if decision != TrialScheduler.STOP or spec.number == DEFAULT:
            return TrialScheduler.CONTINUE
        step, value = result[STEP], result[METRIC]
        reason = f"at step {step:,} behind most trials: {spec.metric} {value:.4g}"
        spec.files.decide_to_stop(step, value, reason)
        return decision
