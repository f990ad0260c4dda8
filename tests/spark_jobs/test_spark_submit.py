"""Every job by spark-submit, from an empty folder, locally and on a standalone cluster with two workers."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pyspark
import pytest

from sample.draw_specimens import draw_specimens
from sample.photo_server import PhotoServer
from spark_jobs import table_io
from spark_jobs.tables import CAPTIONS, PHOTOS, RUNS, SELECTIONS, SPECIES_COUNTS
from tests.conftest import INTERPRETED, PROJECT
from tests.spark_jobs.small_root import files_and_rows_agree, stored_pictures

pytestmark = [pytest.mark.process, pytest.mark.timeout(900)]
JOBS = ("ingest_photos", "count_taxa", "select_photos", "download_images", "label_photos")
NUM_PER_SPECIES = 2
START_S = 60.0


def clean_environment() -> dict[str, str]:
    """This process's environment as a user's would be: the virtual environment first on PATH, no PYTHONPATH.

    Only every JVM compiles little, as the data is tiny.
    """
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYSPARK_PYTHON", "TAXAFLOW_SPARK_CONF")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}


def spark_submit(folder: Path, master: str | None, *program: str) -> None:
    """Run one Python file with its flags by spark-submit in `folder`; the test fails with its output if it does."""
    settings = {"spark.sql.shuffle.partitions": "4"} | INTERPRETED  # for tiny data; a cluster has its own defaults
    options = [option for key, value in settings.items() for option in ("--conf", f"{key}={value}")]
    if master:
        options += ["--master", master, "--executor-memory", "512m", "--total-executor-cores", "2"]
    command = ["spark-submit", *options, *program]
    done = subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, f"{program}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def job_file(name: str) -> str:
    return str(PROJECT / "spark_jobs" / f"{name}.py")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def standalone_cluster(folder: Path) -> Iterator[str]:
    """The URL of a standalone master with two workers of one core, all processes of their own."""
    spark_class = str(Path(pyspark.__file__).parent / "bin" / "spark-class")
    port, page_port = free_port(), free_port()
    master = f"spark://127.0.0.1:{port}"
    environment = clean_environment() | {"SPARK_LOCAL_IP": "127.0.0.1"}
    log = (folder / "cluster.log").open("wb")

    def start(*arguments: str) -> subprocess.Popen:
        command = [spark_class, *arguments]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)

    deploy = "org.apache.spark.deploy"
    address = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page_port)]
    processes = [start(f"{deploy}.master.Master", *address)]
    limits = ["--cores", "1", "--memory", "1g", "--webui-port", "0", "--host", "127.0.0.1"]
    for number in range(2):
        limits_here = [*limits, "--work-dir", str(folder / f"worker{number}")]
        processes.append(start(f"{deploy}.worker.Worker", *limits_here, master))
    try:
        wait_for_workers(f"http://127.0.0.1:{page_port}/json/", folder / "cluster.log")
        yield master
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=30)
        log.close()


def wait_for_workers(page: str, log: Path) -> None:
    """Wait until the master counts two workers alive."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(page, timeout=5) as answer:
            if '"aliveworkers" : 2' in answer.read().decode():
                return
        time.sleep(0.2)
    raise AssertionError(f"the cluster did not come up: {log.read_text()[-2000:]}")


def submit_each(folder: Path, master: str | None, jobs: list[list[str]]) -> None:
    """Submit every job file by itself, as users do."""
    for job in jobs:
        spark_submit(folder, master, *job)


def submit_two(folder: Path, master: str | None, jobs: list[list[str]]) -> None:
    """Submit the first job file by itself, the others as one program: a driver and its executors start twice."""
    spark_submit(folder, master, *jobs[0])
    spark_submit(folder, master, str(Path(__file__).with_name("jobs_in_one_driver.py")), json.dumps(jobs[1:]))


def run_all_jobs(folder: Path, submit: Callable[[Path, list[list[str]]], None]) -> None:
    """Ingest to labels on drawn specimens, then look at what is there."""
    empty, root, drawings = folder / "empty", folder / "root", folder / "drawings"
    empty.mkdir()
    num_photos = draw_specimens(drawings, limit=NUM_PER_SPECIES)
    with PhotoServer({"drawings": drawings / "photos"}) as server:
        table = ["--source", "csv", "--input", str(drawings / "photos.csv"), "--snapshot", "2026-10"]
        thresholds = ["--min-photos", "1", "--max-photos", "1000", "--val", "0.2", "--test", "0.2"]
        flags = {
            "ingest_photos": table,
            "count_taxa": ["--rare", "2", "--cap", "5"],
            "select_photos": ["--dataset", "birds", *thresholds],
            "download_images": ["--dataset", "birds", "--samples-per-shard", "10", "--base-url", server.base_url],
            "label_photos": [],
        }
        submit(empty, [[job_file(name), *flags[name], "--root", str(root)] for name in JOBS])
    assert table_io.read_arrow(root, PHOTOS).num_rows == num_photos
    assert table_io.read_arrow(root, SPECIES_COUNTS).num_rows > 0
    kept = [row for row in table_io.read_arrow(root, SELECTIONS).to_pylist() if row["fate"] != "excluded"]
    assert set(stored_pictures(root)) == {row["photo_id"] for row in kept}
    files_and_rows_agree(root)
    assert table_io.read_arrow(root, CAPTIONS).num_rows > 0
    assert table_io.read_arrow(root, RUNS).num_rows == 5
    assert not list(empty.iterdir()), "a job left something in the folder it ran in"


def test_all_jobs_on_a_standalone_cluster(tmp_path):
    with standalone_cluster(tmp_path) as master:
        run_all_jobs(tmp_path, lambda folder, jobs: submit_two(folder, master, jobs))


@pytest.mark.parametrize("name", JOBS)
def test_every_job_file_is_a_program_from_any_folder(tmp_path, name):
    command = [sys.executable, job_file(name), "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=True)
    assert "--root" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_all_jobs_locally(tmp_path):
    run_all_jobs(tmp_path, lambda folder, jobs: submit_each(folder, None, jobs))
