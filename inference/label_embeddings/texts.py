"""The texts that stand for labels, made for some of them at a time: a million labels have 81 million.

Shapes: C labels.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from evaluation.encoding.prompts import OPENAI, OPENAI_AND_PLAIN, TAXON_BIOCLIP, label_prompts, taxon_prompts
from inference.labels.arrow import compute as pc
from inference.labels.labels import Labels
from taxonomy.errors import BadInputError


def label_texts(labels: Labels, numbers: Sequence[int], prompt_set: str) -> list[list[str]]:
    """The texts of these labels, at least one each, as evaluation has them for the same taxa.

    Raises:
        BadInputError: a label lacks what the prompt set needs.
    """
    return [_texts(labels, number, prompt_set) for number in numbers]


def check_texts(labels: Labels, prompt_set: str) -> None:
    """Check that every label has texts, without making them.

    Raises:
        BadInputError: one has none; names the first.
    """
    if prompt_set in (OPENAI, OPENAI_AND_PLAIN, TAXON_BIOCLIP):
        return  # which take any name
    if labels.fields(0) is None:
        _texts(labels, 0, prompt_set)  # where one name does, all do
        return
    is_lacking_C = _is_lacking(labels, prompt_set)
    if not is_lacking_C.any():
        return
    try:
        _texts(labels, int(is_lacking_C.argmax()), prompt_set)
    except BadInputError as error:
        raise BadInputError(
            f"{error} ({int(is_lacking_C.sum()):,} of {len(labels):,} labels); add the column, or take other --prompts"
        ) from error


def _texts(labels: Labels, number: int, prompt_set: str) -> list[str]:
    name, fields = labels.names[number].as_py(), labels.fields(number)
    return label_prompts(name, prompt_set) if fields is None else taxon_prompts(fields, prompt_set, name)


def _is_lacking(labels: Labels, prompt_set: str) -> np.ndarray:
    """bool, whether a label lacks a part of the caption kind."""
    is_lacking_C = np.zeros(len(labels), bool)
    if prompt_set.startswith("taxon"):
        is_lacking_C |= ~_is_known(list(labels.lineage.values()), len(labels))
    if prompt_set == "common_name" or prompt_set.split("_")[-1] == "com":
        common = [] if labels.common_names is None else [labels.common_names]
        is_lacking_C |= ~_is_known(common, len(labels))
    return is_lacking_C


def _is_known(columns: Sequence[pa.Array], num_labels: int) -> np.ndarray:
    """bool, whether any of the columns says something of a label."""
    is_known_C = np.zeros(num_labels, bool)
    for column in columns:
        is_known_C |= pc.is_valid(column).to_numpy(zero_copy_only=False)
    return is_known_C
