"""What a download would ask of which host. Tables read: selections, photos, downloads, shard_plan; none written."""

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from spark_jobs import table_io
from spark_jobs.commit_shards import ShardStore
from spark_jobs.config import DownloadConfig
from spark_jobs.plan_shards import photos_to_ask, wanted_photos
from spark_jobs.run_shards import numbered
from spark_jobs.runs import Summary
from spark_jobs.tables import DOWNLOADS, PHOTOS, SELECTIONS, SHARD_PLAN, SHARDS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_LISTED_HOSTS = 20


def foresee(spark: "SparkSession", config: DownloadConfig) -> Summary:
    """The photos that a run with this config would ask for, in all and per host; writes nothing.

    Photos of shards that are planned and not done come first; then those that a new plan would hold.
    """
    started = time.monotonic()
    planned = _open_photos(spark, config)
    fresh = _fresh_photos(spark, config, planned)
    urls = fresh if planned is None else fresh.unionByName(planned)
    hosts = sorted(_per_host(urls, config).items(), key=lambda item: (-item[1], item[0]))
    counts = {"photos_in_open_shards": 0 if planned is None else planned.count(), "photos": sum(n for _, n in hosts)}
    counts |= {f"at {host}": number for host, number in hosts[:_LISTED_HOSTS]}
    if rest := hosts[_LISTED_HOSTS:]:
        counts[f"at {len(rest):,} more hosts"] = sum(number for _, number in rest)
    notes = ["dry run: nothing was asked for and nothing written"]
    return Summary(config.job, counts, bool(hosts), notes, time.monotonic() - started)


def _open_photos(spark: "SparkSession", config: DownloadConfig) -> "DataFrame | None":
    """(photo_id, photo_url) of planned shards without a row; None where nothing was ever planned."""
    from pyspark.sql import functions as F

    if not (table_io.exists(config.root, SHARD_PLAN) and table_io.exists(config.root, SHARDS)):
        return None
    keys = ShardStore(config.root, config.dataset).open_keys(config.splits)
    plan = table_io.read(spark, config.root, SHARD_PLAN).where(F.col("dataset") == config.dataset)
    is_open = spark.createDataFrame(numbered(keys))
    return plan.join(is_open, on=["split", "shard_id"], how="left_semi").select("photo_id", "photo_url")


def _fresh_photos(spark: "SparkSession", config: DownloadConfig, planned: "DataFrame | None") -> "DataFrame":
    """(photo_id, photo_url) of photos that a new plan would hold, besides those planned and not done."""
    selections = table_io.read(spark, config.root, SELECTIONS)
    if table_io.exists(config.root, DOWNLOADS):
        asked = photos_to_ask(selections, table_io.read(spark, config.root, DOWNLOADS), config)
    else:
        asked = wanted_photos(selections, config)
    if planned is not None:
        asked = asked.join(planned.select("photo_id"), on="photo_id", how="left_anti")
    photos = table_io.read(spark, config.root, PHOTOS).select("photo_id", "photo_url")
    return photos.join(asked.select("photo_id"), on="photo_id", how="left_semi")


def _per_host(photos: "DataFrame", config: DownloadConfig) -> dict[str, int]:
    """Host -> photos to ask it for."""
    from pyspark.sql import functions as F

    if config.base_url is not None:
        number = photos.count()
        return {urlsplit(config.base_url).netloc: number} if number else {}
    host = F.lower(F.regexp_extract("photo_url", r"(?i)^https?://(?:[^/?#@]*@)?([^/?#]*)", 1))
    rows = photos.groupBy(host.alias("host")).count().collect()
    return {row["host"] or "no host (give --base-url)": row["count"] for row in rows}
