"""The export command: flags in, a folder out. torch is imported when the flags are known to be right."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.cli import needed, set_up_logging
from evaluation.settings.command_line import load
from release.export.config import EXPORT, ExportConfig, check_paths
from taxonomy.ending import ending

if TYPE_CHECKING:
    from release.export.push import Repository


def main(arguments: Sequence[str]) -> None:
    """Export as the flags say."""
    with ending(debug="--debug" in arguments):
        config = load(EXPORT, arguments)
        check_paths(config)
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # the hub's client reads it when it is imported
        set_up_logging(config.debug)
        if not config.debug:
            logging.getLogger("release").setLevel(logging.INFO)  # what takes its time
        labels = needed("inference.labels.labels").read_labels(Path(config.labels)) if config.labels else None
        repository = _repository(config)
        needed("release.export.export").run(config, labels, repository)


def _repository(config: ExportConfig) -> "Repository | None":
    """The repository to push to; that the hub takes the token is checked before any work is done."""
    if config.push is None:
        return None
    push = needed("release.export.push")
    repository = push.Repository(config.push, config.private, config.revision)
    push.check_token(repository)
    return repository
