"""The search command: flags in, trials and the best recipe out. Ray and torch are imported when all is checked."""

import importlib.util
from collections.abc import Sequence

from evaluation.cli import set_up_logging
from taxonomy.ending import ending
from taxonomy.errors import BadInputError
from taxonomy.needed import needed
from trainer.tuning.config import load


def main(arguments: Sequence[str]) -> None:
    """Search as the flags say; a search that was stopped goes on."""
    with ending(debug="--debug" in arguments):
        config, trainers = load(arguments)
        for package, extra in (("ray", "tune"), ("torch", "train"), ("open_clip", "train"), ("scipy", "eval")):
            if importlib.util.find_spec(package) is None:
                raise BadInputError(f"tuning needs the package {package}: pip install 'taxaflow[{extra}]'")
        set_up_logging(config.debug)
        search = needed("trainer.tuning.prepare", "tuning", "tune").prepare(config, trainers)
        needed("trainer.tuning.tune", "tuning", "tune").run(search)
