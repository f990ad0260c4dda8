"""selections -> tar shards: every wanted photo fetched, verified and stored exactly once.

Tables read: selections, photos. Tables written: shard_plan (before the first request), shards (the commit),
downloads (the ledger). First run, restart after a crash, top-up of failures and a grown selection are one operation:
what is planned and not committed is finished first, then what is wanted and not settled is planned and done. With
nothing to ask for, nothing is written but the run's row.
"""

import logging
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # spark-submit runs this file alone

import pyarrow.compute as pc

from spark_jobs import pause_points, table_io
from spark_jobs.commit_shards import ShardKey, ShardStore
from spark_jobs.config import DownloadConfig
from spark_jobs.fetch import FetchPolicy
from spark_jobs.locks import lock
from spark_jobs.plan_shards import check_base_url, check_rendition, plan_shards
from spark_jobs.progress import Progress
from spark_jobs.runs import Run, Summary
from spark_jobs.shard_task import RESULT_SCHEMA, write_partition
from spark_jobs.shard_writer import ShardJob
from spark_jobs.tables import DOWNLOADS, PHOTOS, SELECTIONS, SHARD_PLAN, SHARDS
from spark_jobs.write_manifest import write_manifest
from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.shards import SPLITS, DatasetFacts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_log = logging.getLogger(__name__)

_COMMIT_SHARDS = 256
_COMMIT_SECONDS = 60.0
_POLL_SECONDS = 1.0


def check(config: DownloadConfig) -> None:
    """What can be refused without Spark.

    Raises:
        BadInputError: no selection of that name, the dataset has another rendition or layout, or photos of an open
            plan need a base URL.
    """
    table_io.versions(config.root, (PHOTOS, SHARD_PLAN, SHARDS, DOWNLOADS))
    if not table_io.has_rows(config.root, SELECTIONS, pc.field("dataset") == config.dataset):
        raise BadInputError(f"no selection named {config.dataset}; taxaflow data select makes one")
    check_rendition(config.root, config)
    if table_io.exists(config.root, SHARDS):
        open_keys = ShardStore(config.root, config.dataset).open_keys(config.splits)
        check_base_url(config.root, config, open_keys)


def run(spark: "SparkSession", config: DownloadConfig) -> Summary:
    """Bring the dataset's shards up to its selection.

    Raises:
        BadInputError: as `check`; or another download runs on this root; or speculation is on.
        WorkFailedError: a task failed. Shards finished before stay, and the same command goes on from there.
    """
    if spark.conf.get("spark.speculation", "false") == "true":
        raise BadInputError("spark.speculation=true would fetch photos twice; set it to false for downloads")
    with lock(config.root, "downloads"):
        check(config)
        if not config.has_contact:
            _log.warning("--user-agent %r names no contact; add a mail address or a page", config.user_agent)
        for table in (SHARD_PLAN, SHARDS, DOWNLOADS):
            table_io.create(config.root, table)
        record = Run("download", config.root, config, (SELECTIONS, PHOTOS))
        store = ShardStore(config.root, config.dataset)
        before = {row.shard_file for row in store.committed()}
        num_swept = _recover(store, config, record)
        try:
            _finish_open_shards(spark, config, store, record.run_id)
            num_planned = plan_shards(spark, config, record.input_versions)
            _finish_open_shards(spark, config, store, record.run_id)
        finally:
            _update_manifest(store, config, record)
        num_swept += store.sweep()
        new = [row for row in store.committed() if row.shard_file not in before]
        counts = {"shards_committed": len(new), "photos_planned": num_planned, "stray_files_swept": num_swept}
        counts |= store.status_counts(new)
        return record.finish((SHARD_PLAN, SHARDS, DOWNLOADS), counts, bool(new), _notes(store))


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


def _finish_open_shards(spark: "SparkSession", config: DownloadConfig, store: ShardStore, run_id: str) -> None:
    """Run the Spark job for every open shard in a thread, and commit shards here as they are finished."""
    keys = store.open_keys(config.splits)
    if not keys:
        return
    planned = _planned_photos(spark, config, keys)
    task = partial(write_partition, job=_shard_job(config, run_id), transport=config.transport)
    failure: list[BaseException] = []
    group = f"taxaflow download {run_id}"

    def work() -> None:
        try:
            spark.sparkContext.setJobGroup(group, f"shards of {config.dataset}", interruptOnCancel=True)
            planned.mapInArrow(task, RESULT_SCHEMA).collect()
        except BaseException as error:  # handed to the main thread, which raises it
            failure.append(error)

    thread = threading.Thread(target=work, name="download tasks", daemon=True)
    thread.start()
    try:
        _commit_while(thread, store, keys)
    finally:  # no task may go on once the lock is given back
        if thread.is_alive():
            spark.sparkContext.cancelJobGroup(group)
            thread.join()
    if failure:
        raise WorkFailedError(
            f"a download task failed: {_cause(failure[0])}; run the same command to go on"
        ) from failure[0]
    if left := store.open_keys(config.splits):
        raise WorkFailedError(
            f"{len(left)} shards were not finished, the first is {left[0]}; run the same command again"
        )


def _commit_while(thread: threading.Thread, store: ShardStore, keys: Sequence[ShardKey]) -> None:
    waiting: list[Any] = []
    last_commit = time.monotonic()
    with Progress("shards", len(keys)) as progress:
        while True:
            alive = thread.is_alive()  # asked before looking, so that the last look comes after the end
            found = store.finished(keys)
            waiting += found
            progress.advance(len(found))
            due = len(waiting) >= _COMMIT_SHARDS or time.monotonic() - last_commit >= _COMMIT_SECONDS
            if waiting and (due or not alive):
                store.commit(waiting)
                waiting, last_commit = [], time.monotonic()
            if not alive:
                return
            thread.join(_POLL_SECONDS)


def _planned_photos(spark: "SparkSession", config: DownloadConfig, keys: Sequence[ShardKey]) -> "DataFrame":
    """The planned photos of the open shards, one shard per partition, by position."""
    from pyspark.sql import functions as F

    numbered = [(split, shard_id, number) for number, (split, shard_id) in enumerate(keys)]
    shards = spark.createDataFrame(numbered, "split string, shard_id int, task int")
    plan = table_io.read(spark, config.root, SHARD_PLAN).where(F.col("dataset") == config.dataset)
    planned = plan.join(F.broadcast(shards), on=["split", "shard_id"], how="inner")
    return planned.repartitionById(len(keys), F.col("task")).sortWithinPartitions("position").drop("task")


def _shard_job(config: DownloadConfig, run_id: str) -> ShardJob:
    """What all tasks share; split, shard_id and attempt are each task's own."""
    policy = FetchPolicy(
        tries=config.tries, deadline_s=config.timeout_s, user_agent=config.user_agent, base_url=config.base_url
    )
    return ShardJob(
        dataset=config.dataset,
        split="",
        shard_id=-1,
        layout=config.layout,
        shards_dir=(config.root / "shards" / config.dataset).resolve(),
        scratch_dir=config.scratch or Path(tempfile.gettempdir()),
        run_id=run_id,
        attempt="",
        connections=config.max_per_host,
        max_edge_px=config.max_edge_px,
        policy=policy,
    )


def _notes(store: ShardStore) -> list[str]:
    rows = store.committed()
    num_samples, num_bytes = sum(row.num_samples for row in rows), sum(row.num_bytes for row in rows)
    return [f"{store.folder}: {num_samples:,} pictures in {len(rows):,} shards, {num_bytes / 1e6:,.1f} MB"]


def _cause(error: BaseException) -> str:
    """The line of a Spark failure that names the exception in the Python worker."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    python = [line for line in lines if line.split(":")[0].endswith(("Error", "Exception")) and "Spark" not in line]
    return (python or lines or [repr(error)])[-1 if python else 0][:300]


def main() -> None:
    """Run `taxaflow data download`."""
    from spark_jobs.cli import download, run_script

    run_script(download)


if __name__ == "__main__":
    main()
