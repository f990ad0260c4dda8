"""Any CSV of pictures with labels or taxa (`--csv FILE [--label-column COL]`), as a benchmark."""

from collections.abc import Mapping
from pathlib import Path

from evaluation.benchmarks.benchmark import LABEL, NINE_LEVELS, SCIENTIFIC_NAME, Benchmark
from evaluation.benchmarks.csv_benchmark import COMMON_NAMES, RANK_LEVELS, TAXON_LEVELS, Columns, CsvBenchmark
from evaluation.benchmarks.csv_rows import rows_of
from evaluation.benchmarks.folder import name_part
from evaluation.benchmarks.read_csv import Table, read_csv
from taxonomy.errors import BadInputError

LABELS: Columns = ("label", "labels", "class_name", "class_out")
"""Columns taken for the label where none is named."""

_CLASS = ("cls", "class")


def open_csv(csv: Path, label_column: str | None = None, images_root: Path | None = None) -> Benchmark:
    """The rows of a CSV, named `csv_<file>`; its levels are a label and those of the nine that it has columns for.

    Column `class` is a rank where other ranks are there too, else the label. The headline is the label if its column
    is named, else the scientific name, else the label, else the lowest level there is.

    Args:
        csv: with a column of paths, photo ids or addresses, and labels or taxa.
        label_column: the column of the label.
        images_root: as in `open_benchmark`.

    Raises:
        BadInputError: the CSV is absent or broken, has no such column or none for any level, or pictures cannot be
            matched.
    """
    table = read_csv(csv)
    ranks = _ranks(table)
    levels = _levels(table, label_column, ranks)
    name = name_part(csv.stem)
    spec = CsvBenchmark(
        name=f"csv_{name}",
        title=csv.stem,
        csv_names=(csv.name,),
        levels=levels,
        headline=_headline(levels, label_column),
        log_name=f"csv-{name}",
        lineage=ranks,
        common_names=COMMON_NAMES,
    )
    rows = rows_of(table, spec, images_root)
    root = images_root or csv.parent
    return Benchmark(spec.name, rows, tuple(levels), spec.headline, log_name=spec.log_name, images_root=root)


def _ranks(table: Table) -> Mapping[str, Columns]:
    """Rank -> columns, of the ranks that the file has."""
    ranks = {rank: columns for rank, columns in RANK_LEVELS.items() if rank != "class" and table.find(columns)}
    if table.find(("cls",)) or ranks:
        ranks |= {"class": _CLASS} if table.find(_CLASS) else {}
    return {rank: ranks[rank] for rank in RANK_LEVELS if rank in ranks}


def _levels(table: Table, label_column: str | None, ranks: Mapping[str, Columns]) -> Mapping[str, Columns]:
    if label_column is not None:
        table.column((label_column,), "label (--label-column)")
    labels = (label_column,) if label_column else LABELS if "class" in ranks else (*LABELS, "class")
    columns = {**TAXON_LEVELS, **ranks}
    taxa = {level: columns[level] for level in NINE_LEVELS if level in ranks or level not in RANK_LEVELS}
    levels = {level: own for level, own in {LABEL: labels, **taxa}.items() if table.find(own)}
    if not levels:
        known = ", ".join(name or "(unnamed)" for name in table.columns)
        raise BadInputError(f"{table.path}: no column with labels or taxa; name one with --label-column of {known}")
    return levels


def _headline(levels: Mapping[str, Columns], label_column: str | None) -> str:
    preferred = (LABEL, SCIENTIFIC_NAME) if label_column else (SCIENTIFIC_NAME, LABEL)
    return next((level for level in preferred if level in levels), list(levels)[-1])
