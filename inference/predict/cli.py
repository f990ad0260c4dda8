"""The predict command: flags in, answers out. torch is imported when the flags and lists are known to be right."""

from collections.abc import Sequence

from evaluation.cli import set_up_logging
from evaluation.settings.command_line import load
from inference.idle_threads import let_idle_threads_sleep
from inference.predict.config import PREDICT, check_paths
from taxonomy.ending import ending
from taxonomy.needed import needed


def main(arguments: Sequence[str]) -> None:
    """Predict as the flags say."""
    with ending(debug="--debug" in arguments):
        config = load(PREDICT, arguments)
        check_paths(config)
        set_up_logging(config.debug)
        let_idle_threads_sleep()
        # before torch is imported
        question = needed("inference.predict.question", "taxaflow predict", "eval").open_question(config)
        needed("inference.predict.run", "taxaflow predict", "eval").run(config, question)
