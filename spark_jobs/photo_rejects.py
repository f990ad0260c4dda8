"""Source rows that are no photo -> the photo_rejects table."""

from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs import table_io
from spark_jobs.config import IngestConfig
from spark_jobs.photo_rows import reject_reason
from spark_jobs.read_metadata import RAW_NAMES
from spark_jobs.scratch import Scratch
from spark_jobs.tables import PHOTO_REJECTS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def photo_rejects(identified: DataFrame, lineages: DataFrame, config: IngestConfig) -> DataFrame:
    """The rows of photo_rejects that identified rows with their lineages' taxa make, in table order."""
    named = F.lit("named")  # any rank: only its absence matters here, and few lineages lack it
    unnamed = lineages.where("taxon_rank IS NULL").select("lineage_key", F.lit(True).alias("is_unnamed"))
    rejected = identified.join(unnamed, on="lineage_key", how="left_outer")
    rejected = rejected.withColumn("taxon_rank", F.when(F.col("is_unnamed").isNull(), named))
    raw = F.to_json(F.struct(*(F.col(f"raw_{name}").alias(name) for name in RAW_NAMES)))
    rows = rejected.select(reject_reason().alias("reason"), raw.alias("raw"), "source_file").where("reason IS NOT NULL")
    equal = rows.groupBy("reason", "raw").agg(
        F.count(F.lit(1)).alias("num_rows"), F.min("source_file").alias("source_file")
    )
    return equal.select(
        F.lit(config.recorded_source).alias("source"),
        F.lit(config.snapshot).alias("snapshot"),
        F.sha2("raw", 256).alias("raw_sha256"),
        "reason",
        "raw",
        "num_rows",
        "source_file",
    )


def upsert_rejects(spark: "SparkSession", root: Path, rejects: DataFrame, scratch: Scratch) -> bool:
    """Write the rejects that the table lacks or has with another reason or number; returns whether there were any."""
    table_io.create(root, PHOTO_REJECTS)
    known = table_io.read(spark, root, PHOTO_REJECTS)
    same = [*PHOTO_REJECTS.key, "reason", "num_rows"]
    new = scratch.keep("new_rejects", rejects.join(known.select(*same), on=same, how="left_anti"))
    if new.isEmpty():
        return False
    table_io.merge(spark, root, PHOTO_REJECTS, new)
    return True
