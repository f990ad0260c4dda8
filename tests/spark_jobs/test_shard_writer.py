"""Planned photos become one tar and its sidecar: complete, true, the same every time, or absent."""

import errno
import io
import json
import os
import pickle
import tarfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import webdataset

from spark_jobs import pause_points
from spark_jobs.fetch import Fetcher, FetchPolicy
from spark_jobs.images import ImageLimits
from spark_jobs.shard_writer import PlannedPhoto, ShardJob, write_shard
from spark_jobs.sidecar import ShardRow, read_sidecar
from spark_jobs.spool import Spool
from spark_jobs.statuses import Status
from spark_jobs.transport import make_transport
from taxonomy.shards import SAMPLE_KEYS, encode_json
from tests import fault_server as faults
from tests.fault_server import Behaviour, FaultServer
from tests.picture_bodies import HTML, damaged, encode, jpeg, jpeg_of_size, pixels
from tests.spark_jobs.open_leases import open_leases

POLICY = FetchPolicy(
    tries=3,
    deadline_s=2.0,
    min_bytes_per_s=1000,
    speed_window_s=0.2,
    max_bytes=200_000,
    backoff_base_s=0.01,
    retry_after_cap_s=3,
)


def planned(position: int, url: str) -> PlannedPhoto:
    lineage = dict(zip(("kingdom", "phylum", "class", "order", "family", "genus", "species"), "KPCOFGs", strict=True))
    sample = {
        "photo_id": 1000 + 7 * position,
        "taxon_id": -5,
        "scientific_name": "G s",
        "taxon_rank": "species",
        **lineage,
        "common_name": None if position % 2 else "Größte Schnecke",
        "category": "Mollusca",
        "license": "CC0",
        "attribution": None,
        "photo_url": url,
    }
    return PlannedPhoto(position, sample)


def job_in(folder: Path, **changes: object) -> ShardJob:
    job = ShardJob(
        "d", "train", 3, "taxaflow", folder / "shards", folder / "scratch", "run1", "run1-0-0", 8, policy=POLICY
    )
    return replace(job, **changes)


@pytest.fixture(autouse=True, params=["requests", "curl"])
def transport_name(request, monkeypatch):
    """Every test of this file runs over both."""
    monkeypatch.setenv("TEST_TRANSPORT", request.param)


def write(photos: list[PlannedPhoto], job: ShardJob, note: Callable[[Status], None] = lambda status: None) -> ShardRow:
    transport = make_transport(os.environ["TEST_TRANSPORT"], job.connections)
    try:
        with open_leases(job.policy.retry_after_cap_s) as leases:
            return write_shard(photos, job, Fetcher(transport, job.policy, leases), note)
    finally:
        transport.close()


def rows_of(job: ShardJob, shard: ShardRow) -> list[dict]:
    """The sidecar's rows, after the check that the folder holds the shard's two files and scratch is empty."""
    folder = job.shards_dir / job.split
    assert sorted(path.name for path in folder.iterdir()) == [shard.shard_file, f"{shard.shard_file}.parquet"]
    assert list(job.scratch_dir.iterdir()) == []
    facts, table = read_sidecar(folder / f"{shard.shard_file}.parquet")
    assert facts == shard
    return table.to_pylist()


def tar_of(job: ShardJob, shard: ShardRow) -> bytes:
    return (job.shards_dir / job.split / shard.shard_file).read_bytes()


CORRUPT = damaged(jpeg(90, 256, 256))
PNG_ALPHA = encode(np.dstack([pixels(91), np.full((64, 96), 128, np.uint8)]), "RGBA", "PNG")

OUTCOMES: dict[str, tuple[Behaviour, Status, int]] = {
    "ok": (faults.ok(jpeg(80)), Status.OK, 1),
    "wrong type": (faults.ok(jpeg(81), {"Content-Type": "text/html"}), Status.OK, 1),
    "500 twice": (faults.first(2, faults.status(500), faults.ok(jpeg(82))), Status.OK, 3),
    "429 once": (faults.first(1, faults.retry_after(1), faults.ok(jpeg(83))), Status.OK, 2),
    "503 with a date once": (faults.first(1, faults.retry_after(1, 503, True), faults.ok(jpeg(84))), Status.OK, 2),
    "PNG with alpha": (faults.ok(PNG_ALPHA), Status.OK, 1),
    "gzip": (faults.encoded(jpeg(85), "gzip"), Status.OK, 1),
    "chunked": (faults.chunked(jpeg(86)), Status.OK, 1),
    "redirect": (faults.redirect("/ok"), Status.OK, 1),
    "damaged once": (faults.first(1, faults.ok(CORRUPT), faults.ok(jpeg(87))), Status.OK, 2),
    "404": (faults.status(404), Status.GONE, 1),
    "403": (faults.status(403), Status.FORBIDDEN, 1),
    "500": (faults.status(500), Status.SERVER_ERROR, 3),
    "drip": (faults.drip(bytes(50_000)), Status.TOO_SLOW, 3),
    "hang": (faults.hang(), Status.TIMEOUT, 3),
    "truncated": (faults.truncated(jpeg(88), 500), Status.CONNECTION_ERROR, 3),
    "HTML": (faults.ok(HTML), Status.NOT_AN_IMAGE, 1),
    "empty": (faults.ok(b""), Status.NOT_AN_IMAGE, 1),
    "damaged": (faults.ok(CORRUPT), Status.CORRUPT_IMAGE, 2),
    "1x1": (faults.ok(encode(pixels(1)[:1, :1], "RGB", "PNG")), Status.TOO_SMALL, 1),
    "one colour": (faults.ok(encode(np.full((64, 64, 3), 9, np.uint8), "RGB", "JPEG")), Status.PLACEHOLDER, 1),
    "loop": (faults.redirect("/loop"), Status.REDIRECT_REFUSED, 1),
    "to a file": (faults.redirect("file:///etc/passwd"), Status.REDIRECT_REFUSED, 1),
    "endless": (faults.endless(), Status.TOO_LARGE, 1),
    "opted out": (faults.ok(jpeg(89), {"X-Robots-Tag": "noai"}), Status.OPTED_OUT, 1),
}


def test_every_planned_photo_has_one_row_with_the_right_status_and_the_rest_holds_what_is_ok(server, tmp_path):
    urls = [server.add(f"/{name.replace(' ', '-')}", behaviour) for name, (behaviour, _, _) in OUTCOMES.items()]
    photos = [planned(position, url) for position, url in enumerate(urls)]
    job = job_in(tmp_path)
    shard = write(photos, job)
    rows = rows_of(job, shard)
    assert [row["position"] for row in rows] == list(range(len(photos)))
    assert [row["photo_id"] for row in rows] == [photo.photo_id for photo in photos]
    expected = {name: (status.value, attempts) for name, (_, status, attempts) in OUTCOMES.items()}
    assert dict(zip(OUTCOMES, ((row["status"], row["attempts"]) for row in rows), strict=True)) == expected
    stored = [row for row in rows if row["status"] == "ok"]
    assert (shard.num_samples, shard.num_failed) == (len(stored), len(rows) - len(stored))
    assert server.record.early_retries == 0
    for row in rows:
        facts = (row["num_bytes"], row["sha256"], row["width"], row["height"], row["offset"])
        assert all(value is not None for value in facts) == any(value is not None for value in facts)
        assert (facts[0] is not None) == (row["error"] is None) == (row["status"] == "ok")
    with tarfile.open(fileobj=io.BytesIO(tar_of(job, shard))) as tar:
        names = [name for name in tar.getnames() if name.endswith(".jpg")]
    assert names == [f"{row['photo_id']}.jpg" for row in stored]


def good_photos(server: FaultServer, number: int, num_bytes: int = 6000) -> list[PlannedPhoto]:
    urls = [server.add(f"/{n}", faults.ok(jpeg_of_size(n, num_bytes))) for n in range(number)]
    return [planned(position, url) for position, url in enumerate(urls)]


@pytest.mark.parametrize("layout", ["taxaflow", "biotrove"])
def test_the_tar_reads_with_webdataset_and_offsets_lead_to_the_pictures(server, tmp_path, layout):
    photos = good_photos(server, 12)
    job = job_in(tmp_path, layout=layout)
    shard = write(photos, job)
    content, rows = tar_of(job, shard), rows_of(job, shard)
    path = str(job.shards_dir / job.split / shard.shard_file)
    samples = list(webdataset.WebDataset(path, shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == [str(photo.photo_id) for photo in photos]
    for n, (sample, row, photo) in enumerate(zip(samples, rows, photos, strict=True)):
        assert sample["jpg"] == jpeg_of_size(n, 6000)
        assert content[row["offset"] :][: row["num_bytes"]] == sample["jpg"]
        record = json.loads(sample["json"])
        facts = {"sha256": row["sha256"].hex(), "width": row["width"], "height": row["height"]}
        assert {key: record[key] for key in SAMPLE_KEYS} == {**photo.sample, **facts}
        if layout == "taxaflow":
            assert sample["json"] == encode_json(record)
            assert list(record) == list(SAMPLE_KEYS)
        assert ("sci.txt" in sample) == (layout == "biotrove")


def test_equal_bodies_give_equal_tars_whatever_order_they_come_in(server, tmp_path):
    def late(body: bytes, seconds: float) -> Behaviour:
        def behave(exchange: faults.Exchange) -> None:
            exchange.pause(seconds)
            exchange.reply(200, body)

        return behave

    shards = []
    for name, connections, slow in (("a", 8, 0.2), ("b", 1, 0.0)):
        photos = good_photos(server, 10)
        server.add("/0", late(jpeg_of_size(0, 6000), slow))
        job = job_in(tmp_path / name, connections=connections, attempt=f"attempt-{name}", run_id=name)
        shards.append((write(photos, job), job))
    (one, first), (two, second) = shards
    assert one == replace(two, run_id="a")
    assert tar_of(first, one) == tar_of(second, two)


def test_the_tar_is_little_larger_than_its_pictures(server, tmp_path):
    job = job_in(tmp_path)
    shard = write(good_photos(server, 20, 50_000), job)
    stored = sum(row["num_bytes"] for row in rows_of(job, shard))
    assert 40_000 < stored / 20 < 70_000
    assert shard.num_bytes / stored <= 1.05


def test_a_rendition_is_made_and_named(server, tmp_path):
    job = job_in(tmp_path, max_edge_px=32)
    shard = write(good_photos(server, 3), job)
    assert shard.rendition == "edge32"
    assert {max(row["width"], row["height"]) for row in rows_of(job, shard)} == {32}


def test_a_shard_without_a_picture_is_an_empty_tar_with_its_sidecar(server, tmp_path):
    photos = [planned(n, server.url(f"/missing/{n}")) for n in range(5)]
    job = job_in(tmp_path)
    shard = write(photos, job)
    assert (shard.num_samples, shard.num_failed) == (0, 5)
    assert {row["status"] for row in rows_of(job, shard)} == {"gone"}
    with tarfile.open(fileobj=io.BytesIO(tar_of(job, shard))) as tar:
        assert tar.getnames() == []


def test_a_full_disk_ends_the_shard_and_leaves_nothing(server, tmp_path, monkeypatch):
    real = Spool.append

    def append(self: Spool, key: int, data: bytes) -> None:
        if key == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, key, data)

    monkeypatch.setattr(Spool, "append", append)
    photos = good_photos(server, 40)
    server.add("/5", faults.retry_after(600))
    job = job_in(tmp_path, policy=replace(POLICY, retry_after_cap_s=3600))
    with pytest.raises(OSError, match="No space left"):
        write(photos, job)
    assert list(job.scratch_dir.iterdir()) == []
    assert not job.shards_dir.exists()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fetch")]


def test_there_is_nothing_in_scratch_that_a_kill_would_leave(server, tmp_path, monkeypatch):
    job, seen = job_in(tmp_path), []

    def look(where: object) -> None:
        seen.append((str(where), list(job.scratch_dir.iterdir())))

    monkeypatch.setattr(pause_points, "reached", look)
    write(good_photos(server, 2), job, note=look)
    assert seen == [(point, []) for point in ("ok", "ok", "after_spool", "after_tar", "after_sidecar")]


def test_a_folder_that_cannot_be_written_is_an_error_and_leaves_no_scratch(server, tmp_path):
    job = job_in(tmp_path)
    job.shards_dir.mkdir()
    (job.shards_dir / job.split).write_text("a file where the folder should be")
    with pytest.raises(OSError):
        write(good_photos(server, 2), job)
    assert list(job.scratch_dir.iterdir()) == []


def test_no_more_photos_are_asked_for_at_once_than_connections(server, tmp_path):
    def behave(exchange: faults.Exchange) -> None:
        exchange.pause(0.2)  # so that requests overlap, however busy the machine is
        exchange.reply(200, jpeg_of_size(1, 6000))

    job = job_in(tmp_path, connections=3)
    write([planned(n, server.add(f"/{n}", behave)) for n in range(12)], job)
    assert server.record.peak_connections == 3
    assert server.record.num_connections == 3


def test_a_job_travels_to_another_process():
    job = job_in(Path("/somewhere"), limits=ImageLimits(min_side_px=1))
    assert pickle.loads(pickle.dumps(job)) == job
