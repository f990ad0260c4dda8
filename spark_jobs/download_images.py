"""selections -> tar shards: every wanted photo fetched, verified and stored exactly once.

Tables read: selections, photos. Tables written: shard_plan (before the first request), shards (the commit),
downloads (the ledger). First run, restart after a crash, top-up of failures and a grown selection are one operation:
what is planned and not committed is finished first, then what is wanted and not settled is planned and done. With
nothing to ask for, nothing is written but the run's row.
"""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # spark-submit runs this file alone

import pyarrow.compute as pc

from spark_jobs import pause_points, table_io
from spark_jobs.commit_shards import ShardStore
from spark_jobs.config import RETRYABLE_STATUSES, DownloadConfig
from spark_jobs.dry_run import foresee
from spark_jobs.locks import check_scratch, lock
from spark_jobs.plan_shards import check_base_url, check_rendition, plan_shards
from spark_jobs.run_shards import finish_open_shards
from spark_jobs.runs import Run, Summary
from spark_jobs.statuses import Status
from spark_jobs.tables import DOWNLOADS, PHOTOS, SELECTIONS, SHARD_PLAN, SHARDS
from spark_jobs.write_manifest import write_manifest
from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.shards import SPLITS, DatasetFacts

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_log = logging.getLogger(__name__)


def check(config: DownloadConfig) -> None:
    """What can be refused without Spark.

    Raises:
        BadInputError: no selection of that name, the dataset has another rendition or layout, photos of an open plan
            need a base URL, the scratch folder cannot be written, or shards lie there that no plan knows.
        WorkFailedError: a file of a committed shard is missing or damaged.
    """
    table_io.versions(config.root, (PHOTOS, SHARD_PLAN, SHARDS, DOWNLOADS))
    if not table_io.has_rows(config.root, SELECTIONS, pc.field("dataset") == config.dataset):
        raise BadInputError(f"no selection named {config.dataset}; taxaflow data select makes one")
    check_rendition(config.root, config)
    check_scratch(config.scratch_dir)
    store = ShardStore(config.root, config.dataset)
    store.check_plan()
    if table_io.exists(config.root, SHARDS):
        store.check_files()
        open_keys = store.open_keys(config.splits)
        check_base_url(config.root, config, open_keys)


def run(spark: "SparkSession", config: DownloadConfig) -> Summary:
    """Bring the dataset's shards up to its selection.

    Raises:
        BadInputError: as `check`; or another download runs on this root; or speculation is on.
        WorkFailedError: a task failed, or not one photo came. Shards finished before stay, and the same command goes
            on from there.
    """
    if spark.conf.get("spark.speculation", "false") == "true":
        raise BadInputError("spark.speculation=true would fetch photos twice; set it to false for downloads")
    with lock(config.root, "downloads"):
        check(config)
        if config.dry_run:
            return foresee(spark, config)
        if not config.has_contact:
            _log.warning("--user-agent %r names no contact; add a mail address or a page", config.user_agent)
        for table in (SHARD_PLAN, SHARDS, DOWNLOADS):
            table_io.create(config.root, table)
        record = Run(config.job, config.root, config, (SELECTIONS, PHOTOS))
        store = ShardStore(config.root, config.dataset)
        before = {row.shard_file for row in store.committed()}
        num_swept = _recover(store, config, record)
        try:
            finish_open_shards(spark, config, store, record.run_id)
            num_planned = plan_shards(spark, config, record.input_versions)
            finish_open_shards(spark, config, store, record.run_id)
        finally:
            _update_manifest(store, config, record)
        num_swept += store.sweep()
        new = [row for row in store.committed() if row.shard_file not in before]
        counts = {"shards_committed": len(new), "photos_planned": num_planned, "stray_files_swept": num_swept}
        counts |= store.status_counts(new)
        summary = record.finish((SHARD_PLAN, SHARDS, DOWNLOADS), counts, bool(new), _notes(store))
        _check_outcome(summary)
        return summary


def _check_outcome(summary: Summary) -> None:
    """Raise WorkFailedError where photos were asked for and every one failed in a way that may pass."""
    failed = {name: summary.counts[name] for name in RETRYABLE_STATUSES if summary.counts.get(name)}
    others = [status.value for status in Status if status.value not in failed]
    if failed and not any(summary.counts.get(name) for name in others):
        named = ", ".join(f"{name} {number:,}" for name, number in failed.items())
        raise WorkFailedError(f"not one photo came: {named}; look at the network and the host, then run it again")


def _recover(store: ShardStore, config: DownloadConfig, record: Run) -> int:
    """Adopt what an earlier run finished and did not commit, complete the ledger, sweep the rest."""
    store.complete_ledger()
    store.commit(store.adoptable(SPLITS))
    num_swept = store.sweep()
    _update_manifest(store, config, record)
    return num_swept


def _update_manifest(store: ShardStore, config: DownloadConfig, record: Run) -> None:
    committed = store.committed()
    if not committed:
        return
    pause_points.reached("before_manifest")
    versions = {**record.input_versions, **table_io.versions(store.root, (SHARDS,))}
    ordered = {table.name: versions[table.name] for table in (PHOTOS, SELECTIONS, SHARDS)}
    write_manifest(store.folder, DatasetFacts(config.dataset, config.rendition, config.layout, ordered), committed)


def _notes(store: ShardStore) -> list[str]:
    rows = store.committed()
    num_samples, num_bytes = sum(row.num_samples for row in rows), sum(row.num_bytes for row in rows)
    return [f"{store.folder}: {num_samples:,} pictures in {len(rows):,} shards, {num_bytes / 1e6:,.1f} MB"]


def main() -> None:
    """Run `taxaflow data download`."""
    from spark_jobs.cli import download, run_script

    run_script(download)


if __name__ == "__main__":
    main()
