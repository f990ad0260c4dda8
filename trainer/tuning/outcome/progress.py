"""What a search tells while it runs: a line per trial that is done, the best so far, and how long the rest may take."""

import sys
import time
from collections.abc import Mapping, Sequence

from trainer.tuning.outcome.best import best_trial
from trainer.tuning.page.words import duration
from trainer.tuning.trials.folder import FAILED, OK, STOPPED, TrialResult

_WORDS = {OK: "finished", STOPPED: "stopped", FAILED: "failed"}


class Progress:
    """Counts trials that are done and says so.

    Args:
        total: trials of the search.
        metric: its name.
        done: results of earlier starts of the search.
    """

    def __init__(self, total: int, metric: str, done: Sequence[TrialResult]) -> None:
        self._total = total
        self._metric = metric
        self._results = {result.trial: result for result in done}
        self._num_before = len(done)
        self._began = time.monotonic()

    def report(self, result: TrialResult) -> None:
        """Say on stderr that a trial is done."""
        self._results[result.trial] = result
        print(self.line(result, time.monotonic() - self._began), file=sys.stderr, flush=True)

    def line(self, result: TrialResult, elapsed_s: float) -> str:
        """`trial 7 (8 of 20) finished: lr 0.0031, beta1 0.9, ...: val-top1 0.6421; best trial 3 with 0.6510; ...`."""
        number = len(self._results)
        settings = format_settings(result.settings)
        parts = [f"trial {result.trial} ({number} of {self._total}) {_WORDS[result.status]}: {settings}"]
        if result.metric is not None:
            parts[0] += f": {self._metric} {result.metric:.4f}"
            if result.status == STOPPED:
                parts[0] += f" at step {result.steps:,}"
        elif result.reason:
            parts[0] += f": {result.reason}"
        if (best := best_trial(list(self._results.values()))) is not None:
            parts.append(f"best trial {best.trial} with {best.metric:.4f}")
        if (to_come := self._total - number) > 0:
            each_s = elapsed_s / max(1, number - self._num_before)
            parts.append(f"about {duration(each_s * to_come)} to come")
        return "; ".join(parts)


def format_settings(settings: Mapping[str, float]) -> str:
    """`lr 0.002, beta1 0.9, beta2 0.98, wd 0.2`."""
    return ", ".join(f"{name} {value:g}" if value < 0.9 else f"{name} {value:.6g}" for name, value in settings.items())
