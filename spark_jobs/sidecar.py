"""The parquet beside a tar: one row per planned photo, and the shard's own facts in the schema's metadata."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from spark_jobs.arrow_arrays import make_array
from spark_jobs.statuses import Status
from taxonomy.errors import WorkFailedError

SIDECAR_SUFFIX = ".parquet"
"""What follows the tar's name."""

METADATA_KEY = b"taxaflow.shard"
MAX_ERROR_CHARACTERS = 200

SCHEMA = pa.schema(
    [
        pa.field("shard_file", pa.string(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("photo_id", pa.int64(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("http_status", pa.int32()),
        pa.field("attempts", pa.int32(), nullable=False),
        pa.field("num_bytes", pa.int64()),
        pa.field("sha256", pa.binary()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("offset", pa.int64()),
        pa.field("error", pa.string()),
        pa.field("fetched_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
"""The columns of the `downloads` table, in its order; meanings in spark_jobs/tables.py."""


@dataclass(frozen=True)
class ShardRow:
    """A finished shard: the row of the `shards` table, with what adoption compares.

    Attributes:
        dataset, split, shard_id: its key.
        rendition: `original` or `edge<N>`.
        layout: of the tar's members.
        shard_file: base name of the tar.
        sha256: of the tar, hex.
        num_bytes: size of the tar.
        num_samples: photos in it.
        num_failed: planned photos that are not.
        run_id: of the run that made it.
    """

    dataset: str
    split: str
    shard_id: int
    rendition: str
    layout: str
    shard_file: str
    sha256: str
    num_bytes: int
    num_samples: int
    num_failed: int
    run_id: str


@dataclass
class PhotoRow:
    """How one planned photo ended; the fields are the columns of `downloads` but shard_file and dataset."""

    position: int
    photo_id: int
    status: Status
    http_status: int | None
    attempts: int
    fetched_at: datetime
    error: str | None = None
    num_bytes: int | None = None
    sha256: bytes | None = None
    width: int | None = None
    height: int | None = None
    offset: int | None = None


def write_sidecar(path: Path, shard: ShardRow, photos: Sequence[PhotoRow]) -> None:
    """Write the sidecar of a shard, one row per planned photo in the order given."""
    columns: dict[str, list[object]] = {
        "shard_file": [shard.shard_file] * len(photos),
        "dataset": [shard.dataset] * len(photos),
        "status": [photo.status.value for photo in photos],
        "error": [None if photo.error is None else photo.error[:MAX_ERROR_CHARACTERS] for photo in photos],
    }
    for name in set(SCHEMA.names) - set(columns):
        columns[name] = [getattr(photo, name) for photo in photos]
    schema = SCHEMA.with_metadata({METADATA_KEY: json.dumps(asdict(shard)).encode()})
    arrays = [make_array(field.type, columns[field.name]) for field in SCHEMA]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path)


def read_sidecar(path: Path) -> tuple[ShardRow, pa.Table]:
    """The shard's facts and its photos' rows, columns as SCHEMA.

    Raises:
        WorkFailedError: the file is no whole sidecar.
        OSError: it is not there.
    """
    try:
        table = pq.ParquetFile(path).read()
        facts = json.loads((table.schema.metadata or {})[METADATA_KEY])
        shard = ShardRow(**{field.name: facts[field.name] for field in fields(ShardRow)})
    except (pa.ArrowInvalid, KeyError, ValueError) as error:
        raise WorkFailedError(f"{path} is no sidecar of a shard: {error}") from error
    return shard, table.replace_schema_metadata(None)
