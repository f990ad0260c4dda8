"""Metadata files -> the tables photos (key photo_id) and photo_rejects (key source, snapshot, raw_sha256).

Reads the input files and photos. The same files again commit nothing to either table; a next month's files write
only what is new, changed or, under --complete, gone. One commit per table, rejects first.
"""

import re
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if __name__ == "__main__":  # spark-submit runs this file alone, from anywhere
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from spark_jobs import photo_changes, table_io
from spark_jobs.config import IngestConfig
from spark_jobs.input_files import find_input
from spark_jobs.locks import lock
from spark_jobs.photo_rejects import photo_rejects, upsert_rejects
from spark_jobs.photo_rows import accepted_photos, identify, reject_reason
from spark_jobs.read_inaturalist import GIVEN_COLUMNS, find_inaturalist, read_inaturalist
from spark_jobs.read_metadata import read_metadata
from spark_jobs.repeated_photos import Incoming, find_repeated
from spark_jobs.resolve_taxa import resolve_lineages
from spark_jobs.runs import Run, Summary
from spark_jobs.scratch import Scratch
from spark_jobs.tables import PHOTO_REJECTS, PHOTOS, REJECT_REASONS, WITHDRAWALS
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_INPUT_FILE = re.compile(r"(?:FAILED_READ_FILE|CANNOT_READ_FILE)[^\n]*?file:/*(/[^\s\n]*[^\s\n.,])")

_CAN_BE_SILENT = ("source_photo_id", "license", "attribution", "common_name", *RANKS)


@dataclass(frozen=True)
class _Raw:
    """The rows of the input: the raw frame, their number, which of our columns no file has, notes for the user."""

    frame: DataFrame
    num_rows: int
    silent: frozenset[str]
    notes: tuple[str, ...] = ()


def check(config: IngestConfig) -> None:
    """Check all that needs no Spark: files, headers and footers of the input, versions of the tables.

    Raises:
        BadInputError: something is missing, unreadable or too new; the message names it.
    """
    _ = find_inaturalist(config) if config.source == "inaturalist" else find_input(config)
    table_io.versions(config.root, [PHOTOS, PHOTO_REJECTS, WITHDRAWALS])


def run(spark: "SparkSession", config: IngestConfig) -> Summary:
    """Ingest the files and record the run.

    Raises:
        BadInputError: as `check`, the content of a file is damaged, or another ingest holds the table.
    """
    with lock(config.root, "photos"), Scratch(spark, config.root, "ingest") as scratch, _naming_bad_file(config):
        record = Run("ingest", config.root, config, [PHOTOS])
        return _ingest(spark, config, scratch, record)


def _ingest(spark: "SparkSession", config: IngestConfig, scratch: Scratch, record: Run) -> Summary:
    raw = _read(spark, config, scratch)
    identified = identify(raw.frame, config)
    kinds = identified.groupBy("lineage_key", "row_reason", "raw_taxon_rank").agg(F.count(F.lit(1)).alias("num_rows"))
    kinds = scratch.keep("kinds", kinds)
    lineages = resolve_lineages(kinds.select("lineage_key").distinct(), scratch)
    rejects, num_misranked = _tally(kinds, lineages)
    incoming = find_repeated(identified, lambda rows: accepted_photos(rows, lineages, config), scratch)
    for table in (PHOTOS, PHOTO_REJECTS, WITHDRAWALS):
        table_io.create(config.root, table)
    changed = False
    if rejects:
        changed = upsert_rejects(spark, config.root, photo_rejects(identified, lineages, config), scratch)
    changes = _write_photos(spark, photo_changes.Comparison(config, raw.silent), incoming, scratch)
    counts = _counts(raw.num_rows, incoming, changes, rejects)
    notes = [*raw.notes]
    if num_misranked:
        notes.append(f"{num_misranked:,} rows have a taxonRank other than their lineage's deepest rank, which counts")
    changed = changed or changes["new"] + changes["changed"] + changes["gone"] > 0
    return record.finish([PHOTOS, PHOTO_REJECTS, WITHDRAWALS], counts, changed, notes)


def _read(spark: "SparkSession", config: IngestConfig, scratch: Scratch) -> _Raw:
    """The raw frame, ready to be read several times: parquet where it lies, all else kept in scratch."""
    rows_read = Observation()
    if config.source == "inaturalist":
        frame = scratch.keep("raw", read_inaturalist(spark, find_inaturalist(config), rows_read))
        return _Raw(frame, rows_read.get["num_rows"], _silent(config, GIVEN_COLUMNS))
    files = find_input(config)
    notes = ()
    if files.left_aside:
        notes = (f"{len(files.left_aside)} CSV files of the folder were not read, only its parquet files",)
    frame = read_metadata(spark, files)
    num_rows = files.num_rows
    if num_rows is None:
        frame = scratch.keep("raw", frame.observe(rows_read, F.count(F.lit(1)).alias("num_rows")))
        num_rows = rows_read.get["num_rows"]
    return _Raw(frame, num_rows, _silent(config, files.columns), notes)


def _silent(config: IngestConfig, columns: Collection[str]) -> frozenset[str]:
    given = {*columns, "source_photo_id"} if config.source == "csv" and "photo_id" in columns else set(columns)
    return frozenset(name for name in _CAN_BE_SILENT if name not in given)


def _tally(kinds: DataFrame, lineages: DataFrame) -> tuple[dict[str, int], int]:
    """Rejected rows per reason in the documented order, and photos whose taxonRank is not their taxon's rank."""
    rank = F.lower("raw_taxon_rank")
    is_misranked = rank.isin(*RANKS) & (rank != F.col("taxon_rank"))
    rows = kinds.join(lineages, on="lineage_key", how="inner").groupBy(reject_reason().alias("reason"))
    tally = rows.agg(F.sum("num_rows").alias("rows"), F.sum(F.when(is_misranked, F.col("num_rows"))).alias("misranked"))
    found = {row["reason"]: row for row in tally.collect()}
    rejects = {reason: int(found[reason]["rows"]) for reason in REJECT_REASONS if reason in found}
    return rejects, int(found[None]["misranked"] or 0) if None in found else 0


def _write_photos(
    spark: "SparkSession", comparison: photo_changes.Comparison, incoming: Incoming, scratch: Scratch
) -> Mapping[str, int]:
    """Bring photos up to date in at most one commit; returns kind of change -> photos."""
    root, config = comparison.config.root, comparison.config
    num_before = table_io.open_table(root, PHOTOS).count()
    if not num_before:
        table_io.append(root, PHOTOS, photo_changes.new_rows(incoming.photos(), config))
        num_new = table_io.open_table(root, PHOTOS).count()
        return {**dict.fromkeys(photo_changes.KINDS, 0), "new": num_new}
    stored = table_io.read(spark, root, PHOTOS)
    changes = photo_changes.find_changes(incoming.photos(), stored, comparison, scratch)
    if changes.num_changes == changes.counts["new"] > 0:
        rows = photo_changes.new_rows(incoming.photos(changes.of("new")), config)
        table_io.append(root, PHOTOS, rows)
    elif changes.num_changes:
        rows = photo_changes.changed_rows(changes, incoming, stored, comparison)
        table_io.merge(spark, root, PHOTOS, scratch.keep("changed_rows", rows))
    num_added = table_io.open_table(root, PHOTOS).count() - num_before
    assert num_added == changes.counts["new"], f"{num_added} rows were added, not {changes.counts['new']}"
    return changes.counts


def _counts(
    num_rows: int, incoming: Incoming, changes: Mapping[str, int], rejects: Mapping[str, int]
) -> dict[str, int]:
    """What the run says of its rows; every row read is in exactly one of the six kinds."""
    parts = {
        **{kind: changes[kind] for kind in ("new", "changed", "unchanged")},
        "duplicates": incoming.num_duplicates,
        "conflicts": incoming.num_conflicts,
        "rejects": sum(rejects.values()),
    }
    assert sum(parts.values()) == num_rows, f"{num_rows} rows read, but {parts}"
    reasons = {f"rejects_{reason}": number for reason, number in rejects.items()}
    return {"rows_read": num_rows, **parts, "gone": changes["gone"], **reasons}


@contextmanager
def _naming_bad_file(config: IngestConfig) -> Iterator[None]:
    """Turn Spark's failure to read an input file into one line that names the file."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        found = _INPUT_FILE.search(str(error))
        if found is None:
            raise
        raise BadInputError(f"{unquote(found.group(1))}: cannot be read; the file is damaged") from error


def main() -> None:
    """Run the command as the whole program."""
    from spark_jobs.cli import ingest, run_script

    run_script(ingest)


if __name__ == "__main__":
    main()
