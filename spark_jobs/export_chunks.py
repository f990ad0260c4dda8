"""A selection as the published metadata files, `DIR/<split>/processed_chunks_%04d.parquet`, for the older tools.

BioTrove's 11 columns, 50,000 rows a file, rows by order hash; numbered from 1 as the published files are. Ranks and
common name are the taxon's, the scientific name and URL are the photo's.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import functions as F

from spark_jobs import table_io
from spark_jobs.config import SOURCE_COLUMNS, SelectConfig
from spark_jobs.tables import SELECTIONS
from taxonomy.ranks import RANKS
from taxonomy.shards import SPLITS
from taxonomy.whole_file import write_whole

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

ROWS_PER_FILE = 50_000
"""Source: BioTrove's chunks (10 parts of 5,000 rows)."""

_OUR_NAMES = ("photo_id", "scientific_name", *RANKS, "common_name", "photo_url")
EXPORT_COLUMNS = {name: SOURCE_COLUMNS[name] for name in _OUR_NAMES}
"""Our column -> the published one, in the published order."""

_FILE_SCHEMA = pa.schema(
    [(theirs, pa.int64() if ours == "photo_id" else pa.string()) for ours, theirs in EXPORT_COLUMNS.items()]
)
_CHUNK_NAME = re.compile(r"processed_chunks_\d{4,}\.parquet")
_UNFINISHED_NAME = re.compile(r"\.processed_chunks_\d{4,}\.parquet\..+\.tmp")
_WRITTEN = "split string, chunk int, num_rows long"


def export(
    config: SelectConfig, photos: "DataFrame", taxon_table: "DataFrame", rows: "DataFrame", size: int = ROWS_PER_FILE
) -> str:
    """Write the files of all splits below config.export and return a line that says how many.

    Each file is complete or absent. Files of an earlier export that no longer belong are removed at the end; other
    files are left alone. Executors write, so on a cluster the folder must be the same on all machines.

    Args:
        config: names root, dataset and folder.
        photos: photo_id, scientific_name, photo_url.
        taxon_table: what `taxa` makes of all photos.
        rows: the dataset's rows in SELECTIONS.
        size: rows per file.
    """
    assert config.export is not None, "export is only called with a folder"
    folder = config.export.absolute()
    for split in SPLITS:
        (folder / split).mkdir(parents=True, exist_ok=True)
    starts = {split: _chunk_starts(config, split, size) for split in SPLITS}
    content = _content(photos, taxon_table, rows).withColumn("chunk", _chunk_column(starts))

    def write(key: tuple[pa.Scalar, ...], chunk: pa.Table) -> pa.Table:
        return _write_chunk(folder, key[0].as_py(), key[1].as_py(), chunk)

    written = content.groupBy("fate", "chunk").applyInArrow(write, _WRITTEN).collect()
    _sweep(folder, {(row["split"], _file_name(row["chunk"])) for row in written})
    num_rows = sum(row["num_rows"] for row in written)
    return f"{num_rows:,} rows in {len(written):,} files in {config.export}"


def _chunk_starts(config: SelectConfig, split: str, size: int) -> np.ndarray:
    """int64 [num_chunks - 1]: the order hash that begins each chunk but the first. Takes 8 bytes a photo."""
    where = (pc.field("dataset") == config.dataset) & (pc.field("fate") == split)
    ordered = np.sort(table_io.read_arrow(config.root, SELECTIONS, ["order_hash"], where)["order_hash"].to_numpy())
    return ordered[size::size]


def _chunk_column(starts: Mapping[str, np.ndarray]) -> "Column":
    """The number of a row's chunk in its split, from 1."""

    def chunk_of(fates: pd.Series, order_hashes: pd.Series) -> pd.Series:
        chunks = np.zeros(len(fates), dtype=np.int32)
        for split, bounds in starts.items():
            here = (fates == split).to_numpy()
            chunks[here] = 1 + np.searchsorted(bounds, order_hashes.to_numpy()[here], side="right")
        return pd.Series(chunks)

    # A UDF, since Spark has no search in a sorted array (width_bucket knows equal widths only).
    return F.pandas_udf(chunk_of, "int")("fate", "order_hash")  # pyright: ignore[reportCallIssue, reportArgumentType]


def _content(photos: "DataFrame", taxon_table: "DataFrame", rows: "DataFrame") -> "DataFrame":
    """fate, order_hash and the columns of the files, our names, for the photos that are kept."""
    kept = rows.filter(F.col("fate") != "excluded").select("photo_id", "fate", "taxon_id", "order_hash")
    own = photos.select("photo_id", "scientific_name", "photo_url")
    named = kept.join(own, "photo_id", "inner")
    full = named.join(F.broadcast(taxon_table.select("taxon_id", *RANKS, "common_name")), "taxon_id", "inner")
    return full.select("fate", "order_hash", *EXPORT_COLUMNS)


def _file_name(chunk: int) -> str:
    return f"processed_chunks_{chunk:04d}.parquet"


def _write_chunk(folder: Path, split: str, chunk: int, rows: pa.Table) -> pa.Table:
    """Write one file by renaming a finished one, and return a row that says so."""
    ordered = rows.sort_by("order_hash").select(list(EXPORT_COLUMNS))
    renamed = ordered.rename_columns(list(EXPORT_COLUMNS.values())).cast(_FILE_SCHEMA)
    final = folder / split / _file_name(chunk)
    content = pa.BufferOutputStream()
    pq.write_table(renamed, content)
    write_whole(final, content.getvalue().to_pybytes())
    return pa.table({"split": [split], "chunk": pa.array([chunk], pa.int32()), "num_rows": [renamed.num_rows]})


def _sweep(folder: Path, written: set[tuple[str, str]]) -> None:
    """Remove chunks of earlier exports and what a killed export left unfinished."""
    for path in _chunk_files(folder):
        if (path.parent.name, path.name) not in written:
            path.unlink()


def _chunk_files(folder: Path) -> Iterator[Path]:
    for split in SPLITS:
        for path in sorted((folder / split).iterdir()):
            if _CHUNK_NAME.fullmatch(path.name) or _UNFINISHED_NAME.fullmatch(path.name):
                yield path
