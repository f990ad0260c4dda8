"""The guard of an update: is this step sound enough to change the model?"""

import math
import statistics
from collections import deque
from collections.abc import Mapping
from typing import Any

from taxonomy.errors import WorkFailedError

WINDOW = 100
"""Good losses that the median is taken of."""

MAX_IN_A_ROW = 10
"""So many bad steps in a row are no accident."""


class TooManyBadSteps(WorkFailedError):
    """`MAX_IN_A_ROW` steps in a row were bad."""


class Guard:
    """Judges steps: bad is a loss or gradient norm that is not finite, or a loss above `spike_factor` x the median.

    The median is that of the last `WINDOW` good losses, of fewer at the beginning; the first loss is never a spike. The
    verdict depends on what was judged before alone, so ranks that judge the same all-reduced numbers agree.

    Args:
        spike_factor: above 1; None judges only whether the numbers are finite.

    Attributes:
        skipped_steps: bad steps of the run so far.
    """

    def __init__(self, spike_factor: float | None = None) -> None:
        assert spike_factor is None or spike_factor > 1
        self.skipped_steps = 0
        self._spike_factor = spike_factor
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._in_a_row = 0

    def judge(self, loss: float, grad_norm: float) -> bool:
        """Whether the step is good; a bad one's update must be left out on all ranks.

        With a GradScaler, a step of which it found the gradients infinite is not to be judged: that is how it finds
        its scale.

        Raises:
            TooManyBadSteps: it was bad, as were the ones before.
        """
        reason = self._reason(loss, grad_norm)
        if reason is None:
            self._losses.append(loss)
            self._in_a_row = 0
            return True
        self.skipped_steps += 1
        self._in_a_row += 1
        if self._in_a_row >= MAX_IN_A_ROW:
            raise TooManyBadSteps(
                f"{self._in_a_row} steps in a row were bad, the last because {reason}; the last good checkpoint is "
                "kept: look at the data, lower --lr or set --grad-clip-norm, then go on with --resume latest"
            )
        return False

    def state(self) -> dict[str, Any]:
        """JSON-able; `load` goes on from it."""
        return {"losses": list(self._losses), "in_a_row": self._in_a_row, "skipped_steps": self.skipped_steps}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._losses = deque(state["losses"], maxlen=WINDOW)
        self._in_a_row = state["in_a_row"]
        self.skipped_steps = state["skipped_steps"]

    def _reason(self, loss: float, grad_norm: float) -> str | None:
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if not math.isfinite(grad_norm):
            return f"the gradient norm is {grad_norm}"
        if self._spike_factor is None or not self._losses:
            return None
        median = statistics.median(self._losses)
        if loss > self._spike_factor * median:
            return f"the loss {loss:.4g} is above --spike-factor {self._spike_factor:g} x the median {median:.4g}"
        return None
