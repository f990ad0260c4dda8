"""The manners of whole jobs, as the server sees them: rate, pauses, single requests, robots.txt."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spark_jobs import download_images, job_manners, table_io
from spark_jobs.config import DownloadConfig
from spark_jobs.fetch import Fetcher, FetchPolicy
from spark_jobs.host_book import HostReport
from spark_jobs.robots import Robots
from spark_jobs.tables import DOWNLOADS, PHOTOS, SELECTIONS, SHARD_PLAN
from spark_jobs.transport import make_transport
from tests import fault_server as faults
from tests.conftest import PROJECT
from tests.fault_server import FaultServer
from tests.picture_bodies import jpeg
from tests.spark_jobs.small_root import photo_row, selection_row, stored_pictures
from tests.spark_jobs.test_download_kills import small_spark

RATE = 200
SPLITS = {"train": 2300, "val": 450, "test": 450}
SAMPLES_PER_SHARD = 1850
"""Shards of 1850 and three times 450: where the tasks get equal shares, the long one is alone for the second half."""


def make_root(root: Path, splits: dict[str, int]) -> int:
    """Tables with so many photos per split, photo ids from 1; returns the number of photos."""
    fates = [split for split, number in splits.items() for _ in range(number)]
    table_io.append_rows(root, PHOTOS, [photo_row(i) for i in range(1, len(fates) + 1)])
    rows = [selection_row(i) | {"fate": fate} for i, fate in enumerate(fates, start=1)]
    table_io.append_rows(root, SELECTIONS, rows)
    return len(fates)


def photo_times(server: FaultServer) -> dict[int, float]:
    """photo_id -> when it was first asked for."""
    times: dict[int, float] = {}
    for seen in server.record.requests:
        if seen.path != "/robots.txt":
            times.setdefault(int(seen.path.split("/")[2]), seen.at)
    return times


@pytest.mark.process
@pytest.mark.timeout(300)
def test_four_tasks_keep_one_rate_and_use_it_to_the_end(tmp_path: Path):
    root = tmp_path / "root"
    num_photos = make_root(root, SPLITS)
    bodies = [jpeg(i, 48, 32) for i in range(20)]
    with FaultServer() as server:
        for i in range(1, num_photos + 1):
            missing = i % 20 == 0
            server.add(f"/photos/{i}/medium.jpg", faults.status(404) if missing else faults.ok(bodies[i % 20]))
        environment = os.environ | small_spark()
        environment["TAXAFLOW_SPARK_CONF"] = environment["TAXAFLOW_SPARK_CONF"].replace("local[2]", "local[4]")
        command = [sys.executable, "taxaflow.py", "data", "download", "--root", str(root), "--dataset", "birds"]
        command += ["--samples-per-shard", str(SAMPLES_PER_SHARD), "--max-rate", str(RATE)]
        command += ["--base-url", server.url("").rstrip("/")]
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        counts = server.counts()
        times = sorted(seen.at for seen in server.record.requests)
    assert counts.pop("/robots.txt") == 1
    assert set(counts.values()) == {1}, "one request per photo, the missing ones included"
    assert len(counts) == num_photos
    assert server.record.peak_rate(5) <= 1.05 * RATE
    spans = shard_spans(root, photo_times(server))
    assert len(spans) == 4
    # three seconds for all tasks to come; then whoever still has photos uses the whole rate, to the last photo
    begin, end = times[0] + 3, times[-1]
    before_last = sorted(last for _, last in spans)[-2]
    shown = [(round(first - times[0], 1), round(last - times[0], 1)) for first, last in spans]
    for since in [begin, before_last] if end - before_last > 2 else [begin]:
        goodput = sum(since <= t < end for t in times) / (end - since)
        assert goodput >= 0.9 * RATE, (goodput, since - times[0], shown)


def shard_spans(root: Path, times: dict[int, float]) -> list[tuple[float, float]]:
    """When each shard's first and last photo were asked for."""
    of_shard: dict[tuple[str, int], list[float]] = {}
    for row in table_io.read_arrow(root, SHARD_PLAN, ["split", "shard_id", "photo_id"]).to_pylist():
        of_shard.setdefault((row["split"], row["shard_id"]), []).append(times[row["photo_id"]])
    return [(min(moments), max(moments)) for moments in of_shard.values()]


@pytest.mark.spark
def test_hosts_that_ask_for_patience_get_it_from_every_task(spark, root):
    num_photos = make_root(root, {"train": 60})
    with FaultServer() as server:
        for i in range(1, num_photos + 1):
            answer = faults.ok(jpeg(i, 48, 32))
            if i in (10, 40):
                answer = faults.first(1, faults.retry_after(1, as_date=i == 40), answer)
            server.add(f"/photos/{i}/medium.jpg", answer)
        base_url = server.url("").rstrip("/")
        config = DownloadConfig(
            root=root, dataset="birds", samples_per_shard=10, max_per_host=4, max_rate=40.0, base_url=base_url
        )
        download_images.run(spark, config)
        assert server.record.early_retries == 0
        assert server.record.num_requests() == num_photos + 2
    assert set(stored_pictures(root)) == set(range(1, num_photos + 1))


def test_a_huge_robots_txt_counts_as_far_as_it_must_be_read():
    rules = b"User-agent: *\nDisallow: /photos/7/\n" + b"# padding\n" * 400_000 + b"Disallow: /\n"
    with FaultServer() as server:
        server.add("/robots.txt", faults.ok(rules))
        transport = make_transport("requests", 1)
        policy = FetchPolicy(max_bytes=job_manners.ROBOTS_BYTES)
        host = server.url("").removeprefix("http://").rstrip("/")
        robots = job_manners.read_robots(Fetcher(transport, policy, job_manners.RobotsGate()), "http", host)
        transport.close()
    assert isinstance(robots, Robots)
    assert robots.allows(server.url("/photos/1/medium.jpg"))
    assert not robots.allows(server.url("/photos/7/medium.jpg"))


@pytest.mark.parametrize("as_date", [False, True])
def test_robots_txt_is_not_asked_for_while_the_host_wants_to_be_left_alone(as_date: bool):
    with FaultServer() as server:
        server.add("/robots.txt", faults.first(1, faults.retry_after(2, as_date=as_date), faults.ok(b"")))
        transport = make_transport("requests", 1)
        book = job_manners.make_book(FetchPolicy(), transport, max_per_host=4, max_rate=None)
        host = server.url("").removeprefix("http://").rstrip("/")
        found, deadline = None, time.monotonic() + 20
        while found is None and time.monotonic() < deadline:
            time.sleep(0.05)
            found = book.exchange("one", [HostReport(host, "http", waiting=1)])[0].robots
        transport.close()
        assert found is not None
        assert found.allows(server.url("/photos/1/medium.jpg"))
        assert server.record.early_retries == 0
        assert server.counts() == {"/robots.txt": 2}


@pytest.mark.spark
def test_robots_txt_is_obeyed_and_asked_for_once(spark, root):
    num_photos = make_root(root, {"train": 24})
    rules = b"User-agent: *\nDisallow: /photos/7/\nDisallow: /photos/1*/\nAllow: /photos/11/\n"
    with FaultServer() as server:
        server.add("/robots.txt", faults.ok(rules, {"Content-Type": "text/plain", "X-Robots-Tag": "noindex"}))
        for i in range(1, num_photos + 1):
            server.add(f"/photos/{i}/medium.jpg", faults.ok(jpeg(i, 48, 32)))
        base_url = server.url("").rstrip("/")
        config = DownloadConfig(root=root, dataset="birds", samples_per_shard=6, base_url=base_url)
        summary = download_images.run(spark, config)
        assert server.counts()["/robots.txt"] == 1
        denied = {1, 7, 10, *range(12, 20)}
        assert {int(path.split("/")[2]) for path in server.counts() if path != "/robots.txt"} == (
            set(range(1, num_photos + 1)) - denied
        )
        assert summary.counts["robots_denied"] == len(denied)
        assert not download_images.run(spark, config).changed, "a denial is final"
    rows = table_io.read_arrow(root, DOWNLOADS).to_pylist()
    assert {row["photo_id"] for row in rows if row["status"] == "robots_denied" and row["attempts"] == 0} == denied
