"""`data retry` asks again for the failures it is told, `--dry-run` for nothing; real Spark, Delta and HTTP."""

from pathlib import Path

import pytest
from deltalake import DeltaTable

from spark_jobs import download_images, table_io
from spark_jobs.config import DownloadConfig, RetryConfig
from spark_jobs.tables import PHOTOS, SELECTIONS, SHARD_PLAN
from taxonomy.errors import BadInputError
from tests.fault_server import FaultServer, first, hang, ok, status
from tests.picture_bodies import jpeg
from tests.spark_jobs.small_root import files_and_rows_agree, photo_row, selection_row, stored_pictures

SETTINGS = {"dataset": "birds", "samples_per_shard": 4, "max_per_host": 4, "tries": 1, "timeout_s": 0.5}


@pytest.fixture
def server():
    with FaultServer() as faults:
        for i in range(1, 11):
            faults.add(f"/photos/{i}/medium.jpg", ok(jpeg(i, 48, 32)))
        faults.add("/photos/1/medium.jpg", status(404))
        for i in (2, 3):
            faults.add(f"/photos/{i}/medium.jpg", first(1, status(500), ok(jpeg(i, 48, 32))))
        faults.add("/photos/4/medium.jpg", first(1, hang(), ok(jpeg(4, 48, 32))))
        yield faults


@pytest.fixture
def tables(root: Path) -> Path:
    table_io.append_rows(root, PHOTOS, [photo_row(i) for i in range(1, 11)])
    table_io.append_rows(root, SELECTIONS, [selection_row(i) | {"fate": "train"} for i in range(1, 11)])
    return root


class Asked:
    """Which photos a server was asked for since the last call."""

    def __init__(self, server: FaultServer) -> None:
        self._requests = server.record.requests
        self._seen = 0

    def __call__(self) -> set[int]:
        paths = [seen.path for seen in self._requests[self._seen :] if seen.path != "/robots.txt"]
        self._seen = len(self._requests)
        return {int(path.split("/")[2]) for path in paths}


def versions(root: Path) -> dict[str, int]:
    return {path.name: DeltaTable(path).version() for path in (root / "tables").iterdir()}


@pytest.mark.spark
def test_each_retry_asks_for_what_it_names_and_a_dry_run_for_nothing(spark, server, tables):
    base = {"root": tables, "base_url": server.url("").rstrip("/"), **SETTINGS}
    before, asked = versions(tables), Asked(server)
    foreseen = download_images.run(spark, DownloadConfig(**base, dry_run=True))
    host = server.url("").removeprefix("http://").rstrip("/")
    assert foreseen.counts == {"photos_in_open_shards": 0, "photos": 10, f"at {host}": 10}
    assert (versions(tables), asked()) == (before, set())

    done = download_images.run(spark, DownloadConfig(**base))
    assert (done.counts["ok"], done.counts["server_error"], done.counts["timeout"], done.counts["gone"]) == (6, 2, 1, 1)
    assert asked() == set(range(1, 11))
    before = versions(tables)
    assert download_images.run(spark, DownloadConfig(**base, dry_run=True)).counts["photos"] == 3
    only_timeouts = RetryConfig(**base, only=("timeout",))
    assert download_images.run(spark, RetryConfig(**base, only=("timeout",), dry_run=True)).counts["photos"] == 1
    assert (versions(tables), asked()) == (before, set())

    assert not download_images.run(spark, RetryConfig(**base, only=("throttled", "tls_error"))).changed
    assert download_images.run(spark, only_timeouts).counts["ok"] == 1
    assert asked() == {4}
    assert not download_images.run(spark, only_timeouts).changed
    assert download_images.run(spark, RetryConfig(**base)).counts["ok"] == 2
    assert asked() == {2, 3}
    assert not download_images.run(spark, DownloadConfig(**base)).changed
    assert asked() == set()
    assert set(stored_pictures(tables)) == set(range(2, 11))
    files_and_rows_agree(tables)


@pytest.mark.spark
def test_a_dry_run_names_hosts_and_photos_of_open_shards(spark, tables):
    hosts = ["http://a.example.org", "https://b.example.org:8443", "HTTP://A.example.org", ""]
    rows = [photo_row(i) | {"photo_url": f"{hosts[i % 4]}/p/{i}.jpg"} for i in range(20, 28)]
    table_io.append_rows(tables, PHOTOS, rows)
    table_io.append_rows(tables, SELECTIONS, [selection_row(i) | {"dataset": "mixed"} for i in range(20, 28)])
    summary = download_images.run(spark, DownloadConfig(root=tables, dataset="mixed", dry_run=True))
    assert dict(summary.counts) == {
        "photos_in_open_shards": 0,
        "photos": 8,
        "at a.example.org": 4,
        "at b.example.org:8443": 2,
        "at no host (give --base-url)": 2,
    }
    assert not table_io.exists(tables, SHARD_PLAN)


def test_only_temporary_failures_can_be_asked_for_again(root):
    with pytest.raises(BadInputError, match="'gone' is unknown; allowed: throttled"):
        RetryConfig(root=root, dataset="birds", only=("gone",))
    with pytest.raises(BadInputError, match="name at least one"):
        RetryConfig(root=root, dataset="birds", only=())
