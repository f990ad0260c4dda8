"""kill -9 at every point of a download, each followed by the same command again: nothing lost, nothing twice.

The whole process tree is killed: the command, the JVM, the Python workers.
"""

import contextlib
import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sample.photo_server import PhotoServer
from spark_jobs import pause_points
from tests.conftest import PROJECT, SMALL_SPARK
from tests.picture_bodies import jpeg
from tests.spark_jobs.small_root import files_and_rows_agree, make_tables, stored_pictures

pytestmark = [pytest.mark.process, pytest.mark.timeout(900)]
WAIT_S = 180.0
IN_FLIGHT_PER_KILL = 200
"""Two tasks of 100 photos each may be under way when the kill comes."""


def small_spark() -> dict[str, str]:
    """Environment variables for a command on little data."""
    settings = ";".join(f"{key}={value}" for key, value in SMALL_SPARK.items())
    return {"TAXAFLOW_SPARK_CONF": settings, "TAXAFLOW_DRIVER_MEMORY": "1g"}


class Download:
    """A data root with a selection, a photo server, and the command that downloads it."""

    def __init__(self, folder: Path, num_photos: int) -> None:
        self.root = folder / "root"
        self.marker = folder / "reached"
        self.scratch = folder / "scratch"
        self.photo_ids = range(1, num_photos + 1)
        self.pictures = folder / "pictures"
        self.pictures.mkdir()
        bodies = [jpeg(i, 48, 32) for i in range(50)]
        for i in self.photo_ids:  # every file differs: a comment segment with its number behind the start marker
            note = str(i).encode()
            segment = b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note
            (self.pictures / f"{i}.jpg").write_bytes(bodies[i % 50][:2] + segment + bodies[i % 50][2:])
        make_tables(self.root, self.photo_ids)
        self.server = PhotoServer({"photos": self.pictures})

    def start(self, pause_at: str | None = None) -> subprocess.Popen:
        self.marker.unlink(missing_ok=True)
        environment = os.environ | small_spark()
        if pause_at:
            environment[pause_points.VARIABLE] = f"{pause_at}:{self.marker}"
        command = [sys.executable, "taxaflow.py", "data", "download", "--root", str(self.root), "--dataset", "birds"]
        command += ["--samples-per-shard", "100", "--max-per-host", "8", "--base-url", self.server.base_url]
        command += ["--scratch", str(self.scratch)]
        return subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=subprocess.PIPE, text=True)

    def finish(self) -> None:
        process = self.start()
        _, errors = process.communicate(timeout=WAIT_S)
        assert process.returncode == 0, errors[-2000:]

    def check(self, num_kills: int) -> None:
        stored = stored_pictures(self.root)
        expected = {i: hashlib.sha256((self.pictures / f"{i}.jpg").read_bytes()).hexdigest() for i in self.photo_ids}
        assert stored == expected
        files_and_rows_agree(self.root)
        assert not list(self.scratch.iterdir())
        assert self.server.num_requests <= len(self.photo_ids) + IN_FLIGHT_PER_KILL * num_kills


def kill_tree(process: subprocess.Popen) -> None:
    """SIGKILL the process and all that it started, and wait until they are gone."""
    tree = psutil.Process(process.pid)
    everyone = [tree, *tree.children(recursive=True)]
    for one in everyone:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.communicate(timeout=30)
    psutil.wait_procs(everyone, timeout=30)


def wait_until(happened: Callable[[], bool], process: subprocess.Popen) -> None:
    """Wait for an event of a running process; the test fails if the process ends or takes too long."""
    deadline = time.monotonic() + WAIT_S
    while not happened():
        assert process.poll() is None, f"the command ended first: {process.communicate()[1][-2000:]}"
        assert time.monotonic() < deadline, "the command did not get there"
        time.sleep(0.02)


def kill_at(download: Download, point: str) -> None:
    """Run the command until it pauses at a named point, and kill it there."""
    process = download.start(pause_at=point)
    wait_until(download.marker.exists, process)
    kill_tree(process)


def check_one_kill(download: Download, point: str) -> None:
    """Kill a download at a point, run it again, and look at what is there."""
    with download.server:
        kill_at(download, point)
        download.finish()
        download.check(num_kills=1)


def test_three_kills_of_one_download_lose_nothing(tmp_path):
    download = Download(tmp_path, 300)
    with download.server:
        for point in ("after_tar", "before_commit", "after_commit"):
            kill_at(download, point)
        download.finish()
        download.check(num_kills=3)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "point",
    [
        "after_spool",
        "after_tar",
        "after_sidecar",
        "before_commit",
        "after_commit",
        "after_downloads",
        "before_manifest",
    ],
)
def test_a_kill_at_each_point_of_a_large_download(tmp_path, point):
    check_one_kill(Download(tmp_path, 2000), point)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_five_kills_at_random_moments_of_one_download(tmp_path):
    download = Download(tmp_path, 2000)
    random_moments = random.Random(7)
    with download.server:
        for _ in range(5):
            wanted = download.server.num_requests + random_moments.randint(1, 250)
            process = download.start()
            wait_until(lambda wanted=wanted: download.server.num_requests >= wanted, process)
            time.sleep(random_moments.random() * 0.5)
            kill_tree(process)
        download.finish()
        download.check(num_kills=5)
