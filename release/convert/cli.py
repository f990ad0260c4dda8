"""The convert command: flags in, a folder out. torch is imported when the flags are known to be right."""

from collections.abc import Sequence

from evaluation.cli import set_up_logging
from evaluation.settings.command_line import load
from release.convert.config import CONVERT, check_paths
from taxonomy.ending import ending
from taxonomy.needed import needed


def main(arguments: Sequence[str]) -> None:
    """Convert as the flags say."""
    with ending(debug="--debug" in arguments):
        config = load(CONVERT, arguments)
        check_paths(config)
        set_up_logging(config.debug)
        needed("release.convert.convert", "taxaflow convert", "eval").convert(config)
