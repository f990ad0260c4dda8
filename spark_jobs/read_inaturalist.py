"""iNaturalist Open Data's four tables -> the raw frame of `spark_jobs.read_metadata`.

The tables are tab-separated, gzipped and unquoted: quotes are letters of a value.
Source: inaturalist/inaturalist-open-data, README and Metadata/structure.sql (2024-12).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from spark_jobs.config import IngestConfig
from spark_jobs.input_files import csv_form
from spark_jobs.photo_rows import known
from spark_jobs.read_metadata import RAW_NAMES, spark_path, text, whole_number
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NEEDED_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "photos": ("photo_id", "observation_uuid", "observer_id", "extension", "license"),
    "observations": ("observation_uuid", "taxon_id", "quality_grade"),
    "taxa": ("taxon_id", "ancestry", "rank", "name"),
    "observers": ("observer_id", "login", "name"),
}
"""Table -> the columns that are read."""

GIVEN_COLUMNS = frozenset(
    {"photo_id", "scientific_name", *RANKS, "photo_url", "license", "attribution", "observation_id"}
)
"""What the four tables together say of a photo; they have no common names."""

_BUCKET = "https://inaturalist-open-data.s3.amazonaws.com/photos/"
_PUBLIC_DOMAIN = ("CC0", "PD")


@dataclass(frozen=True)
class OpenDataFile:
    """One of the four tables: where it lies and its columns in file order."""

    path: Path
    header: tuple[str, ...]


def find_inaturalist(config: IngestConfig) -> dict[str, OpenDataFile]:
    """The four tables of the input folder, their headers read.

    Raises:
        BadInputError: a file or a column is missing, or a file cannot be read.
    """
    if not config.input.is_dir():
        raise BadInputError(f"--input {config.input}: give the folder that holds {', '.join(_file_names())}")
    if missing := [name for name in _file_names() if not (config.input / name).is_file()]:
        raise BadInputError(f"--input {config.input}: the folder lacks {', '.join(missing)}")
    return {table: _open_data_file(config.input / f"{table}.csv.gz", table) for table in NEEDED_COLUMNS}


def _file_names() -> list[str]:
    return [f"{table}.csv.gz" for table in NEEDED_COLUMNS]


def _open_data_file(path: Path, table: str) -> OpenDataFile:
    header, _ = csv_form(path, "\t")
    if missing := [name for name in NEEDED_COLUMNS[table] if name not in header]:
        raise BadInputError(f"{path}: column {', '.join(missing)} is missing (it has {', '.join(header)})")
    return OpenDataFile(path.absolute(), header)


def read_inaturalist(spark: "SparkSession", files: Mapping[str, OpenDataFile], rows_read: Observation) -> DataFrame:
    """The raw frame, one row per row of photos; `rows_read` receives their number as num_rows when it is computed."""
    photos = _read_table(spark, files["photos"], "photos")
    photos = photos.withColumn("source_file", F.col("_metadata.file_name"))
    photos = photos.observe(rows_read, F.count(F.lit(1)).alias("num_rows"))
    observations = _one_per_key(_read_table(spark, files["observations"], "observations"), "observation_uuid")
    observers = _one_per_key(_read_table(spark, files["observers"], "observers"), "observer_id")
    taxa = resolve_ancestry(_one_per_key(_read_table(spark, files["taxa"], "taxa"), "taxon_id"))
    joined = (
        photos.join(observations.withColumn("found", F.lit(True)), on="observation_uuid", how="left_outer")
        .join(taxa, on="taxon_id", how="left_outer")
        .join(observers, on="observer_id", how="left_outer")
    )
    values = _raw_values()
    missing = F.lit(None).cast("string")
    return joined.select(
        *(values.get(name, missing).alias(f"raw_{name}") for name in (*RAW_NAMES, "taxon_rank")),
        whole_number(F.col("photo_id")).alias("number"),
        F.coalesce("found", F.lit(False)).alias("observed"),
        "source_file",
    )


def resolve_ancestry(taxa: DataFrame) -> DataFrame:
    """Taxa (taxon_id, ancestry, rank, name; unique ids) -> taxon_id, scientific_name and the seven ranks.

    Ranks between the seven are skipped; a taxon below species keeps its own name as scientific_name and has the
    epithet of its species. An ancestor that the table lacks leaves its rank null.
    """
    path = F.split(F.concat_ws("/", "ancestry", "taxon_id"), r"[^0-9]+")
    steps = taxa.select("taxon_id", F.explode(path).alias("step_id"))
    named = taxa.where(F.col("rank").isin(*RANKS)).select(
        F.col("taxon_id").alias("step_id"),
        F.col("rank").alias("step_rank"),
        F.when(F.col("rank") == "species", _epithet(F.col("name"))).otherwise(F.col("name")).alias("step_name"),
    )
    ranks = [F.max(F.when(F.col("step_rank") == rank, F.col("step_name"))).alias(rank) for rank in RANKS]
    lineages = steps.join(named, on="step_id", how="inner").groupBy("taxon_id").agg(*ranks)
    names = taxa.select("taxon_id", F.col("name").alias("scientific_name"))
    return names.join(lineages, on="taxon_id", how="left_outer")


def _epithet(name: Column) -> Column:
    """The last word of a species' name without the hybrid sign of "Salix \u00d7 fragilis" or "Salix \u00d7fragilis"."""
    return F.regexp_extract(name, "\\s(?:\u00d7\\s*)?([^\\s\u00d7]+)\\s*$", 1)


def _raw_values() -> dict[str, Column]:
    is_located = whole_number(F.col("photo_id")).isNotNull() & F.col("extension").isNotNull()
    url = F.concat(F.lit(_BUCKET), whole_number(F.col("photo_id")), F.lit("/medium."), F.col("extension"))
    given = ("photo_id", "scientific_name", *RANKS, "license", "quality_grade")
    return {
        **{name: text(F.col(name)) for name in given},
        "photo_url": F.when(is_located, url),
        "attribution": _attribution(),
        "observation_id": text(F.col("observation_uuid")),
    }


def _attribution() -> Column:
    """Whom to name, as "(c) Ana Silva, CC-BY"; no (c) in the public domain, null where the observer is unknown."""
    observer = F.coalesce(known(F.col("observer_name")), known(F.col("login")))
    sign = F.when(F.col("license").isin(*_PUBLIC_DOMAIN), "").otherwise("(c) ")
    credit = F.concat_ws(", ", observer, known(F.col("license")))
    return F.when(observer.isNotNull(), F.concat(sign, credit))


def _read_table(spark: "SparkSession", file: OpenDataFile, table: str) -> DataFrame:
    schema = ", ".join(f"`{name.replace('`', '``')}` string" for name in file.header)
    path = spark_path(file.path)
    frame = spark.read.csv(path, schema=schema, header=True, sep="\t", quote="", escape="", enforceSchema=True)
    columns = [F.col(f"`{name}`") for name in NEEDED_COLUMNS[table]]
    if table == "observers":
        columns[-1] = columns[-1].alias("observer_name")
    if table == "photos":
        columns.append(F.col("_metadata"))
    return frame.select(*columns)


def _one_per_key(rows: DataFrame, key: str) -> DataFrame:
    """One row per key that is not null, the smallest if repeated, so that a join keeps the number of photos."""
    others = [name for name in rows.columns if name != key]
    smallest = rows.where(F.col(key).isNotNull()).groupBy(key).agg(F.min(F.struct(*others)).alias("row"))
    return smallest.select(key, "row.*")
