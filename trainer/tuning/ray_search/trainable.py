"""A trial as Ray Tune sees it."""

from typing import Any

from ray.tune import Trainable

from taxonomy.errors import BadInputError
from trainer.tuning.trials.process import TrialProcess

SPEC, STEP, METRIC, STATUS, REFUSED = "spec", "trained_steps", "metric", "trial_status", "refused"
"""Keys of what Ray passes on."""

_POLL_TIMEOUT_S = 1.0
"""For so long a look at a trial may take, so that it can be stopped in between."""


class TrialActor(Trainable):
    """Runs one trial after the other, each as processes of the trainer, where Ray has room for it."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begin a trial or go on with it."""
        self._trial = TrialProcess(config[SPEC])

    def step(self) -> dict[str, Any]:
        """What is new; empty where nothing is.

        Raises:
            WorkFailedError: the process ended before its time; Ray tries again.
        """
        try:
            update = self._trial.poll(_POLL_TIMEOUT_S)
        except BadInputError as error:
            return {REFUSED: str(error), "done": True}
        if update.was_stopped:
            return {"done": True}
        if (result := update.result) is not None:
            return {STEP: result.steps, STATUS: result.status, "done": True} | _measured(result.metric)
        return {} if update.step is None else {STEP: update.step} | _measured(update.metric)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial: a new process of Ray's takes seconds."""
        self._trial.end()
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """End the trial's process, which saves."""
        self._trial.end()


def _measured(metric: float | None) -> dict[str, float]:
    return {} if metric is None else {METRIC: metric}
