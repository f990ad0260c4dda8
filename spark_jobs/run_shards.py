"""The Spark job that finishes open shards: one task per shard, committed here by the driver as they are finished."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from py4j.protocol import Py4JJavaError

from spark_jobs import table_io
from spark_jobs.commit_shards import ShardKey, ShardStore
from spark_jobs.config import DownloadConfig
from spark_jobs.fetch import FetchPolicy
from spark_jobs.job_manners import make_book
from spark_jobs.lease_service import CountingBook, LeaseService
from spark_jobs.plan_shards import planned_sizes
from spark_jobs.progress import DownloadProgress, progress_file
from spark_jobs.shard_task import RESULT_SCHEMA, write_partition
from spark_jobs.shard_writer import ShardJob
from spark_jobs.tables import SHARD_PLAN
from spark_jobs.transport import make_transport
from taxonomy.errors import WorkFailedError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_COMMIT_SHARDS = 256
_COMMIT_SECONDS = 60.0
_POLL_SECONDS = 1.0


def finish_open_shards(spark: "SparkSession", config: DownloadConfig, store: ShardStore, run_id: str) -> None:
    """Fetch, write and commit every planned shard of the configured splits that has no row yet.

    Raises:
        WorkFailedError: a task failed. Shards finished before are committed.
    """
    keys = store.open_keys(config.splits)
    if not keys:
        return
    planned = _planned_photos(spark, config, keys)
    job = _shard_job(config, run_id)
    sizes = planned_sizes(config.root, config.dataset)
    num_photos = sum(sizes[key] for key in keys)
    with (
        _serving(spark, config, job) as (service, book),
        DownloadProgress(config.dataset, num_photos, progress_file(config.root)) as progress,
    ):
        task = partial(write_partition, job=job, transport=config.transport, service=service.address)

        def fetch_all() -> None:
            planned.mapInArrow(task, RESULT_SCHEMA).collect()

        with _running(spark, fetch_all, f"shards of {config.dataset}", run_id) as (thread, failures):
            _commit_while(thread, store, keys, lambda: progress.show(book.photos()))
    if failures:
        raise WorkFailedError(
            f"a download task failed: {_cause(failures[0])}; run the same command to go on"
        ) from failures[0]
    if left := store.open_keys(config.splits):
        raise WorkFailedError(
            f"{len(left)} shards were not finished, the first is {left[0]}; run the same command again"
        )


@contextmanager
def _serving(
    spark: "SparkSession", config: DownloadConfig, job: ShardJob
) -> Iterator[tuple[LeaseService, CountingBook]]:
    """The job's lease service, at the address that executors reach this driver at."""
    host = spark.conf.get("spark.driver.host", "127.0.0.1") or "127.0.0.1"
    bind = spark.conf.get("spark.driver.bindAddress", host) or host
    transport = make_transport(config.transport, config.max_per_host)
    book = CountingBook(make_book(job.policy, transport, config.max_per_host, config.max_rate))
    try:
        with LeaseService(book, host, bind) as service:
            yield service, book
    finally:
        transport.close()


@contextmanager
def _running(
    spark: "SparkSession", work: Callable[[], None], what: str, run_id: str
) -> Iterator[tuple[threading.Thread, list[BaseException]]]:
    """Spark work in a thread of its own, cancelled and awaited when the block ends; the list gets its failure."""
    failures: list[BaseException] = []
    group = f"taxaflow download {run_id}"

    def run() -> None:
        try:
            spark.sparkContext.setJobGroup(group, what, interruptOnCancel=True)
            work()
        except BaseException as error:  # handed to the caller, who raises it
            failures.append(error)

    thread = threading.Thread(target=run, name="download tasks", daemon=True)
    thread.start()
    try:
        yield thread, failures
    finally:  # no task may go on once the lock is given back
        while thread.is_alive():  # again and again, as the work may not have reached Spark yet
            spark.sparkContext.cancelJobGroup(group)
            thread.join(_POLL_SECONDS)


def _commit_while(
    thread: threading.Thread, store: ShardStore, keys: Sequence[ShardKey], show: Callable[[], None]
) -> None:
    waiting: list[Any] = []
    last_commit = time.monotonic()
    while True:
        alive = thread.is_alive()  # asked before looking, so that the last look comes after the end
        waiting += store.finished(keys)
        show()
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

    shards = spark.createDataFrame(numbered(keys))
    plan = table_io.read(spark, config.root, SHARD_PLAN).where(F.col("dataset") == config.dataset)
    planned = plan.join(F.broadcast(shards), on=["split", "shard_id"], how="inner")
    return planned.repartitionById(len(keys), F.col("task")).sortWithinPartitions("position").drop("task")


def numbered(keys: Sequence[ShardKey]) -> pa.Table:
    """split, shard_id, task: the keys with their numbers. Arrow, since a list would start Python workers to read it."""
    numbers = [pa.array([shard_id for _, shard_id in keys], pa.int32()), pa.array(range(len(keys)), pa.int32())]
    return pa.table([pa.array([split for split, _ in keys]), *numbers], ["split", "shard_id", "task"])


def _shard_job(config: DownloadConfig, run_id: str) -> ShardJob:
    """What all tasks share; split, shard_id and attempt are each task's own."""
    return ShardJob(
        dataset=config.dataset,
        split="",
        shard_id=-1,
        layout=config.layout,
        shards_dir=(config.root / "shards" / config.dataset).resolve(),
        scratch_dir=config.scratch_dir,
        run_id=run_id,
        attempt="",
        connections=config.max_per_host,
        max_edge_px=config.max_edge_px,
        policy=FetchPolicy.of(config),
    )


_JVM_GONE = ("Py4JNetworkError", "Connection refused", "Connection reset", "EOFError")
_WORKER_GONE = "Python worker exited unexpectedly"


def _cause(error: BaseException) -> str:
    """One line that names why a Spark job failed: the exception in the Python worker, where there is one."""
    text = f"{type(error).__name__}: {error}"
    if not isinstance(error, Py4JJavaError) and any(sign in text for sign in _JVM_GONE):
        return "Spark's Java process ended"
    if _WORKER_GONE in text:
        return "a Python worker of Spark ended (killed, or out of memory)"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    python = [line for line in lines if line.split(":")[0].endswith(("Error", "Exception")) and "Spark" not in line]
    return (python or lines)[-1 if python else 0][:300]
