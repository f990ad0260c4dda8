"""The training command: flags in, one run out. torch is imported when the flags are known to be right."""

import os
from collections.abc import Callable, Sequence

from taxonomy.ending import ending, last_words
from taxonomy.errors import BadInputError
from taxonomy.launch_folder import leave_word
from taxonomy.needed import needed
from trainer.launch import launch
from trainer.settings.config import TrainConfig, load


def main(arguments: Sequence[str]) -> None:
    """Train as the flags say: in this process, in this rank of torchrun, or in processes of its own (--nproc)."""
    if arguments and arguments[0] == "--":  # what torchrun needs before flags that it could take for its own
        arguments = arguments[1:]
    with ending(debug="--debug" in arguments):
        config = load(arguments)
        if "RANK" not in os.environ and config.nproc > 1:
            raise SystemExit(launch(arguments, config.nproc))
        _train_here(config)


def _train_here(config: TrainConfig) -> None:
    try:
        run = _runner()
        run(config)
    except Exception as error:
        is_heard = leave_word(*last_words(error)) and not config.debug
        is_said = getattr(error, "is_said_by_first", False) and _rank() != "0"
        if isinstance(error, BadInputError) and (is_heard or is_said):
            raise SystemExit(error.exit_code) from None  # the parent or rank 0 says it
        raise


def _rank() -> str:
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))


def _runner() -> Callable[[TrainConfig], None]:
    return needed("trainer.run", "training", "train").run
