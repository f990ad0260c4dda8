"""selections -> tar shards: every wanted photo fetched, verified and stored exactly once.

Tables read: selections, photos. Tables written: shard_plan (before the first request), shards (the commit),
downloads (the ledger). First run, restart after a crash, top-up of failures and a grown selection are one operation:
what is planned and not committed is finished first, then what is wanted and not settled is planned and done. With
nothing to ask for, nothing is written but the run's row.
"""

import sys
import tempfile
import threading
import time
from collections import Counter
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
from spark_jobs.plan_shards import check_rendition, plan_shards
from spark_jobs.progress import Progress
from spark_jobs.runs import Run, Summary
from spark_jobs.shard_task import RESULT_SCHEMA, write_partition
from spark_jobs.shard_writer import ShardJob
from spark_jobs.tables import DOWNLOADS, PHOTOS, SELECTIONS, SHARD_PLAN, SHARDS
from spark_jobs.write_manifest import write_manifest
from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.shards import DatasetFacts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_COMMIT_SHARDS = 256
_COMMIT_SECONDS = 60.0
_POLL_SECONDS = 1.0


def check(config: DownloadConfig) -> None:
    """What can be refused without Spark.

    Raises:
        BadInputError: no selection of that name, or the dataset has another rendition or layout.
    """
    of_dataset = pc.field("dataset") == config.dataset
    selected = table_io.read_arrow(config.root, SELECTIONS, ["dataset"], of_dataset)
    if selected.num_rows == 0:
        raise BadInputError(
            f"no selection named {config.dataset}; run: taxaflow data select --dataset {config.dataset}"
        )
    check_rendition(config.root, config)


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
        for table in (SHARD_PLAN, SHARDS, DOWNLOADS):
            table_io.create(config.root, table)
        record = Run("download", config.root, config, (SELECTIONS, PHOTOS))
        store = ShardStore(config.root, config.dataset)
        before = {row.shard_file for row in store.committed()}
        num_swept = _recover(store, config)
        try:
            _finish_open_shards(spark, config, store, record.run_id)
            num_planned = plan_shards(spark, config)
            _finish_open_shards(spark, config, store, record.run_id)
        finally:
            _update_manifest(store, config)
        num_swept += store.sweep()
        new = [row for row in store.committed() if row.shard_file not in before]
        counts = {"shards_committed": len(new), "photos_planned": num_planned, "stray_files_swept": num_swept}
        counts |= _status_counts(config, {row.shard_file for row in new})
        return record.finish((SHARD_PLAN, SHARDS, DOWNLOADS), counts, bool(new), _notes(store))


def _recover(store: ShardStore, config: DownloadConfig) -> int:
    """Adopt what an earlier run finished and did not commit, complete the ledger, sweep the rest."""
    store.complete_ledger()
    store.commit(store.finished(store.open_keys(("train", "val", "test"))))
    num_swept = store.sweep()
    _update_manifest(store, config)
    return num_swept


def _update_manifest(store: ShardStore, config: DownloadConfig) -> None:
    committed = store.committed()
    if not committed:
        return
    pause_points.reached("before_manifest")
    versions = table_io.versions(store.root, (PHOTOS, SELECTIONS, SHARDS))
    write_manifest(store.folder, DatasetFacts(config.dataset, config.rendition, config.layout, versions), committed)


def _finish_open_shards(spark: "SparkSession", config: DownloadConfig, store: ShardStore, run_id: str) -> None:
    """Run the Spark job for every open shard in a thread, and commit shards here as they are finished."""
    keys = store.open_keys(config.splits)
    if not keys:
        return
    planned = _planned_photos(spark, config, keys)
    task = partial(write_partition, job=_shard_job(config, run_id), transport=config.transport)
    failure: list[BaseException] = []

    def work() -> None:
        try:
            planned.mapInArrow(task, RESULT_SCHEMA).collect()
        except BaseException as error:  # handed to the main thread, which raises it
            failure.append(error)

    thread = threading.Thread(target=work, name="download tasks", daemon=True)
    thread.start()
    _commit_while(thread, store, keys)
    if failure:
        if isinstance(failure[0], KeyboardInterrupt):
            raise failure[0]
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


def _status_counts(config: DownloadConfig, new_files: set[str]) -> dict[str, int]:
    of_dataset = pc.field("dataset") == config.dataset
    listed = table_io.read_arrow(config.root, DOWNLOADS, ["shard_file", "status"], of_dataset)
    statuses = zip(listed.column("shard_file").to_pylist(), listed.column("status").to_pylist(), strict=True)
    counts = Counter(status for file, status in statuses if file in new_files)
    return {"ok": counts.pop("ok", 0)} | dict(sorted(counts.items()))


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
