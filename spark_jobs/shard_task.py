"""The task of a download: the planned photos of one partition in, the name of the shard they became out.

Runs in Spark's Python workers; holds no Spark itself.
"""

import dataclasses
import functools
import uuid
from collections.abc import Iterator

import pyarrow as pa

from spark_jobs.arrow_arrays import make_array
from spark_jobs.fetch import Fetcher
from spark_jobs.lease_service import RemoteBook, ServiceAddress
from spark_jobs.leases import Leases
from spark_jobs.shard_writer import PlannedPhoto, ShardJob, write_shard
from spark_jobs.transport import Transport, make_transport
from taxonomy.shards import PLANNED_KEYS

RESULT_SCHEMA = "shard_file string"


def write_partition(
    batches: Iterator[pa.RecordBatch], job: ShardJob, transport: str, service: ServiceAddress
) -> Iterator[pa.RecordBatch]:
    """Write the one shard of this partition.

    Args:
        batches: rows of shard_plan of one split and shard_id, by position.
        job: what all shards of the run share; its split, shard_id and attempt are set here.
        transport: name of the transport.
        service: the job's lease service.

    Raises:
        BookLostError: the service is gone, and so is its driver.
        OSError: a file could not be written. A photo that cannot be had is a row of the sidecar, never an error.
    """
    rows = [row for batch in batches for row in batch.to_pylist()]
    if not rows:
        return
    split, shard_id = rows[0]["split"], rows[0]["shard_id"]
    assert all((row["split"], row["shard_id"]) == (split, shard_id) for row in rows), "a partition holds two shards"
    photos = [PlannedPhoto(row["position"], {key: row[key] for key in PLANNED_KEYS}) for row in rows]
    own = dataclasses.replace(job, split=split, shard_id=shard_id, attempt=uuid.uuid4().hex[:12])
    with Leases(RemoteBook(service), job.policy.retry_after_cap_s) as leases:
        fetcher = Fetcher(_transport(transport, job.connections), job.policy, leases)
        shard = write_shard(photos, own, fetcher, leases.count_photo)
    yield pa.RecordBatch.from_arrays([make_array(pa.string(), [shard.shard_file])], ["shard_file"])


@functools.lru_cache(maxsize=1)
def _transport(name: str, connections: int) -> Transport:
    """One transport per worker process: its connections and its TLS context serve every shard of the process."""
    return make_transport(name, connections)
