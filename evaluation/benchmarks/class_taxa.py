"""What the rows of a class say together about its taxon: its lineage, and its names for captions.

Shapes: R rows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from evaluation.benchmarks.benchmark import COMMON_NAME, SCIENTIFIC_NAME
from taxonomy.captions import CaptionFields
from taxonomy.ranks import RANKS

Column = Sequence[str | None]
Votes = dict[int, list[Counter[str]]]
"""Class -> per column how often each value stands in its rows; missing values do not count."""


def lineages(
    class_R: np.ndarray, num_classes: int, lineage: Mapping[str, Column]
) -> list[tuple[str | None, ...] | None]:
    """Per class the most frequent names at the seven ranks, genus and epithet at `species`; None where all are unknown.

    Args:
        class_R: int64, -1 for rows of no class.
        num_classes: of the result.
        lineage: rank -> name per row, `species` the epithet.
    """
    votes = _votes(class_R, _rank_columns(lineage, len(class_R)))
    return [_path(votes[number]) if number in votes else None for number in range(num_classes)]


def num_disagreeing(class_R: np.ndarray, lineage: Mapping[str, Column]) -> int:
    """How many classes have rows with different names at a rank."""
    votes = _votes(class_R, _rank_columns(lineage, len(class_R)))
    return sum(any(len(counter) > 1 for counter in of_class) for of_class in votes.values())


def agreed_fields(
    level: str,
    class_names: Sequence[str],
    class_R: np.ndarray,
    columns: Mapping[str, Mapping[str, Column]],
) -> Mapping[str, CaptionFields]:
    """Class name -> its taxon, of the classes whose rows mean one.

    At level `scientific_name` the most frequent lineage and common name; at a rank the lineage down to it, if all rows
    agree on what is above; at other levels that of the one scientific name of the rows, if no other class has it.

    Args:
        level: of the task.
        class_names: its classes.
        class_R: int64, -1 for rows without a label.
        columns: as `corrected_rows` gives them.
    """
    num_rows = len(class_R)
    names = columns["names"]
    missing: Column = [None] * num_rows
    all_columns = [
        *_rank_columns(columns["lineage"], num_rows),
        names.get(SCIENTIFIC_NAME, missing),
        names.get(COMMON_NAME, missing),
    ]
    votes = _votes(class_R, all_columns)
    if level == SCIENTIFIC_NAME:
        return {class_names[number]: _of_name(class_names[number], found) for number, found in votes.items()}
    if level in RANKS and any(any(counter) for found in votes.values() for counter in found[: len(RANKS)]):
        found = {class_names[number]: _of_rank(level, class_names[number], found) for number, found in votes.items()}
    else:
        found = _of_labels(level, class_names, votes)
    return {name: fields for name, fields in found.items() if fields is not None}


def _rank_columns(lineage: Mapping[str, Column], num_rows: int) -> list[Column]:
    missing: Column = [None] * num_rows
    return [lineage.get(rank, missing) for rank in RANKS]


def _votes(class_R: np.ndarray, columns: Sequence[Column]) -> Votes:
    votes: Votes = {}
    # equal rows are counted first: there are far fewer distinct ones
    for (number, *values), count in Counter(zip(class_R.tolist(), *columns, strict=True)).items():
        if number >= 0:
            counters = votes.setdefault(number, [Counter() for _ in columns])
            for counter, value in zip(counters, values, strict=True):
                if value is not None:
                    counter[value] += count
    return votes


def _winner(counter: Counter[str]) -> str | None:
    """The most frequent value, the first seen on ties."""
    return max(counter, key=counter.__getitem__) if counter else None


def _path(found: Sequence[Counter[str]]) -> tuple[str | None, ...] | None:
    *above, genus, epithet = (_winner(counter) for counter in found[: len(RANKS)])
    path = (*above, genus, f"{genus} {epithet}" if genus and epithet else None)
    return path if any(path) else None


def _of_name(name: str, found: Sequence[Counter[str]]) -> CaptionFields:
    lineage = {rank: _winner(counter) for rank, counter in zip(RANKS, found, strict=False)}
    return CaptionFields(name, _winner(found[-1]), lineage)


def _of_rank(level: str, name: str, found: Sequence[Counter[str]]) -> CaptionFields | None:
    """The taxon of a rank's name; None where the name stands in several branches."""
    depth = RANKS.index(level) + 1
    if any(len(counter) > 1 for counter in found[:depth]):
        return None
    lineage = {rank: _winner(counter) for rank, counter in zip(RANKS[:depth], found, strict=False)}
    if level != "species":
        return CaptionFields(name, None, lineage)
    genus, epithet = lineage["genus"], lineage["species"]
    if not genus or not epithet:
        return None
    return CaptionFields(f"{genus} {epithet}", _winner(found[-1]) if len(found[-1]) == 1 else None, lineage)


def _of_labels(level: str, class_names: Sequence[str], votes: Votes) -> dict[str, CaptionFields | None]:
    """The taxa of labels and common names: stages of one species, say, are none."""
    species = {number: _winner(found[-2]) for number, found in votes.items() if len(found[-2]) == 1}
    num_classes = Counter(species.values())
    fields: dict[str, CaptionFields | None] = {}
    for number, name in species.items():
        if num_classes[name] == 1 or level == COMMON_NAME:
            own = _of_name(name or "", votes[number])
            is_common = level == COMMON_NAME
            fields[class_names[number]] = CaptionFields(
                name, class_names[number] if is_common else own.common_name, own.lineage
            )
    return fields
