"""The nine published benchmarks by name. Cheap to import: no file is read before one is opened."""

from collections.abc import Mapping
from pathlib import Path

from evaluation.benchmarks import (
    bioclip_rare,
    biotrove_balanced,
    biotrove_lifestages,
    biotrove_unseen,
    birds525,
    confounding,
    deepweeds,
    fungi,
    insects2,
)
from evaluation.benchmarks.benchmark import Benchmark
from evaluation.benchmarks.csv_benchmark import CsvBenchmark
from taxonomy.errors import BadInputError

_MODULES = (
    biotrove_balanced,
    biotrove_lifestages,
    biotrove_unseen,
    bioclip_rare,
    birds525,
    confounding,
    deepweeds,
    fungi,
    insects2,
)

REGISTRY: Mapping[str, CsvBenchmark] = {module.SPEC.name: module.SPEC for module in _MODULES}
"""Name -> how its CSV is read."""


def names() -> tuple[str, ...]:
    """Every name, in the order of the documentation."""
    return tuple(REGISTRY)


def open_benchmark(
    name: str, csv: Path | None = None, benchmarks_root: Path | None = None, images_root: Path | None = None
) -> Benchmark:
    """A published benchmark with its rows read and matched with their pictures.

    Args:
        name: of the registry.
        csv: its file, or a folder that has it under a published name; None looks below `benchmarks_root`.
        benchmarks_root: folder of the published CSVs.
        images_root: folder below which the pictures are found, whatever path the CSV holds. None: that is `csv` if
            it is a folder; otherwise absolute paths are taken as they are, others from the CSV's own folder.

    Raises:
        BadInputError: no such name; the CSV is absent or broken or lacks a column; the images_root holds no picture,
            or two files that match a row equally well.
    """
    from evaluation.benchmarks.corrections import corrections_of
    from evaluation.benchmarks.csv_rows import rows_of
    from evaluation.benchmarks.read_csv import find_csv, read_csv

    if name not in REGISTRY:
        raise BadInputError(f"no benchmark {name!r}: one of {', '.join(REGISTRY)} is allowed")
    spec = REGISTRY[name]
    folder = csv if csv is not None and csv.is_dir() else None
    if csv is None and benchmarks_root is None:
        raise BadInputError(f"{name}: no CSV; give its path, or the folder of the CSVs with --benchmarks-root")
    if csv is None or folder is not None:
        csv = find_csv(spec.csv_names, folder or benchmarks_root or Path())
    images_root = images_root or folder
    table = read_csv(csv)
    return Benchmark(
        name=name,
        rows=rows_of(table, spec, images_root),
        levels=tuple(spec.levels),
        headline=spec.headline,
        corrections=corrections_of(name),
        log_name=spec.log_name,
        images_root=images_root or csv.parent,
    )
