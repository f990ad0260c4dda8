"""How long a trial is, when it is measured, and at which rungs one that is behind is stopped. No Ray here."""

from collections.abc import Sequence
from dataclasses import dataclass

from taxonomy.errors import BadInputError
from trainer.settings.config import TrainConfig
from trainer.tuning.config import ASHA, TuneConfig

EARLIEST_SHARE = 9
"""No rung before this part of the run, unless --grace-steps says so: with the usual factor of 3, at most two rungs."""


@dataclass(frozen=True)
class Schedule:
    """What all trials have in common.

    Attributes:
        total_steps: of a whole trial.
        epochs_between: epochs from one evaluation to the next; there is one at the end in any case.
        rungs: steps at which a trial may be stopped, rising; none without ASHA.
    """

    total_steps: int
    epochs_between: int
    rungs: tuple[int, ...]


def make_schedule(config: TuneConfig, base: TrainConfig, num_pairs: int) -> Schedule:
    """The schedule of trials of these settings on a dataset with this number of training pairs.

    Raises:
        BadInputError: the dataset has fewer pairs than a step takes, nothing would be measured, or no rung fits.
    """
    global_batch = base.batch_size * base.accum_freq * base.nproc
    steps_per_epoch = num_pairs // global_batch
    if steps_per_epoch == 0:
        raise BadInputError(
            f"--train-data {config.train_data}: {num_pairs:,} pairs for training, fewer than the {global_batch:,} of "
            "a step; lower --batch-size"
        )
    whole = base.epochs * steps_per_epoch
    total_steps = min(whole, base.max_steps or whole)
    if config.scheduler != ASHA:
        if base.zeroshot_frequency < 1:
            raise BadInputError("--zeroshot-frequency 0: trials are chosen by what it measures; give at least 1")
        return Schedule(total_steps, base.zeroshot_frequency, ())
    return _with_rungs(config, base, steps_per_epoch, total_steps)


def _with_rungs(config: TuneConfig, base: TrainConfig, steps_per_epoch: int, total_steps: int) -> Schedule:
    """Evaluations come at the ends of epochs: the first rung is the first such end that is not too early."""
    earliest = config.grace_steps or max(-(-total_steps // EARLIEST_SHARE), min(base.warmup, total_steps // 2))
    epochs = -(-earliest // steps_per_epoch)
    if (first := epochs * steps_per_epoch) >= total_steps:
        raise BadInputError(
            f"--scheduler asha: the first rung, after step {earliest:,} at the end of an epoch of {steps_per_epoch:,} "
            f"steps, is not before the last of {total_steps:,} steps; use --scheduler random, a lower --grace-steps or "
            "more steps"
        )
    return Schedule(total_steps, epochs, tuple(_powers(first, config.reduction_factor, total_steps)))


def _powers(first: int, factor: int, end: int) -> Sequence[int]:
    found = []
    while first < end:
        found.append(first)
        first *= factor
    return found
