"""Which photo goes into which shard: wanted, less present, less given up, in the shuffled order of its split.

Tables read: selections, photos, downloads, shards, shard_plan. Table written: shard_plan, by one append before the
first request. Running it again plans only what no earlier plan covers.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from spark_jobs import table_io
from spark_jobs.config import DownloadConfig, RetryConfig
from spark_jobs.statuses import RETRYABLE
from spark_jobs.tables import DOWNLOADS, PHOTOS, SELECTIONS, SHARD_PLAN
from spark_jobs.taxa import taxa
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MAX_RUNS_PER_PHOTO = 5
"""A photo whose failures are temporary is asked for in at most so many runs."""

MAX_PLANS_PER_PHOTO = 25
"""It is planned at most so often, runs included in which its host was out and it was not asked for."""

_ROWS_PER_BUCKET = 250_000


def check_rendition(root: Path, config: DownloadConfig) -> None:
    """Make sure that the dataset's pictures are all of one rendition and one layout.

    Raises:
        BadInputError: the dataset was planned with others; the message names them and the way out.
    """
    if not table_io.exists(root, SHARD_PLAN):
        return
    is_other = (pc.field("rendition") != config.rendition) | (pc.field("layout") != config.layout)
    other = table_io.read_arrow(root, SHARD_PLAN, ["rendition", "layout"], _of(config) & is_other)
    if other.num_rows:
        form = other.slice(0, 1).to_pylist()[0]
        raise BadInputError(
            f"dataset {config.dataset} holds {form['rendition']} pictures in layout {form['layout']}, not "
            f"{config.rendition} in {config.layout}; use --dataset NEW for another form"
        )


def check_base_url(root: Path, config: DownloadConfig, open_keys: Sequence[tuple[str, int]]) -> None:
    """Make sure that the photos of open shards can be asked for.

    Raises:
        BadInputError: one has a path for a URL and there is no base URL.
    """
    if config.base_url is not None or not open_keys:
        return
    is_path = (pc.field("photo_url") >= "/") & (pc.field("photo_url") < "0")  # "0" follows "/"
    shards = table_io.count_values(root, SHARD_PLAN, ["split", "shard_id"], _of(config) & is_path)
    with_paths = {(shard["split"], shard["shard_id"]) for shard in shards.to_pylist()}
    for split, shard_id in sorted(with_paths & set(open_keys)):
        in_shard = _of(config) & is_path & (pc.field("split") == split) & (pc.field("shard_id") == shard_id)
        raise _no_host(table_io.read_arrow(root, SHARD_PLAN, ["photo_url"], in_shard)["photo_url"][0].as_py())


def _of(config: DownloadConfig) -> pc.Expression:
    return pc.field("dataset") == config.dataset


def _no_host(photo_url: str) -> BadInputError:
    return BadInputError(f"photo_url {photo_url} names no host; give --base-url http://HOST")


def wanted_photos(selections: "DataFrame", config: DownloadConfig) -> "DataFrame":
    """(photo_id, split, order_hash) of the photos that the dataset's selection keeps in the configured splits."""
    from pyspark.sql import functions as F

    of_dataset = (F.col("dataset") == config.dataset) & F.col("fate").isin(*config.splits)
    return selections.where(of_dataset).select("photo_id", F.col("fate").alias("split"), "order_hash")


def photo_outcomes(downloads: "DataFrame", dataset: str) -> "DataFrame":
    """(photo_id, is_settled, status) of the photos asked for so far.

    is_settled: not to be asked for again, being present, failed for good, or asked for in too many runs. status: the
    latest, which is that of the highest shard_id.
    """
    from pyspark.sql import functions as F

    temporary = F.col("status").isin(*(status.value for status in RETRYABLE))
    shard_id = F.regexp_extract("shard_file", r"-(\d+)-[0-9a-f]+\.tar$", 1).cast("int")
    num_runs = F.count_if(F.col("attempts") > 0)
    given_up = (num_runs >= MAX_RUNS_PER_PHOTO) | (F.count("*") >= MAX_PLANS_PER_PHOTO)
    per_photo = downloads.where(F.col("dataset") == dataset).groupBy("photo_id")
    return per_photo.agg(
        (~F.bool_and(temporary) | given_up).alias("is_settled"),
        F.max_by("status", shard_id).alias("status"),
    )


def photos_to_ask(selections: "DataFrame", downloads: "DataFrame", config: DownloadConfig) -> "DataFrame":
    """(photo_id, split, order_hash) of the wanted photos that no plan covers and that may be asked for."""
    from pyspark.sql import functions as F

    wanted = wanted_photos(selections, config)
    outcomes = photo_outcomes(downloads, config.dataset)
    if isinstance(config, RetryConfig):
        again = outcomes.where(~F.col("is_settled") & F.col("status").isin(*config.only))
        return wanted.join(again.select("photo_id"), on="photo_id", how="left_semi")
    return wanted.join(outcomes.where("is_settled").select("photo_id"), on="photo_id", how="left_anti")


def place_in_shards(photos: "DataFrame", samples_per_shard: int, first_shard_ids: dict[str, int]) -> "DataFrame":
    """The photos with shard_id and position: each split cut into runs of `samples_per_shard` by its order hash.

    The rank in a split is its rank in a bucket of the hash's range plus the sizes of the buckets before, so that no
    single task sorts a split. The result depends on the rows alone, not on partitions.

    Args:
        photos: photo_id, split, order_hash.
        samples_per_shard: at least 1; the last shard of a split may hold fewer.
        first_shard_ids: split -> shard_id to begin with; 0 where a split is absent.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    num_buckets = max(1, photos.count() // _ROWS_PER_BUCKET)
    fraction = F.col("order_hash").cast("double") / F.lit(2.0**64) + F.lit(0.5)
    bucket = F.least(F.floor(fraction * num_buckets), F.lit(num_buckets - 1)).cast("int")
    bucketed = photos.withColumn("bucket", bucket)
    before = Window.partitionBy("split").orderBy("bucket").rowsBetween(Window.unboundedPreceding, -1)
    sizes = bucketed.groupBy("split", "bucket").count()
    offsets = sizes.select("split", "bucket", F.coalesce(F.sum("count").over(before), F.lit(0)).alias("offset"))
    within = Window.partitionBy("split", "bucket").orderBy("order_hash", "photo_id")
    ranked = bucketed.withColumn("rank", F.row_number().over(within) - 1)
    ranked = ranked.join(F.broadcast(offsets), on=["split", "bucket"], how="inner")
    rank = F.col("rank") + F.col("offset")
    first = F.coalesce(*(F.when(F.col("split") == s, F.lit(i)) for s, i in first_shard_ids.items()), F.lit(0))
    return ranked.select(
        "photo_id",
        "split",
        (first + F.floor(rank / samples_per_shard)).cast("int").alias("shard_id"),
        (rank % samples_per_shard).cast("int").alias("position"),
    )


def describe(placed: "DataFrame", photos: "DataFrame", config: DownloadConfig) -> "DataFrame":
    """Rows of shard_plan: each placed photo with everything that its tar members need."""
    from pyspark.sql import functions as F

    from_row = ["photo_id", "taxon_id", "scientific_name", "taxon_rank", "license", "attribution", "photo_url"]
    from_taxon = ["taxon_id", *RANKS, "common_name", "category"]
    planned = placed.join(photos.select(*from_row), on="photo_id", how="inner")
    planned = planned.join(F.broadcast(taxa(photos).select(*from_taxon)), on="taxon_id", how="inner")
    constants = {"dataset": config.dataset, "rendition": config.rendition, "layout": config.layout}
    planned = planned.withColumns({name: F.lit(value) for name, value in constants.items()})
    return planned.select(*(F.col(f"`{name}`") for name in SHARD_PLAN.column_names))


def plan_shards(spark: "SparkSession", config: DownloadConfig, versions: Mapping[str, int]) -> int:
    """Append a plan for every photo that is wanted and not settled; the number of photos planned.

    No plan of the configured splits may be open.

    Args:
        spark: the session.
        config: of the download.
        versions: the versions of photos and selections to plan by.

    Raises:
        BadInputError: a photo_url is a path and no base URL was given. Nothing is written.
    """
    from pyspark.sql import functions as F

    root = config.root
    selections = table_io.read(spark, root, SELECTIONS, versions[SELECTIONS.name])
    to_ask = photos_to_ask(selections, table_io.read(spark, root, DOWNLOADS), config).cache()
    plan = None
    try:
        num_photos = to_ask.count()
        if num_photos == 0:
            return 0
        placed = place_in_shards(to_ask, config.samples_per_shard, _next_shard_ids(root, config.dataset))
        plan = describe(placed, table_io.read(spark, root, PHOTOS, versions[PHOTOS.name]), config).cache()
        if config.base_url is None and (photo := plan.where(F.col("photo_url").startswith("/")).first()):
            raise _no_host(photo["photo_url"])
        num_planned = plan.count()
        assert num_planned == num_photos, f"planned {num_planned} of {num_photos} photos: photos lacks some"
        table_io.append(root, SHARD_PLAN, plan.repartition(1) if num_photos < _ROWS_PER_BUCKET else plan)
        return num_photos
    finally:
        for frame in (to_ask, plan):
            if frame is not None:
                frame.unpersist()


def _next_shard_ids(root: Path, dataset: str) -> dict[str, int]:
    return {split: 1 + max(ids) for split, ids in planned_shard_ids(root, dataset).items()}


def planned_sizes(root: Path, dataset: str) -> dict[tuple[str, int], int]:
    """(split, shard_id) -> photos, of every shard that any plan of the dataset holds."""
    sizes = table_io.count_values(root, SHARD_PLAN, ["split", "shard_id"], pc.field("dataset") == dataset)
    return {(size["split"], size["shard_id"]): size["num_rows"] for size in sizes.to_pylist()}


def planned_shard_ids(root: Path, dataset: str) -> dict[str, set[int]]:
    """Split -> shard ids that any plan of the dataset holds."""
    found: dict[str, set[int]] = {}
    for split, shard_id in planned_sizes(root, dataset):
        found.setdefault(split, set()).add(shard_id)
    return found
