"""Forty shards on a cluster of two workers of which one is ten times slower: no slot waits while shards do."""

import contextlib
import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from sample.photo_server import PhotoServer
from tests.conftest import PROJECT
from tests.spark_jobs.small_root import files_and_rows_agree, make_pictures, make_tables, stored_pictures
from tests.spark_jobs.test_download_random_kills import executors
from tests.spark_jobs.test_spark_submit import clean_environment, standalone_cluster

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(600)]
NUM_SHARDS = 40
PER_SHARD = 25
LONGEST_IDLE_S = 1.0
"""Between the end of a task and the start of the next lie a message to the driver and its answer."""


@contextlib.contextmanager
def slowed(folder: Path) -> Iterator[list[int]]:
    """While the block runs, one executor and its Python workers run a tenth of the time; yields the pids slowed."""
    over = threading.Event()
    pids: list[int] = []

    def slow() -> None:
        while not over.is_set():
            chosen = [one for one in executors(folder) if not pids or one.pid == pids[0]][:1]
            if not chosen:
                time.sleep(0.1)
                continue
            pids[:] = [chosen[0].pid]
            tree = [*chosen, *chosen[0].children(recursive=True)]
            for number, pause_s in ((signal.SIGSTOP, 0.09), (signal.SIGCONT, 0.01)):
                for one in tree:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        one.send_signal(number)
                time.sleep(pause_s)

    thread = threading.Thread(target=slow, daemon=True)
    thread.start()
    try:
        yield pids
    finally:
        over.set()
        thread.join()


def download_tasks(log: Path) -> dict[str, list[tuple[float, float]]]:
    """Executor -> (start, end) of its tasks of the stage with NUM_SHARDS tasks, s, in order."""
    stages: dict[int, dict[str, list[tuple[float, float]]]] = {}
    for line in log.read_text().splitlines():
        event = json.loads(line)
        if event["Event"] == "SparkListenerTaskEnd":
            info = event["Task Info"]
            times = info["Launch Time"] / 1000, info["Finish Time"] / 1000
            stages.setdefault(event["Stage ID"], {}).setdefault(info["Executor ID"], []).append(times)
    [found] = [tasks for tasks in stages.values() if sum(map(len, tasks.values())) == NUM_SHARDS]
    return {executor: sorted(tasks) for executor, tasks in found.items()}


def test_no_slot_is_idle_while_shards_wait(tmp_path: Path):
    root, events = tmp_path / "root", tmp_path / "events"
    num_photos = NUM_SHARDS * PER_SHARD
    make_tables(root, range(1, num_photos + 1))
    events.mkdir()
    pictures = make_pictures(tmp_path / "pictures", range(1, num_photos + 1))
    with PhotoServer({"photos": pictures}) as server, standalone_cluster(tmp_path) as master, slowed(tmp_path) as slow:
        options = ["--master", master, "--executor-memory", "512m", "--total-executor-cores", "2"]
        options += ["--conf", f"spark.executor.extraJavaOptions=-Dtaxaflow.test={tmp_path}"]
        options += ["--conf", "spark.eventLog.enabled=true", "--conf", f"spark.eventLog.dir=file://{events}"]
        options += ["--conf", "spark.eventLog.rolling.enabled=false", "--conf", "spark.eventLog.compress=false"]
        flags = ["--root", str(root), "--dataset", "birds", "--split", "all", "--samples-per-shard", str(PER_SHARD)]
        job = str(PROJECT / "spark_jobs" / "download_images.py")
        command = ["spark-submit", *options, job, *flags, "--base-url", server.base_url]
        done = subprocess.run(
            command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=500
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        assert slow
    assert set(stored_pictures(root)) == set(range(1, num_photos + 1))
    files_and_rows_agree(root)
    [log] = [path for path in events.iterdir() if path.is_file()]
    tasks = download_tasks(log)
    assert len(tasks) == 2
    sizes = sorted(len(of_one) for of_one in tasks.values())
    assert sizes[0] * 3 < sizes[1], "one was much slower"
    last_start = max(start for of_one in tasks.values() for start, _ in of_one)
    for of_one in tasks.values():
        for (_, end), (start, _) in pairwise(of_one):
            assert start - end < LONGEST_IDLE_S or end > last_start
