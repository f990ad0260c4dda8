"""Makes metadata of any size to measure and test with: BioTrove's files or iNaturalist's four tables.

    python -m bench.make_metadata biotrove --rows 5000000 --species 60000 --files 20 --out DIR --seed 42
    python -m bench.make_metadata inaturalist --photos 1000000 --out DIR --months 2

Species counts follow Zipf's law; 28 % of the rows lie outside the seven categories; lineages are real where the shared
taxonomy is present. The same arguments give the same rows on every machine, for any number of files.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from bench.biotrove_rows import BioTroveRows
from bench.inaturalist_files import INaturalistConfig, write_inaturalist
from bench.species_pool import PoolError, load_pool

BLOCK_ROWS = 250_000
"""Rows held in memory at once."""


@dataclass(frozen=True)
class BioTroveConfig:
    """One set of BioTrove-shaped files."""

    out: Path
    rows: int
    species: int = 60_000
    files: int = 20
    seed: int = 42
    dirty: float = 0.0
    columns: int = 11
    format: str = "parquet"
    """parquet or csv."""
    lineages: str = "auto"
    """auto, real or invented."""

    def __post_init__(self) -> None:
        """Raises: ValueError where a number makes no sense."""
        if not 1 <= self.files <= self.rows:
            raise ValueError(f"--files {self.files}: allowed are 1 to --rows {self.rows}")
        if self.format not in ("parquet", "csv"):
            raise ValueError(f"--format {self.format}: allowed are parquet and csv")


def write_biotrove(config: BioTroveConfig) -> dict[str, object]:
    """Writes `chunk_0_1000_<n>.<format>`, n from 1, into config.out, over existing ones, and returns the truth."""
    pool = load_pool(config.species, config.seed, config.lineages)
    rows = BioTroveRows(pool, config.rows, config.seed, config.dirty, config.columns)
    config.out.mkdir(parents=True, exist_ok=True)
    write = _write_parquet if config.format == "parquet" else _write_csv
    for index in range(config.files):
        start, stop = (config.rows * edge // config.files for edge in (index, index + 1))
        write(config.out / f"chunk_0_1000_{index + 1}.{config.format}", rows, start, stop)
    return rows.truth()


def _write_parquet(path: Path, rows: BioTroveRows, start: int, stop: int) -> None:
    """Snappy parquet that names no reader: no Arrow schema inside, as in files of other writers."""
    with pq.ParquetWriter(path, rows.schema, compression="snappy", store_schema=False) as writer:
        _each_block(rows, start, stop, writer.write_table)


def _write_csv(path: Path, rows: BioTroveRows, start: int, stop: int) -> None:
    """CSV with a header, quotes only where needed, nothing for null."""
    options = pa_csv.WriteOptions(quoting_style="needed")
    with pa_csv.CSVWriter(path, rows.schema, write_options=options) as writer:
        _each_block(rows, start, stop, writer.write_table)


def _each_block(rows: BioTroveRows, start: int, stop: int, write: Callable[[pa.Table], Any]) -> None:
    for first in range(start, stop, BLOCK_ROWS):
        write(rows.block(first, min(first + BLOCK_ROWS, stop)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.make_metadata", description=(__doc__ or "").split("\n")[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    biotrove = kinds.add_parser("biotrove", help="BioTrove's parquet or CSV files")
    biotrove.add_argument("--rows", type=int, required=True)
    biotrove.add_argument("--files", type=int, default=20)
    biotrove.add_argument("--dirty", type=float, default=0.0, metavar="SHARE", help="share of damaged rows, 0 to 0.5")
    biotrove.add_argument("--columns", type=int, choices=(11, 12), default=11)
    biotrove.add_argument("--format", choices=("parquet", "csv"), default="parquet")
    inaturalist = kinds.add_parser("inaturalist", help="iNaturalist Open Data's four tables")
    inaturalist.add_argument("--photos", type=int, required=True)
    inaturalist.add_argument("--months", type=int, default=1, help="1: files in DIR; more: DIR/month1, DIR/month2, ...")
    inaturalist.add_argument("--truth-rows", type=Path, metavar="FILE", help="parquet: what must become of each row")
    for each in (biotrove, inaturalist):
        each.add_argument("--species", type=int, default=60_000)
        each.add_argument("--out", type=Path, required=True, metavar="DIR")
        each.add_argument("--seed", type=int, default=42)
        each.add_argument("--lineages", choices=("auto", "real", "invented"), default="auto")
        each.add_argument("--truth", type=Path, metavar="FILE", help="JSON: what an ingest of the files must count")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Writes the files asked for; returns 0, or 2 with one line on stderr for arguments that make no sense."""
    options = vars(_parser().parse_args(arguments))
    kind, truth_file = options.pop("kind"), options.pop("truth")
    try:
        if kind == "biotrove":
            truth = write_biotrove(BioTroveConfig(**options))
        else:
            truth = write_inaturalist(INaturalistConfig(**options))
    except (PoolError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    text = json.dumps(truth, indent=2)
    if truth_file is not None:
        truth_file.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
