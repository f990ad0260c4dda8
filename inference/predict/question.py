"""What is asked, opened and checked before torch is imported: the label list, the taxa, the pictures."""

import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.protocols import DEFAULT
from inference.inputs.picture import Inputs
from inference.label_embeddings.embed_labels import read_about
from inference.label_embeddings.texts import check_texts
from inference.labels.list_cache import LabelList, open_list
from inference.labels.taxon_list import labels_under, read_taxa
from inference.predict.config import PredictConfig, is_input
from inference.predict.guess import LABEL
from taxonomy.errors import BadInputError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenQuestion:
    """A question that can be answered, as far as can be known without the model.

    Attributes:
        labels: the list.
        embeddings: the folder that holds the labels' embeddings; None if they are to be made.
        prompt_set: of which they are made.
        number_S: int64, numbers of the labels that take part; None for all.
        pictures: what is asked about.
    """

    labels: LabelList
    embeddings: Path | None
    prompt_set: str
    number_S: np.ndarray | None
    pictures: Inputs


def open_question(config: PredictConfig) -> OpenQuestion:
    """The question of the config.

    Raises:
        BadInputError: the list, the taxa or the pictures cannot be used, or do not fit each other.
    """
    path = config.labels_path
    assert path is not None
    embeddings = path if path.is_dir() else None
    prompt_set = _prompt_set(config, embeddings)
    found = open_list(path, config.label_cache)
    for line in found.conflicts:
        _LOG.warning("%s: %s", path, line)
    _check_ranks(config, found, path)
    if embeddings is None:
        check_texts(found.labels, prompt_set)
    number_S = None
    if config.only is not None:
        wanted = read_taxa(Path(config.only))
        number_S = labels_under(found.labels, found.groups, wanted, f"--only {config.only}")
    pictures = config.open()
    _check_out(config, pictures)
    return OpenQuestion(found, embeddings, prompt_set, number_S, pictures)


def _check_out(config: PredictConfig, pictures: Inputs) -> None:
    """Check that the answers do not replace a picture of a folder that is searched through."""
    if config.out_path is None or not config.inputs or not config.out_path.exists():
        return
    out = config.out_path.stat()
    for picture in pictures:
        if isinstance(picture.source, Path):
            with suppress(OSError):  # one that has vanished is a row with a reason
                if os.path.samestat(picture.source.stat(), out):
                    raise BadInputError(is_input(config.out, "INPUT", picture.source))


def _prompt_set(config: PredictConfig, embeddings: Path | None) -> str:
    if embeddings is None:
        return config.prompts or DEFAULT.prompt_set
    own = read_about(embeddings)["prompt_set"]
    if config.prompts not in (None, own):
        raise BadInputError(
            f"--prompts {config.prompts}: the embeddings in {embeddings} are of {own}; drop the flag, or give the list"
        )
    return own


def _check_ranks(config: PredictConfig, found: LabelList, path: Path) -> None:
    has = ", ".join((LABEL, *reversed(found.groups)))
    if config.rank != LABEL and config.rank not in found.groups:
        raise BadInputError(f"--rank {config.rank}: {path} has no such rank; it has {has}")
    if config.min_confidence is not None and not found.groups:
        raise BadInputError(
            f"--min-confidence {config.min_confidence}: backing off needs columns kingdom ... species, "
            f"which {path} has none of"
        )
