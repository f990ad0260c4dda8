"""The benchmarks that the flags of an evaluation name, read and matched with their pictures. No torch here."""

from collections.abc import Iterator
from pathlib import Path

from evaluation.benchmarks.benchmark import Benchmark, check_pictures
from evaluation.settings.config import EvalConfig
from evaluation.settings.config_checks import PUBLISHED_FLAGS
from evaluation.settings.option import nearest
from taxonomy.errors import BadInputError

ALL = "all"


def open_chosen(config: EvalConfig) -> list[Benchmark]:
    """Each benchmark once, in the order of --help.

    Raises:
        BadInputError: a file cannot be used, a name is unknown, or none of a benchmark's pictures is there.
    """
    opened: dict[str, Benchmark] = {}
    for benchmark in _open_all(config):
        opened.setdefault(benchmark.name, benchmark)
    for benchmark in opened.values():
        check_pictures(benchmark)
    return list(opened.values())


def _open_all(config: EvalConfig) -> Iterator[Benchmark]:
    from evaluation.benchmarks.registry import open_benchmark

    images = Path(config.images_root) if config.images_root else None
    for name, csv in _csvs(config).items():
        yield open_benchmark(name, csv, Path(config.benchmarks_root), images)
    yield from _open_others(config, images)


def _csvs(config: EvalConfig) -> dict[str, Path | None]:
    """Benchmark of the registry -> its CSV or folder; None for the published name below --benchmarks-root."""
    from evaluation.benchmarks.registry import names

    csvs: dict[str, Path | None] = {}
    for field, name in PUBLISHED_FLAGS.items():
        value = getattr(config, field)
        if value:
            csvs[name] = Path(value) if isinstance(value, str) else None
    for name in config.benchmarks:
        if name != ALL and name not in names():
            hint = nearest(name, names())
            raise BadInputError(f"--benchmarks {name!r}: allowed are {ALL}, {', '.join(names())}{hint}")
        for one in names() if name == ALL else (name,):
            csvs.setdefault(one, None)
    return csvs


def _open_others(config: EvalConfig, images: Path | None) -> Iterator[Benchmark]:
    if config.imagenet_val:
        from evaluation.benchmarks.imagenet_val import open_imagenet_val

        yield open_imagenet_val(Path(config.imagenet_val))
    if config.csv:
        from evaluation.benchmarks.csv_file import open_csv

        yield open_csv(Path(config.csv), config.label_column, images)
    if config.folder:
        from evaluation.benchmarks.folder import open_folder

        yield open_folder(Path(config.folder))
    if config.shards:
        from evaluation.benchmarks.shards import open_shards

        yield open_shards(Path(config.shards), config.split)
