"""One update of the parameters from their gradients, left out where the step is bad.

On the CPU the guard judges before the update. On CUDA that would make the host wait for each step: there the update
itself is told on the device to do nothing where loss or norm are not finite, and the guard hears of it at the next
logged step. With --spike-factor, whose verdict needs the losses before, the host does wait. Under fp16 the scaler
leaves out what overflowed; that is how it finds its scale, and bad only where the loss itself is not finite.
"""

from dataclasses import dataclass, field

import torch

from trainer.steps.guard import Guard
from trainer.steps.optim import clamp_logit_scale, clip_gradients
from trainer.steps.step import ModelParts


@dataclass
class Updater:
    """Applies gradients.

    Attributes:
        optimizer: fused AdamW.
        parts: whose gradients they are.
        guard: judges steps, the same on all ranks.
        max_norm: of all gradients together; None for any.
        scaler: of fp16; its overflows are not bad steps.
        judges_at_once: whether the host waits for each step's verdict.
        last_norm: of the last step that was judged; None before the first.
    """

    optimizer: torch.optim.AdamW
    parts: ModelParts
    guard: Guard
    max_norm: float | None
    scaler: torch.amp.GradScaler | None
    judges_at_once: bool
    last_norm: float | None = None
    _unjudged: list[torch.Tensor] = field(default_factory=list)
    _good_losses: list[float] = field(default_factory=list)

    def apply(self, loss: torch.Tensor) -> None:
        """Update the parameters by their gradients.

        Args:
            loss: of the step, 0-D, the same on all ranks.

        Raises:
            TooManyBadSteps: from the guard.
        """
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        norm = clip_gradients(self.parts.parameters, self.max_norm)
        self._unjudged.append(torch.stack([loss.detach().float(), norm.float()]))
        if self.scaler is not None:
            self._apply_scaled(self.scaler, loss)
        elif self.judges_at_once:
            if self.judge():
                self.optimizer.step()
        else:
            self._apply_unless_bad(loss, norm)
        clamp_logit_scale(self.parts.logit_scale)

    def judge(self) -> bool:
        """Let the guard judge all steps since the last call; whether the last was good. Waits for the device.

        Raises:
            TooManyBadSteps: from the guard.
        """
        verdict = True
        if self._unjudged:
            numbers = torch.stack(self._unjudged).tolist()
            self._unjudged.clear()
            for loss, norm in numbers:
                verdict = self.guard.judge(loss, norm)
                self.last_norm = norm
                if verdict:
                    self._good_losses.append(loss)
        return verdict

    def take_losses(self) -> list[float]:
        """The losses of the good steps among those judged since the last call."""
        losses, self._good_losses = self._good_losses, []
        return losses

    def _apply_unless_bad(self, loss: torch.Tensor, norm: torch.Tensor) -> None:
        is_bad = ~(torch.isfinite(loss) & torch.isfinite(norm))
        self.optimizer.found_inf = is_bad.float()  # pyright: ignore[reportAttributeAccessIssue] what GradScaler sets
        self.optimizer.step()

    def _apply_scaled(self, scaler: torch.amp.GradScaler, loss: torch.Tensor) -> None:
        scale = scaler.get_scale()
        scaler.step(self.optimizer)
        scaler.update()
        if scaler.get_scale() < scale and torch.isfinite(loss):
            self._unjudged.pop()
