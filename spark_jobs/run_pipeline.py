"""`taxaflow data run`: all steps of a TOML file, one after the other, in one Spark session.

The file has the tables ingest (one, or a list), count, select, download and label, in any order; `root` above them,
or in each. Keys are the commands' flags with _ for -. Every table is checked before the first step starts.
"""

from pathlib import Path
from typing import Any

from spark_jobs import cli
from spark_jobs import config as configs
from taxonomy.errors import BadInputError

_STEPS = {
    "ingest": (configs.IngestConfig, "spark_jobs.ingest_photos"),
    "count": (configs.CountConfig, "spark_jobs.count_taxa"),
    "select": (configs.SelectConfig, "spark_jobs.select_photos"),
    "download": (configs.DownloadConfig, "spark_jobs.download_images"),
    "label": (configs.LabelConfig, "spark_jobs.label_photos"),
}


def steps(path: Path) -> list[tuple[str, Any]]:
    """(module, config) of every step of a pipeline file, in the order that data flows.

    Raises:
        BadInputError: a table or key is unknown, or a value is not allowed; the message names file and table.
    """
    values = configs.read_toml(path)
    root = values.pop("root", None)
    if unknown := sorted(set(values) - set(_STEPS)):
        raise BadInputError(f"{path}: unknown table {', '.join(unknown)}; known: root, {', '.join(_STEPS)}")
    found = []
    for name, (config_class, module) in _STEPS.items():
        for table in _tables(values.get(name), f"{path} [{name}]"):
            settings = ({"root": root} if root else {}) | table
            found.append((module, configs.from_mapping(config_class, settings, f"{path} [{name}]")))
    if not found:
        raise BadInputError(f"{path}: no step; give at least one of the tables {', '.join(_STEPS)}")
    return found


def _tables(value: Any, where: str) -> list[dict[str, Any]]:
    if value is None:
        return []
    tables = value if isinstance(value, list) else [value]
    for table in tables:
        if not isinstance(table, dict):
            raise BadInputError(f"{where}: {table!r} is no table; write [{where.rpartition('[')[2]} and its keys below")
    return tables


def run_pipeline(path: Path) -> None:
    """Check all steps, then run them."""
    for module, config in steps(path):
        cli.run_config(module, config)
