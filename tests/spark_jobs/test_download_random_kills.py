"""Twenty kills at random moments of 5,000-photo downloads of which a tenth of the first requests fails.

Locally the whole command is killed and run again. On a standalone cluster single executors and single Python workers
are killed while the driver goes on, at most three in one run, and Spark repeats their tasks.
"""

import contextlib
import hashlib
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from spark_jobs import table_io
from spark_jobs.tables import SHARDS
from tests import fault_server as faults
from tests.conftest import PROJECT
from tests.fault_server import FaultServer
from tests.picture_bodies import jpeg
from tests.spark_jobs.small_root import files_and_rows_agree, make_tables, stored_pictures
from tests.spark_jobs.test_download_kills import IN_FLIGHT_PER_KILL, kill_tree, small_spark, wait_until
from tests.spark_jobs.test_spark_submit import clean_environment, standalone_cluster

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(1800)]
NUM_PHOTOS = 5000
FLAGS = ["--dataset", "birds", "--samples-per-shard", "100", "--max-per-host", "8"]


class ShakyServer(FaultServer):
    """Every tenth photo fails once, each in its way."""

    def __init__(self) -> None:
        super().__init__()
        bodies = [jpeg(i, 48, 32) for i in range(50)]
        failures = [faults.status(500), faults.status(429), faults.disconnect(), faults.truncated(bodies[0], 100)]
        self.expected: dict[int, str] = {}
        for i in range(1, NUM_PHOTOS + 1):
            note = str(i).encode()
            segment = b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note  # a comment: every file differs
            body = bodies[i % 50][:2] + segment + bodies[i % 50][2:]
            self.expected[i] = hashlib.sha256(body).hexdigest()
            answer = faults.ok(body)
            if i % 10 == 0:
                answer = faults.first(1, failures[i // 10 % 4], answer)
            self.add(f"/photos/{i}/medium.jpg", answer)

    @property
    def base_url(self) -> str:
        return self.url("").rstrip("/")

    @property
    def num_asked(self) -> int:
        return len(self.record.requests)


@pytest.fixture
def download(tmp_path: Path) -> Iterator[tuple[Path, ShakyServer]]:
    root = tmp_path / "root"
    make_tables(root, range(1, NUM_PHOTOS + 1))
    with ShakyServer() as server:
        yield root, server


def check(root: Path, server: ShakyServer, num_kills: int) -> None:
    assert stored_pictures(root) == server.expected
    files_and_rows_agree(root)
    assert server.num_asked <= 1.1 * NUM_PHOTOS + IN_FLIGHT_PER_KILL * num_kills + 10
    assert not list(root.rglob("*.tmp"))


def wait_for_requests(server: ShakyServer, number: int, process: subprocess.Popen) -> None:
    wait_until(lambda: server.num_asked >= number, process)


@pytest.mark.parametrize("seed", [1, 2])
def test_kills_of_the_whole_command(download, seed):
    root, server = download
    moments = random.Random(seed)
    command = ["python", str(PROJECT / "taxaflow.py"), "data", "download", "--root", str(root), *FLAGS]
    command += ["--base-url", server.base_url]
    environment = clean_environment() | small_spark()

    def start() -> subprocess.Popen:
        return subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=subprocess.PIPE, text=True)

    for _ in range(4):
        process = start()
        wait_for_requests(server, server.num_asked + moments.randint(1, 900), process)
        time.sleep(moments.random() * 0.3)
        kill_tree(process)
    process = start()
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-2000:]
    check(root, server, num_kills=4)


def executors(folder: Path) -> list[psutil.Process]:
    """The executors of the cluster in `folder`: children of this process's workers."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            line = " ".join(process.cmdline())
            if "CoarseGrainedExecutorBackend" in line and str(folder) in line:
                found.append(process)
    return found


def victims(kind: str, folder: Path) -> list[psutil.Process]:
    """The executors of the cluster in `folder`, or the Python workers below them that run tasks."""
    jvms = executors(folder)
    if kind == "executor":
        return jvms
    children = [child for jvm in jvms for child in jvm.children(recursive=True)]
    daemons = {child.pid for child in children if any("pyspark.daemon" in part for part in child.cmdline())}
    return [child for child in children if child.ppid() in daemons]


@pytest.mark.parametrize("kind", ["executor", "worker", "executor then worker", "worker then executor"])
def test_kills_on_a_cluster_while_the_driver_goes_on(download, tmp_path, kind):
    root, server = download
    moments = random.Random(kind)
    with standalone_cluster(tmp_path) as master:
        options = ["--master", master, "--executor-memory", "512m", "--total-executor-cores", "2"]
        options += ["--conf", f"spark.executor.extraJavaOptions=-Dtaxaflow.test={tmp_path}"]
        job = str(PROJECT / "spark_jobs" / "download_images.py")
        command = ["spark-submit", *options, job, "--root", str(root), *FLAGS, "--base-url", server.base_url]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for number in range(3):
            chosen = kind.split(" then ")[number % (1 + (" then " in kind))]
            wait_for_requests(server, server.num_asked + moments.randint(200, 1000), process)
            time.sleep(moments.random() * 0.3)
            wait_until(lambda chosen=chosen: bool(victims(chosen, tmp_path)), process)
            moments.choice(victims(chosen, tmp_path)).kill()
        output, _ = process.communicate(timeout=900)
        assert process.returncode == 0, output[-3000:]
    check(root, server, num_kills=3)
    assert table_io.read_arrow(root, SHARDS).num_rows >= NUM_PHOTOS // 100
