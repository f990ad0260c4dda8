"""Runs of one rank in the test's own process, asked to stop at a step of one's choice, or given steps that fail."""

import contextlib
import math
import signal
from collections.abc import Collection, Iterator, Sequence

import pytest

from trainer import loop
from trainer.run import run
from trainer.settings.config import load

EPOCH_END = -1
"""As a step to stop after: the last one of the epoch in progress."""

_ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


def run_here(arguments: Sequence[str], stop_after: int | None = None, spoilt_steps: Collection[int] = ()) -> list[int]:
    """Run `python -m trainer` with these arguments here; the steps trained, in their order.

    Args:
        arguments: of the command.
        stop_after: SIGTERM comes while this step, or EPOCH_END, is under way.
        spoilt_steps: their loss is not a number.
    """
    done: list[int] = []
    one_step, train_step = loop.one_step, loop.train_step

    def step_asked_to_stop(run: loop.Run, batches, inputs) -> None:
        step = run.step + 1
        is_last = step == stop_after or (stop_after == EPOCH_END and step % run.steps_per_epoch == 0)
        if is_last:
            signal.raise_signal(signal.SIGTERM)
        done.append(step)
        one_step(run, batches, inputs)

    def spoilt_train_step(*inputs):
        loss = train_step(*inputs)
        return loss * math.nan if done[-1] in spoilt_steps else loss

    with _signals_as_before(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "one_step", step_asked_to_stop)
        patch.setattr(loop, "train_step", spoilt_train_step)
        patch.setenv("OMP_NUM_THREADS", "1")
        run(load(arguments))
    return done


@contextlib.contextmanager
def _signals_as_before() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in _ASKING}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
