"""Modules that need packages of an extra, imported when they are used."""

from importlib import import_module
from types import ModuleType

from taxonomy.errors import BadInputError

OWN = frozenset(
    {"bench", "evaluation", "inference", "release", "sample", "spark_jobs", "taxaflow", "taxonomy", "trainer"}
)
"""The packages of this project: a module of theirs that is not there is a fault here, and nothing to install."""


def needed(module: str, what: str, extra: str) -> ModuleType:
    """A module of this project, imported.

    Args:
        module: its name.
        what: needs it; begins the message.
        extra: of this project's extras the one that brings what it imports.

    Raises:
        BadInputError: it needs a package that is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in OWN:
            raise
        raise BadInputError(f"{what} needs the package {error.name}: pip install 'taxaflow[{extra}]'") from error
