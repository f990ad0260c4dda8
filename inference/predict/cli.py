"""The predict command: flags in, answers out. torch is imported when the flags and lists are known to be right."""

from collections.abc import Sequence

from evaluation.cli import needed, set_up_logging
from evaluation.settings.command_line import load
from inference.predict.config import PREDICT, check_paths
from taxonomy.ending import ending


def main(arguments: Sequence[str]) -> None:
    """Predict as the flags say."""
    with ending(debug="--debug" in arguments):
        config = load(PREDICT, arguments)
        check_paths(config)
        set_up_logging(config.debug)
        question = needed("inference.predict.question").open_question(config)  # before torch is imported
        needed("inference.predict.run").run(config, question)
