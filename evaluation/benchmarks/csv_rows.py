"""A benchmark's CSV -> its rows: labels per level, lineages, and the file of every picture."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from evaluation.benchmarks.benchmark import LABEL, SCIENTIFIC_NAME, Rows
from evaluation.benchmarks.csv_benchmark import PATHS, PHOTO_IDS, URLS, Columns, CsvBenchmark
from evaluation.benchmarks.match_files import in_place, match, match_names, match_urls
from evaluation.benchmarks.read_csv import Table
from taxonomy.ranks import RANKS, clean, resolve_taxon

NULL_WORDS = frozenset({"", "NA", "N/A", "NULL", "NaN", "None", "n/a", "nan", "null", "<NA>", "#N/A"})
"""Labels that the published code read as missing. Source: pandas' default missing values that a label can be."""


def rows_of(table: Table, spec: CsvBenchmark, images_root: Path | None) -> Rows:
    """The rows of a CSV in its order. Labels are as in the file; a missing one is None.

    Args:
        table: of the CSV.
        spec: its columns.
        images_root: folder of the pictures; None as in `open_benchmark`.

    Raises:
        BadInputError: a column is absent, or pictures cannot be matched.
    """
    labels = {level: _labels(column) for level, column in _level_columns(table, spec).items()}
    if SCIENTIFIC_NAME not in labels and (names := _scientific_names(table, spec, labels)):
        labels[SCIENTIFIC_NAME] = names
    keys, sources = _pictures(table, spec, images_root)
    common = table.find(spec.common_names)
    return Rows(
        keys=keys,
        sources=sources,
        labels=labels,
        lineage=_lineage(table, spec.lineage),
        common_names=_mapped(clean, table.columns[common]) if common else (),
        pairs=table.column(spec.pairs, "pair") if spec.pairs else (),
    )


def _level_columns(table: Table, spec: CsvBenchmark) -> Mapping[str, Sequence[str]]:
    """Level -> its column. A column stands for one level: BioCLIP-Rare's `class` is a rank or the scientific name."""
    taken: dict[str, Sequence[str]] = {}
    used: set[str] = set()
    for level, candidates in spec.levels.items():
        free = [name for name in candidates if name not in used] or candidates[:1]
        taken[level] = table.column(free, f"level {level}")
        used.add(table.find(free) or "")
    return taken


def _scientific_names(
    table: Table, spec: CsvBenchmark, labels: Mapping[str, Sequence[str | None]]
) -> Sequence[str | None]:
    """Scientific names of rows whose level is a label; empty where the file has none."""
    if spec.is_label_scientific:
        return _mapped(_binomial, labels[LABEL])
    column = table.find(spec.scientific_names)
    return _mapped(clean, table.columns[column]) if column else ()


def _binomial(label: str | None) -> str | None:
    """Genus and epithet of a name that its authors may follow."""
    return " ".join(label.split()[:2]) if label else None


def _labels(column: Sequence[str]) -> Sequence[str | None]:
    return [None if text.strip() in NULL_WORDS else text for text in column]


def _lineage(table: Table, columns: Mapping[str, Columns]) -> Mapping[str, Sequence[str | None]]:
    """Rank -> cleaned name per row, `species` the epithet; no entry for a rank without a column."""
    known = {rank: name for rank in RANKS if rank in columns and (name := table.find(columns[rank]))}
    raw = list(zip(*(table.columns[name] for name in known.values()), strict=True))
    resolved = {values: resolve_taxon(dict(zip(known, values, strict=True))).lineage for values in dict.fromkeys(raw)}
    return {rank: [resolved[values][rank] for values in raw] for rank in known}


def _pictures(table: Table, spec: CsvBenchmark, images_root: Path | None) -> tuple[Sequence[str], list[Path | None]]:
    """(key, file) of every row: by path, else by photo id, else by URL."""
    path, photo_id = table.find(PATHS), table.find(PHOTO_IDS)
    if path:
        paths = table.columns[path]
        other = table.find((*PHOTO_IDS, *URLS))
        # the list of a download has no path for a photo that never came
        keys = [own or id_ for own, id_ in zip(paths, table.columns[other], strict=True)] if other else paths
        if images_root is None:
            return keys, in_place(paths, table.path.parent)
        return keys, match(paths, images_root, spec.shares_pictures)
    keys = table.columns[photo_id] if photo_id else table.column(URLS, "picture's path, photo id or address")
    if images_root is None:  # pictures were fetched to some folder that nobody named
        return keys, [None] * len(keys)
    return keys, (match_names if photo_id else match_urls)(keys, images_root)


def _mapped(function: Callable, values: Sequence) -> list:
    """The function of every value, called once for equal ones."""
    results = {value: function(value) for value in dict.fromkeys(values)}
    return [results[value] for value in values]
