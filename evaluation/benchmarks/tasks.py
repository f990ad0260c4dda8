"""A benchmark's rows -> its classifications: a class list per level, and one per rank for roll-ups.

Shapes: R rows, C classes.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from evaluation.benchmarks.benchmark import CLASS_LISTS, COMMON_NAME, FIXED, PUBLISHED, SCIENTIFIC_NAME, Benchmark
from evaluation.benchmarks.class_taxa import agreed_fields, lineages, num_disagreeing
from evaluation.benchmarks.corrections import ANY_LEVEL
from evaluation.benchmarks.task import Task
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS, clean

ROLLUP = "rollup_"
"""Before the rank in the name of a roll-up's task."""

SPECIES = "species"

NAN = "nan"
"""The class of missing labels in the published lists."""

_LOG = logging.getLogger(__name__)


def make_task(benchmark: Benchmark, taxon: str, class_list: str) -> Task:
    """The classification at a level.

    `published`: the distinct values of the file, a missing one being the class "nan". `fixed`: cleaned and corrected,
    missing ones in no class; level `species` then names genus and epithet.

    Raises:
        BadInputError: the benchmark has no such level, there is no such class list, or Confounding's rows do not
            choose between two classes.
    """
    _check(benchmark, taxon, class_list)
    names_R = _names(benchmark, taxon, class_list)
    labelled_R = [NAN if name is None and class_list == PUBLISHED else name for name in names_R]
    class_names, class_R = _numbered(labelled_R)
    is_pairwise = taxon == benchmark.headline and bool(benchmark.rows.pairs)
    return Task(
        benchmark=benchmark.name,
        taxon=taxon,
        class_list=class_list,
        class_names=class_names,
        class_R=class_R,
        fields=agreed_fields(taxon, class_names, _known(class_R, names_R), corrected_rows(benchmark, class_list)),
        pair_of_R=_pair_of_rows(benchmark, class_names, class_R) if is_pairwise else (),
        distinct_R=_is_first(benchmark.rows.keys, class_R) if is_pairwise and class_list == FIXED else None,
    )


def rollup_tasks(benchmark: Benchmark, class_list: str) -> list[Task]:
    """Per rank the task `rollup_<rank>`, of benchmarks with scientific names and lineages; from kingdom to species.

    The class of a row is that of its scientific name, so that a right guess of the name is right at every rank;
    rows whose name has nothing at the rank are in no class. Ranks without any name have no task.

    Raises:
        BadInputError: there is no such class list.
    """
    if SCIENTIFIC_NAME not in benchmark.levels or not benchmark.rows.lineage:
        return []
    task = make_task(benchmark, SCIENTIFIC_NAME, class_list)
    lineage_C = lineage_of(task, benchmark)
    _log_disagreement(task, benchmark)
    made = []
    for number, rank in enumerate(RANKS):
        name_C = [lineage[number] if lineage else None for lineage in lineage_C]
        class_names, class_R = _numbered([name_C[own] if own >= 0 else None for own in task.class_R.tolist()])
        if class_names:
            made.append(Task(benchmark.name, ROLLUP + rank, class_list, class_names, class_R))
    return made


def lineage_of(task: Task, benchmark: Benchmark) -> list[tuple[str | None, ...] | None]:
    """Per class the names at the seven ranks, genus and epithet at `species`; None where no rank is known.

    Rows of a class that disagree at a rank are outvoted by the most frequent name, the first seen on ties.
    """
    class_R = _known(task.class_R, _names(benchmark, task.taxon, task.class_list))
    return lineages(class_R, len(task.class_names), corrected_rows(benchmark, task.class_list)["lineage"])


def corrected_rows(benchmark: Benchmark, class_list: str) -> Mapping[str, Mapping[str, Sequence[str | None]]]:
    """Lineage ("lineage": rank -> name per row) and names ("names": scientific and common) as a class list has them."""
    rows = benchmark.rows
    names = {COMMON_NAME: rows.common_names} if rows.common_names else {}
    if SCIENTIFIC_NAME in rows.labels:
        names[SCIENTIFIC_NAME] = rows.labels[SCIENTIFIC_NAME]
    if class_list != FIXED:
        return {"lineage": rows.lineage, "names": names}
    return {
        "lineage": {rank: _corrected(benchmark, rank, column) for rank, column in rows.lineage.items()},
        "names": {level: _corrected(benchmark, level, column) for level, column in names.items()},
    }


def _check(benchmark: Benchmark, taxon: str, class_list: str) -> None:
    if class_list not in CLASS_LISTS:
        raise BadInputError(f"--class-list {class_list}: one of {', '.join(CLASS_LISTS)} is allowed")
    if taxon not in benchmark.levels:
        raise BadInputError(f"--taxon {taxon}: {benchmark.name} has {', '.join(benchmark.levels)}")


def _names(benchmark: Benchmark, level: str, class_list: str) -> Sequence[str | None]:
    """The class name of every row at a level, None where it has none."""
    rows = benchmark.rows
    if class_list == PUBLISHED:
        return rows.labels[level]
    if level == SPECIES and {"genus", SPECIES} <= rows.lineage.keys():
        lineage = corrected_rows(benchmark, FIXED)["lineage"]
        both = zip(lineage["genus"], lineage[SPECIES], strict=True)
        return [f"{genus} {epithet}" if genus and epithet else None for genus, epithet in both]
    return [clean(name) for name in _corrected(benchmark, level, rows.labels[level])]


def _corrected(benchmark: Benchmark, level: str, column: Sequence[str | None]) -> Sequence[str | None]:
    """A column with the corrections of its level; found by the file's own text, for which lineages are too clean."""
    new = {old: new for of_level, old, new in benchmark.corrections if of_level in (level, ANY_LEVEL)}
    if not new:
        return column
    raw = benchmark.rows.labels.get(level, column)
    return [new.get(text or "", own) for text, own in zip(raw, column, strict=True)]


def _numbered(names_R: Sequence[str | None]) -> tuple[tuple[str, ...], np.ndarray]:
    """(distinct names in order of their first rows, int64 index per row, -1 for None)."""
    number: dict[str, int] = {}
    class_R = [-1 if name is None else number.setdefault(name, len(number)) for name in names_R]
    return tuple(number), np.array(class_R, np.int64)


def _known(class_R: np.ndarray, names_R: Sequence[str | None]) -> np.ndarray:
    """The classes with -1 for rows without a label: the class "nan" is no taxon."""
    return np.where([name is None for name in names_R], -1, class_R)


def _pair_of_rows(benchmark: Benchmark, class_names: Sequence[str], class_R: np.ndarray) -> Sequence[tuple[int, int]]:
    """Per row the two classes of the rows of its pair, lower index first."""
    classes_of: dict[str, set[int]] = {}
    for pair, number in zip(benchmark.rows.pairs, class_R.tolist(), strict=True):
        classes_of.setdefault(pair, set()).add(number)
    for pair, classes in classes_of.items():
        if len(classes) != 2 or -1 in classes:
            found = ", ".join(class_names[number] if number >= 0 else "no label" for number in sorted(classes))
            raise BadInputError(f"{benchmark.name}: pair {pair!r} has rows of {found}; two classes are needed")
    lower_and_upper = {pair: (min(classes), max(classes)) for pair, classes in classes_of.items()}
    return [lower_and_upper[pair] for pair in benchmark.rows.pairs]


def _is_first(keys: Sequence[str], class_R: np.ndarray) -> np.ndarray:
    """bool, whether a row is the first with its picture's file name and class."""
    pictures = [(key.replace("\\", "/").rpartition("/")[2], number) for key, number in zip(keys, class_R, strict=True)]
    first: dict[tuple, int] = {}
    return np.array([first.setdefault(picture, row) == row for row, picture in enumerate(pictures)], bool)


def _log_disagreement(task: Task, benchmark: Benchmark) -> None:
    class_R = _known(task.class_R, _names(benchmark, task.taxon, task.class_list))
    num = num_disagreeing(class_R, corrected_rows(benchmark, task.class_list)["lineage"])
    if num:
        _LOG.warning(
            "%s: rows of %d scientific names disagree on a rank; the most frequent counts", task.benchmark, num
        )
