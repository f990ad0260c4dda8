"""Each of the thirty-three kinds of trouble ends as it should, over both transports; bombs cost no memory."""

import io
import json
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from bench.download_server import make_certificate
from spark_jobs.fetch import FetchPolicy
from spark_jobs.statuses import Status
from tests import fault_matrix
from tests.conftest import PROJECT
from tests.fault_matrix import Flood, Kind, Photo, make_kinds, mismatch
from tests.fault_server import FaultServer, ok, redirect
from tests.picture_bodies import jpeg
from tests.spark_jobs.one_shard import Settled, write_one_shard
from tests.spark_jobs.test_images import huge

KINDS = make_kinds()
TRANSPORTS = ("requests", "curl")
POLICY = FetchPolicy(
    tries=fault_matrix.TRIES,
    deadline_s=1.5,
    min_bytes_per_s=1000,
    speed_window_s=0.5,
    max_bytes=2**20,
    backoff_base_s=0.01,
    retry_after_cap_s=5,
)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_of_trouble_ends_as_it_should(kind: Kind, transport: str, tmp_path):
    with FaultServer() as server:
        found = write_one_shard(kind.serve(server), tmp_path, transport, POLICY)
        record = server.record
    assert [photo.status for photo in found] == [photo.status for photo in kind.photos]
    assert record.num_requests() == sum(photo.num_requests for photo in kind.photos)
    assert record.early_retries == 0
    for photo, settled in zip(kind.photos, found, strict=True):
        assert (settled.data is None) == (photo.picture is None)
        assert (settled.error is None) == (photo.status is Status.OK)
        if settled.data is not None:
            check_stored(photo, settled)
        if isinstance(photo.behaviour, Flood):
            assert photo.behaviour.num_sent < 32 * POLICY.max_bytes  # what the kernel buffers is sent, but not read


def check_stored(photo: Photo, settled: Settled) -> None:
    assert settled.data is not None
    assert photo.picture is not None
    with Image.open(io.BytesIO(settled.data)) as stored:
        stored.load()
        assert (stored.format, stored.mode) == ("JPEG", "RGB")
        assert stored.getexif().get(0x0112, 1) == 1
        assert "icc_profile" not in stored.info
        assert (stored.height, stored.width) == photo.picture.shape[:2]
        corner = stored.crop((0, 0, 8, 8)).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    expected = photo.picture[:8, :8].reshape(-1, 3).mean(axis=0)
    assert isinstance(corner, tuple)
    assert max(abs(one - other) for one, other in zip(corner, expected, strict=True)) < 12
    assert mismatch(settled.data, photo.picture) is None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_redirects_lead_from_http_to_https_and_back(transport: str, tmp_path, monkeypatch):
    certificate, key, both = (tmp_path / name for name in ("certificate.pem", "key.pem", "both.pem"))
    make_certificate(certificate, key)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with FaultServer() as plain, FaultServer(both) as secure:
        urls = [
            one.add(f"/{n}.jpg", redirect(other.add("/target.jpg", ok(jpeg(n)))))
            for n, (one, other) in enumerate([(plain, secure), (secure, plain)])
        ]
        found = write_one_shard(urls, tmp_path / "shard", transport, POLICY)
        assert plain.record.num_requests() == secure.record.num_requests() == 2
    assert [photo.data for photo in found] == [jpeg(0), jpeg(1)]


NUM_BOMBS = 64
BOMBS = {"PNG": 30_000, "JPEG": 30_000, "GIF": 30_000, "WEBP": 16_000}
"""The side that each header claims, px; a WebP of its simple form holds no more."""


def peak_rss_bytes(bodies: list[bytes], expected: Status, transport: str, folder) -> int:
    """Of a process that writes one shard of these photos, each of which must end with this status."""
    with FaultServer() as server:
        urls = [server.add(f"/{n}.jpg", ok(body)) for n, body in enumerate(bodies)]
        command = [sys.executable, "-m", "tests.spark_jobs.one_shard", transport, str(folder)]
        run = subprocess.run(command, input="\n".join(urls), capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["statuses"] == [expected] * len(bodies)
    return found["peak_rss_bytes"]


@pytest.mark.process
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_64_bombs_take_no_more_memory_than_64_small_pictures(transport, tmp_path):
    kinds = [huge(*kind) if kind[0] != "PNG" else fault_matrix.png_bomb(kind[1]) for kind in BOMBS.items()]
    bombs = kinds * (NUM_BOMBS // len(kinds))
    small = peak_rss_bytes([jpeg(n) for n in range(NUM_BOMBS)], Status.OK, transport, tmp_path / "small")
    big = peak_rss_bytes(bombs, Status.TOO_MANY_PIXELS, transport, tmp_path / "bombs")
    assert big - small <= 50_000_000


def test_the_table_in_the_readme_lists_these_kinds_in_this_order():
    section = (PROJECT / "README.md").read_text(encoding="utf-8").partition("## What a server may do")[2]
    rows = [line.split("|")[1].strip() for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    assert rows[2:-1] == [kind.name for kind in KINDS]
