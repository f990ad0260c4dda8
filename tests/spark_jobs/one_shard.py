"""Any list of URLs through the real shard writer, and what came of each. Also a process of its own for memory:

    python -m tests.spark_jobs.one_shard TRANSPORT FOLDER < urls

prints a JSON object: `peak_rss_bytes`, and `statuses` in the order of the URLs.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spark_jobs.fetch import Fetcher, FetchPolicy
from spark_jobs.shard_writer import PlannedPhoto, ShardJob, write_shard
from spark_jobs.sidecar import SIDECAR_SUFFIX, read_sidecar
from spark_jobs.statuses import Status
from spark_jobs.transport import make_transport
from taxonomy.shards import PLANNED_KEYS
from tests.spark_jobs.open_leases import open_leases


@dataclass(frozen=True)
class Settled:
    """How one photo ended: `data` is the picture in the tar, None where there is none."""

    status: Status
    attempts: int
    error: str | None
    data: bytes | None


def write_one_shard(urls: Sequence[str], folder: Path, transport_name: str, policy: FetchPolicy) -> list[Settled]:
    """Writes a shard of these photos into a new folder; what the sidecar and the tar say of each, in order."""
    photos = [planned(position, url) for position, url in enumerate(urls)]
    job = ShardJob("d", "train", 0, "taxaflow", folder / "shards", folder / "scratch", "r", "r-0", policy=policy)
    transport = make_transport(transport_name, job.connections)
    try:
        with open_leases(policy.retry_after_cap_s) as leases:
            shard = write_shard(photos, job, Fetcher(transport, policy, leases))
    finally:
        transport.close()
    tar = job.shards_dir / job.split / shard.shard_file
    _, table = read_sidecar(tar.with_name(f"{tar.name}{SIDECAR_SUFFIX}"))
    content = tar.read_bytes()
    return [settled(row, content) for row in table.to_pylist()]


def planned(position: int, url: str) -> PlannedPhoto:
    """A row of the plan in which only id and URL say anything."""
    sample: dict[str, object] = dict.fromkeys(PLANNED_KEYS, "x")
    return PlannedPhoto(position, {**sample, "photo_id": position + 1, "taxon_id": 1, "photo_url": url})


def settled(row: dict, tar: bytes) -> Settled:
    """One row of the sidecar with its picture."""
    offset = row["offset"]
    data = None if offset is None else tar[offset : offset + row["num_bytes"]]
    return Settled(Status(row["status"]), row["attempts"], row["error"], data)


def peak_rss_bytes() -> int:
    """The most memory this process has held so far. getrusage would also count what its parent held at the fork."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    """Writes the shard and prints."""
    photos = write_one_shard(sys.stdin.read().split(), Path(sys.argv[2]), sys.argv[1], FetchPolicy())
    print(json.dumps({"peak_rss_bytes": peak_rss_bytes(), "statuses": [photo.status for photo in photos]}))


if __name__ == "__main__":
    main()
