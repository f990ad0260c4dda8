"""ASHA as a search uses it: the default is never stopped, and what was seen before a restart counts."""

from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from trainer.tuning.plan.schedule import Schedule
from trainer.tuning.plan.space import DEFAULT_TRIAL
from trainer.tuning.ray_search.trainable import METRIC, SPEC, STEP
from trainer.tuning.trials.folder import FAILED, TrialResult
from trainer.tuning.trials.spec import TrialSpec


class SparingASHA(ASHAScheduler):
    """Asynchronous successive halving that never stops the default, which the best is compared with.

    At a rung a trial goes on if its metric is among the best 1/reduction_factor of those seen there so far.
    Source: Li et al., arXiv 1810.05934.

    Args:
        schedule: when trials may be stopped.
        reduction_factor: of trials and steps.
    """

    def __init__(self, schedule: Schedule, reduction_factor: int) -> None:
        super().__init__(STEP, METRIC, "max", schedule.total_steps, schedule.rungs[0], reduction_factor)

    def replay(self, result: TrialResult, evaluations: list[tuple[int, float]]) -> None:
        """Take a trial of an earlier start of the search into account."""
        trial: Any = SimpleNamespace(trial_id=f"earlier-{result.trial}")
        if result.status == FAILED and not evaluations:
            return
        self.on_trial_add(None, trial)  # pyright: ignore[reportArgumentType] it uses the trial's name alone
        for step, value in evaluations:
            super().on_trial_result(None, trial, {STEP: step, METRIC: value})  # pyright: ignore[reportArgumentType]

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether the trial goes on; that it does not is written to its folder first."""
        decision = super().on_trial_result(tune_controller, trial, result)
        spec: TrialSpec = trial.config[SPEC]
        if decision != TrialScheduler.STOP or spec.number == DEFAULT_TRIAL:
            return TrialScheduler.CONTINUE
        step, value = result[STEP], result[METRIC]
        reason = f"at step {step:,} behind most trials: {spec.metric} {value:.4g}"
        spec.files.write_early_stop(step, value, reason)
        return decision
