"""Metadata files -> one frame of raw text columns, the same for every format and source.

The raw frame has `raw_<name>` (string, null where missing or empty) for every name in RAW_NAMES; `number` (long, the
photo id as the source gives it, null unless a whole number >= 0); `observed` (boolean, whether the row's observation
is known); `raw_taxon_rank`; and `source_file`.
"""

from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs.config import SOURCE_COLUMNS
from spark_jobs.input_files import FileGroup, InputFiles
from spark_jobs.table_io import spark_path

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RAW_NAMES = (*(name for name in SOURCE_COLUMNS if name != "taxon_rank"), "quality_grade")
"""What makes two source rows equal, in the order of a reject's JSON; files of 11 and 12 columns agree on these."""

_WHOLE_NUMBER = r"^\s*(\d+)(?:\.0+)?\s*$"


def read_metadata(spark: "SparkSession", files: InputFiles) -> DataFrame:
    """The raw frame of parquet and CSV files; nothing is read yet.

    A quoted CSV value may hold line breaks; therefore a CSV file is read by one task, never split. Parquet is split.
    """
    return reduce(DataFrame.unionByName, [_read_group(spark, group) for group in files.groups])


def text(column: Column) -> Column:
    """The column as a string, null where empty, so that CSV and parquet agree."""
    return F.nullif(column.cast("string"), F.lit(""))


def whole_number(column: Column) -> Column:
    """The BIGINT that a string stands for, null unless a whole number >= 0 ("12" and "12.0" are)."""
    return F.regexp_extract(column, _WHOLE_NUMBER, 1).try_cast("bigint")


def _read_group(spark: "SparkSession", group: FileGroup) -> DataFrame:
    paths = [spark_path(path) for path in group.paths]
    if group.format == "parquet":
        frame = spark.read.parquet(*paths)
    else:
        schema = ", ".join(f"{_quoted(name)} string" for name in group.header)
        form = {"header": True, "sep": ",", "quote": '"', "escape": '"', "multiLine": True, "enforceSchema": True}
        frame = spark.read.csv(paths, schema=schema, **form)
    raw = [_raw_text(group, name).alias(f"raw_{name}") for name in (*RAW_NAMES, "taxon_rank")]
    return frame.select(
        *raw,
        _number(group).alias("number"),
        F.lit(True).alias("observed"),
        F.col("_metadata.file_name").alias("source_file"),
    )


def _raw_text(group: FileGroup, name: str) -> Column:
    if name not in group.columns:
        return F.lit(None).cast("string")
    column = F.col(_quoted(group.columns[name]))
    if name == "photo_id" and group.types[name] in ("float", "double"):
        return F.coalesce(_whole_float(column).cast("string"), text(column))
    return text(column)


def _number(group: FileGroup) -> Column:
    """The photo id; a float column (pandas makes one where an id is missing) is taken where it is whole."""
    if "photo_id" not in group.columns:
        return F.lit(None).cast("bigint")
    column = F.col(_quoted(group.columns["photo_id"]))
    if group.types["photo_id"] in ("float", "double"):
        return _whole_float(column)
    if group.types["photo_id"] in ("int64", "int32"):
        return F.when(column >= 0, column.cast("bigint"))
    return whole_number(column.cast("string"))


def _whole_float(column: Column) -> Column:
    return F.when((column >= 0) & (column < 2**53) & (column == F.floor(column)), column.cast("bigint"))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
