"""The only reads and writes of Delta tables.

Tables are created, and small rows appended, by delta-rs, which needs no JVM; Spark does the rest. Both enforce the
NOT NULL and CHECK rules of `spark_jobs.tables`.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake.exceptions import DeltaError
from pyarrow import fs

from spark_jobs.tables import SCHEMA_VERSION, Table
from taxonomy.errors import BadInputError

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

_SCHEMA_NOTE = re.compile(r"taxaflow schema (\d+)")
_PROPERTIES = {"delta.enableDeletionVectors": "false"}
_GLOB_CHARACTERS = "\\{}[]*?"


def table_path(root: Path, table: Table) -> Path:
    """Where the table lies below `root`."""
    return root / "tables" / table.name


def spark_path(path: Path | str) -> str:
    """The path as Spark's readers want it: characters of its patterns escaped."""
    return "".join(f"\\{letter}" if letter in _GLOB_CHARACTERS else letter for letter in str(path))


def exists(root: Path, table: Table) -> bool:
    """Whether the table has been created."""
    return (table_path(root, table) / "_delta_log").is_dir() and deltalake.DeltaTable.is_deltatable(
        str(table_path(root, table))
    )


def create(root: Path, table: Table) -> None:
    """Create the table, empty, unless it exists; one that lacks some of its CHECK constraints gets them.

    Table and constraints are two commits, and a process may be killed between them.

    Raises:
        BadInputError: it exists and a newer taxaflow wrote it.
    """
    if exists(root, table):
        _add_missing_checks(open_table(root, table), table)
        return
    path = table_path(root, table)
    path.mkdir(parents=True, exist_ok=True)
    created = deltalake.DeltaTable.create(
        str(path),
        deltalake.Schema.from_json(json.dumps(table.schema_json())),
        mode="ignore",
        name=table.name,
        description=f"{table.comment} (taxaflow schema {SCHEMA_VERSION})",
        configuration=_properties(table),
    )
    _add_missing_checks(created, table)


def _add_missing_checks(opened: deltalake.DeltaTable, table: Table) -> None:
    there = opened.metadata().configuration
    missing = {name: rule for name, rule in table.checks.items() if f"delta.constraints.{name}" not in there}
    if missing:
        opened.alter.add_constraint(missing)


def _properties(table: Table) -> dict[str, str | None]:
    few_stats = {"delta.dataSkippingStatsColumns": ",".join(table.stats_columns)} if table.stats_columns else {}
    return {**_PROPERTIES, **few_stats}


def open_table(root: Path, table: Table) -> deltalake.DeltaTable:
    """The table as delta-rs sees it, at its newest version.

    Raises:
        BadInputError: there is no such table, or a newer taxaflow (or Delta) wrote it.
    """
    path = table_path(root, table)
    if not exists(root, table):
        raise BadInputError(f"{root} has no table {table.name}; run the step that writes it first")
    try:
        opened = deltalake.DeltaTable(str(path))
    except DeltaError as error:
        raise BadInputError(f"cannot read table {path}: {str(error).splitlines()[0]}") from error
    note = _SCHEMA_NOTE.search(opened.metadata().description or "")
    found = int(note.group(1)) if note else SCHEMA_VERSION
    if found > SCHEMA_VERSION:
        raise BadInputError(
            f"table {path} was written by a newer taxaflow (schema {found}, this one knows {SCHEMA_VERSION}); upgrade"
        )
    return opened


def version(root: Path, table: Table) -> int | None:
    """The newest version of the table, None where it does not exist."""
    return open_table(root, table).version() if exists(root, table) else None


def versions(root: Path, tables: Sequence[Table]) -> dict[str, int]:
    """Name -> newest version of those tables that exist."""
    found = {table.name: version(root, table) for table in tables}
    return {name: number for name, number in found.items() if number is not None}


def arrow_dataset(root: Path, table: Table) -> ds.Dataset:
    """The table's newest version for pyarrow, which opens the files itself.

    Through the file system of delta-rs, which calls Python from pyarrow's threads, one process in three was ended by
    SIGABRT at its exit, where such a thread was still busy (deltalake 1.6.6, pyarrow, Python 3.11).

    Raises:
        BadInputError: as `open_table`.
    """
    folder = str(table_path(root, table).absolute())
    return open_table(root, table).to_pyarrow_dataset(filesystem=fs.SubTreeFileSystem(folder, fs.LocalFileSystem()))


def read_arrow(
    root: Path, table: Table, columns: list[str] | None = None, where: pc.Expression | None = None
) -> pa.Table:
    """Rows of a table without the JVM: small tables, or few columns of a large one.

    Raises:
        BadInputError: as `open_table`.
    """
    return arrow_dataset(root, table).to_table(columns=columns, filter=where)


def count_values(root: Path, table: Table, columns: list[str], where: pc.Expression | None = None) -> pa.Table:
    """The distinct values of `columns` and `num_rows`, how many rows have them (int64).

    The rows pass by in batches: in memory are the result and one batch.

    Raises:
        BadInputError: as `open_table`.
    """
    rows = arrow_dataset(root, table)
    found = rows.schema.empty_table().select(columns).append_column("num_rows", pa.array([], pa.int64()))
    for batch in rows.to_batches(columns=columns, filter=where):
        ones = pa.repeat(pa.scalar(1, pa.int64()), batch.num_rows)
        seen = pa.concat_tables([found, pa.Table.from_batches([batch]).append_column("num_rows", ones)])
        found = seen.group_by(columns).aggregate([("num_rows", "sum")]).rename_columns([*columns, "num_rows"])
    return found


def append_rows(root: Path, table: Table, rows: Sequence[dict[str, object]]) -> None:
    """Append rows by one commit of delta-rs; none means no commit."""
    if rows:
        create(root, table)
        opened = open_table(root, table)
        schema = pa.schema(opened.schema().to_arrow())
        deltalake.write_deltalake(opened, pa.Table.from_pylist(list(rows), schema), mode="append")


def append_arrow(root: Path, table: Table, rows: pa.Table) -> None:
    """Append rows that are in memory as arrow by one commit of delta-rs, columns by name."""
    _write_arrow(root, table, rows, "append")


def replace_rows(root: Path, table: Table, rows: pa.Table) -> None:
    """Replace all rows by one commit of delta-rs, in their order: for small tables whose rows are in memory anyway."""
    _write_arrow(root, table, rows, "overwrite")


def _write_arrow(root: Path, table: Table, rows: pa.Table, mode: Literal["append", "overwrite"]) -> None:
    create(root, table)
    opened = open_table(root, table)
    schema = pa.schema(opened.schema().to_arrow())
    deltalake.write_deltalake(opened, rows.select(schema.names).cast(schema), mode=mode)


def has_rows(root: Path, table: Table, where: pc.Expression | None = None) -> bool:
    """Whether the table has a row (that meets `where`); reads no further than the first one.

    Raises:
        BadInputError: as `open_table`.
    """
    rows = arrow_dataset(root, table)
    return rows.head(1, columns=list(table.key[:1]), filter=where).num_rows > 0


def read(spark: "SparkSession", root: Path, table: Table, version: int | None = None) -> "DataFrame":
    """The table's rows at one version, columns in table order; later commits do not change the frame.

    delta-rs says which files make up the version and Spark reads those: the same rows as Spark's own Delta reader
    gives (there are no deletion vectors), without the seconds it spends on the log of each table.

    Args:
        spark: the session.
        root: where all data lives.
        table: which table.
        version: the version to read; None means the newest now.

    Raises:
        BadInputError: as `open_table`.
    """
    from pyspark.sql.types import StructType

    opened = open_table(root, table)
    if version is not None and version != opened.version():
        opened.load_as_version(version)
    schema = StructType.fromJson(table.schema_json())
    files = [spark_path(_local_path(uri)) for uri in opened.file_uris()]
    rows = spark.read.schema(schema).parquet(*files) if files else no_rows(spark, schema)
    return rows.select(*_quoted(table))


def no_rows(spark: "SparkSession", schema: "StructType") -> "DataFrame":
    """An empty frame of these columns; one made of an empty list would start Python workers to read it."""
    from pyspark.sql import functions as F

    columns = [F.lit(None).cast(field.dataType).alias(field.name) for field in schema.fields]
    return spark.range(0).select(*columns)


def _local_path(uri: str) -> str:
    """The path that delta-rs names percent-encoded; `locks.check_root` lets no % into a root."""
    return unquote(uri.removeprefix("file://"))


def append(root: Path, table: Table, rows: "DataFrame") -> None:
    """Append a frame by one commit."""
    create(root, table)
    rows.select(*_quoted(table)).write.format("delta").mode("append").save(str(table_path(root, table)))


def overwrite(root: Path, table: Table, rows: "DataFrame", where: str | None = None) -> None:
    """Replace all rows, or those that meet the SQL condition `where`, by one commit."""
    create(root, table)
    writer = rows.select(*_quoted(table)).write.format("delta").mode("overwrite")
    if where is not None:
        writer = writer.option("replaceWhere", where)
    writer.save(str(table_path(root, table)))


def merge(spark: "SparkSession", root: Path, table: Table, changes: "DataFrame") -> None:
    """Insert or update rows by the table's key, in one commit; `changes` holds each key at most once."""
    from delta.tables import DeltaTable

    create(root, table)
    condition = " AND ".join(f"old.`{name}` = new.`{name}`" for name in table.key)
    target = DeltaTable.forPath(spark, str(table_path(root, table))).alias("old")
    merged = target.merge(changes.select(*_quoted(table)).alias("new"), condition)
    merged.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()


def _quoted(table: Table) -> "list[str | SparkColumn]":
    return [f"`{name}`" for name in table.column_names]
