"""The export command: flags in, a folder out. torch is imported when the flags are known to be right."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.cli import set_up_logging
from evaluation.settings.command_line import load
from release.export.config import EXPORT, ExportConfig, check_paths
from taxonomy.ending import ending
from taxonomy.needed import needed

if TYPE_CHECKING:
    from inference.labels.labels import Labels
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
        labels = _labels(config)
        repository = _repository(config)
        needed("release.export.export", "taxaflow export", "eval").run(config, labels, repository)


def _labels(config: ExportConfig) -> "Labels | None":
    """The labels to embed; that each has the texts asked for is checked before a model is loaded."""
    lists = needed("inference.labels.labels", "taxaflow export", "eval")
    if config.labels is None:
        return None
    labels = lists.read_labels(Path(config.labels))
    needed("inference.label_embeddings.texts", "taxaflow export", "eval").check_texts(labels, config.prompt_set)
    return labels


def _repository(config: ExportConfig) -> "Repository | None":
    """The repository to push to; that the hub takes the token is checked before any work is done."""
    if config.push is None:
        return None
    push = needed("release.export.push", "taxaflow export --push", "export")
    repository = push.Repository(config.push, config.private, config.revision)
    push.check_token(repository)
    return repository
