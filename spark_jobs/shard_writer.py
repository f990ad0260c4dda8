"""Planned photos in, one tar with its sidecar out: complete, or absent."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from spark_jobs import pause_points
from spark_jobs.fetch import Fetched, Fetcher, FetchPolicy
from spark_jobs.images import CheckedImage, ImageLimits, ImageRejected, check_image
from spark_jobs.publish import publish
from spark_jobs.sidecar import SIDECAR_SUFFIX, PhotoRow, ShardRow, write_sidecar
from spark_jobs.spool import Spool
from spark_jobs.statuses import Status
from spark_jobs.tar_file import TarFile
from taxonomy.shards import sample_members, shard_file_name

CORRUPT_FETCHES = 2
"""A damaged picture is fetched once more: the damage may have come from the way."""


@dataclass(frozen=True)
class PlannedPhoto:
    """One row of the plan.

    Attributes:
        position: place in the shard, from 0.
        sample: taxonomy.shards.PLANNED_KEYS, None where missing.
    """

    position: int
    sample: Mapping[str, object]

    @property
    def photo_id(self) -> int:
        """The photo's id, also its sample's key."""
        return int(str(self.sample["photo_id"]))

    @property
    def photo_url(self) -> str:
        """Where the photo is."""
        return str(self.sample["photo_url"])


@dataclass(frozen=True)
class ShardJob:
    """All that writing one shard needs beside its photos. Picklable.

    Attributes:
        dataset, split, shard_id: the shard's key.
        layout: one of taxonomy.shards.LAYOUTS.
        shards_dir: the dataset's folder, ROOT/shards/<dataset>.
        scratch_dir: a local folder for unfinished work; made if absent.
        run_id: of this run.
        attempt: unlike any other attempt at any shard, and fit for a file name.
        connections: photos fetched at once, at least 1.
        max_edge_px: None keeps sizes (rendition `original`); else rendition `edge<N>`.
        limits: which pictures are refused by size.
        policy: how photos are asked for.
    """

    dataset: str
    split: str
    shard_id: int
    layout: str
    shards_dir: Path
    scratch_dir: Path
    run_id: str
    attempt: str
    connections: int = 16
    max_edge_px: int | None = None
    limits: ImageLimits = field(default_factory=ImageLimits)
    policy: FetchPolicy = field(default_factory=FetchPolicy)

    @property
    def rendition(self) -> str:
        """What the pictures are: `original` or `edge<N>`."""
        return "original" if self.max_edge_px is None else f"edge{self.max_edge_px}"


def write_shard(
    photos: Sequence[PlannedPhoto],
    job: ShardJob,
    fetcher: Fetcher,
    note: Callable[[Status], None] = lambda status: None,
) -> ShardRow:
    """Fetch, check and store a shard's photos; returns its facts once tar and sidecar are on disk.

    Memory: at most `connections` bodies, and one picture of more than images.BIG_PIXELS as pixels.

    Args:
        photos: the shard's whole plan, in order of position.
        job: where and how.
        fetcher: shared by the shard's threads.
        note: called with the status of each photo that has ended, for progress.

    Raises:
        OSError: a file could not be written, as on a full disk.
    """
    job.scratch_dir.mkdir(parents=True, exist_ok=True)
    split_dir = job.shards_dir / job.split
    with _nameless_file(job.scratch_dir) as tar:
        with Spool(job.scratch_dir) as spool:
            rows = _settle_all(photos, partial(_settle, job=job, fetcher=fetcher, spool=spool, note=note), job, fetcher)
            pause_points.reached("after_spool")
            shard = _write_tar(tar, photos, rows, spool, job)
        publish(tar, split_dir, shard.shard_file, job.attempt)
    pause_points.reached("after_tar")
    with _nameless_file(job.scratch_dir) as sidecar:
        write_sidecar(sidecar, shard, rows)
        publish(sidecar, split_dir, f"{shard.shard_file}{SIDECAR_SUFFIX}", job.attempt)
    pause_points.reached("after_sidecar")
    return shard


@contextmanager
def _nameless_file(folder: Path) -> Iterator[Path]:
    """A path, for this process alone, to a new file that no folder lists; it goes when the block or the process ends.

    Spark kills the tasks beside one that failed, with SIGKILL: they cannot remove what has a name.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        yield Path(f"/dev/fd/{file.fileno()}")


def _settle_all(
    photos: Sequence[PlannedPhoto], settle: Callable[[PlannedPhoto], PhotoRow], job: ShardJob, fetcher: Fetcher
) -> list[PhotoRow]:
    """One row per photo in plan order; the pictures of those that are ok are in the spool by position."""
    with ThreadPoolExecutor(job.connections, thread_name_prefix="fetch") as pool:
        tasks = [pool.submit(settle, photo) for photo in photos]
        try:
            done, unfinished = wait(tasks, return_when=FIRST_EXCEPTION)
            for task in done:
                task.result()
            assert not unfinished
        except BaseException:
            fetcher.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [task.result() for task in tasks]


def _settle(
    photo: PlannedPhoto, job: ShardJob, fetcher: Fetcher, spool: Spool, note: Callable[[Status], None]
) -> PhotoRow:
    """Fetch and check one photo and put its picture into the spool; returns its row, offset still open."""
    attempts = 0
    for fetch in range(1, CORRUPT_FETCHES + 1):
        fetched = fetcher.fetch(photo.photo_url)
        attempts += fetched.attempts
        checked, row = _check(photo, fetched, job)
        row.attempts = attempts
        if row.status is not Status.CORRUPT_IMAGE or fetch == CORRUPT_FETCHES:
            break
    if checked is not None:
        spool.append(photo.position, checked.data)
    note(row.status)
    return row


def _check(photo: PlannedPhoto, fetched: Fetched, job: ShardJob) -> tuple[CheckedImage | None, PhotoRow]:
    row = PhotoRow(
        position=photo.position,
        photo_id=photo.photo_id,
        status=fetched.status,
        http_status=fetched.http_status,
        attempts=fetched.attempts,
        fetched_at=datetime.now(UTC),
        error=fetched.error,
    )
    if fetched.body is None:
        return None, row
    try:
        checked = check_image(fetched.body, job.limits, job.max_edge_px)
    except ImageRejected as rejected:
        row.status, row.error = rejected.status, str(rejected)
        return None, row
    row.num_bytes, row.sha256 = len(checked.data), checked.sha256
    row.width, row.height = checked.width, checked.height
    return checked, row


def _write_tar(
    path: Path, photos: Sequence[PlannedPhoto], rows: Sequence[PhotoRow], spool: Spool, job: ShardJob
) -> ShardRow:
    """Write the tar from the spool in plan order and note each picture's offset in its row."""
    tar = TarFile(path)
    num_samples = 0
    try:
        for photo, row in zip(photos, rows, strict=True):
            if row.sha256 is None:
                continue
            facts = {"sha256": row.sha256.hex(), "width": row.width, "height": row.height}
            members = sample_members(photo.sample, spool.read(photo.position), facts, job.layout)
            offsets = [tar.add(name, data) for name, data in members]
            row.offset = offsets[0]  # the picture comes first in every layout
            num_samples += 1
        sha256 = tar.finish()
    finally:
        tar.close()
    return ShardRow(
        dataset=job.dataset,
        split=job.split,
        shard_id=job.shard_id,
        rendition=job.rendition,
        layout=job.layout,
        shard_file=shard_file_name(job.dataset, job.split, job.shard_id, sha256),
        sha256=sha256,
        num_bytes=tar.num_bytes,
        num_samples=num_samples,
        num_failed=len(rows) - num_samples,
        run_id=job.run_id,
    )
