"""The taxon table: what `photos` as a whole says about each taxon. `count`, `select`, `download` and `label` use it."""

from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.window import Window

from taxonomy.ranks import CATEGORIES, OTHER_CATEGORY, RANKS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

TAXON_COLUMNS = ("taxon_id", "taxon_rank", *RANKS, "common_name", "category")
"""The columns of the taxon table, in order; its key is taxon_id."""

_NAME_COLUMNS = ("taxon_id", "taxon_rank", *RANKS, "common_name")


def taxa(photos: "DataFrame") -> "DataFrame":
    """One row per taxon (TAXON_COLUMNS): its most frequent lineage and common name, and the category they give.

    Needs photo_id (unique), taxon_id, taxon_rank, the ranks and common_name of every photo, withdrawn ones included,
    so that all jobs see the same taxa. Ties go to the smallest in byte order, where a null rank comes first;
    common_name is null only where no photo of the taxon has one. The lineage is one that occurs: its ranks are never
    mixed from two rows.
    """
    return elect(taxon_names(photos))


def taxon_names(photos: "DataFrame", **tallies: "Column") -> "DataFrame":
    """taxon_id, taxon_rank, the ranks and common_name, each combination once, with `num` and further aggregates.

    Photos are grouped by taxon_id and a hash of their names, so that only numbers are shuffled; one photo of each
    group then gives the names themselves. Two sets of names of one taxon share a 64-bit hash with a
    chance of 2^-64.

    Args:
        photos: as `taxa` needs them.
        tallies: name -> aggregate over the photos of a combination.
    """
    counts = photos.groupBy("taxon_id", _names_hash().alias("names_hash")).agg(
        F.count(F.lit(1)).alias("num"),
        F.min("photo_id").alias("photo_id"),
        *(tally.alias(name) for name, tally in tallies.items()),
    )
    named = photos.select("photo_id", *_NAME_COLUMNS)
    joined = named.join(F.broadcast(counts.drop("taxon_id", "names_hash")), on="photo_id", how="inner")
    return joined.select(*_NAME_COLUMNS, "num", *tallies)


def _names_hash() -> "Column":
    """A hash of a row's names; alone, xxhash64 would skip nulls, so a bit per column tells where they are."""
    names = [name for name in _NAME_COLUMNS if name != "taxon_id"]
    bits = [F.when(F.col(name).isNull(), F.lit(1 << place)).otherwise(0) for place, name in enumerate(names)]
    return F.xxhash64(*names, sum(bits[1:], bits[0]))


def elect(names: "DataFrame") -> "DataFrame":
    """The taxon table (TAXON_COLUMNS) that the photos of each combination of names, as `taxon_names`, vote for."""
    lineage = ("taxon_id", *RANKS, "taxon_rank")
    votes = names.repartition("taxon_id").select(
        *_NAME_COLUMNS,
        F.sum("num").over(Window.partitionBy(*lineage)).alias("num_lineage"),
        F.sum("num").over(Window.partitionBy("taxon_id", "common_name")).alias("num_name"),
    )
    # The smallest struct is the one with the most photos, then the first in byte order; Spark puts nulls first.
    winners = votes.groupBy("taxon_id").agg(
        F.min(F.struct(-F.col("num_lineage"), *RANKS, "taxon_rank")).alias("lineage"),
        F.min(F.when(F.col("common_name").isNotNull(), F.struct(-F.col("num_name"), "common_name"))).alias("name"),
    )
    flat = winners.select(
        "taxon_id", "lineage.taxon_rank", *(F.col(f"lineage.{rank}") for rank in RANKS), "name.common_name"
    )
    return flat.withColumn("category", category_column()).select(*TAXON_COLUMNS)


def category_column() -> "Column":
    """The category of a row's rank columns, which hold cleaned names: `taxonomy.ranks.category_of` in Spark."""
    # coalesce takes the first that is not null, as the first match wins.
    matches = [F.when(F.col(rank) == name, category) for category, (rank, name) in CATEGORIES.items()]
    return F.coalesce(*matches, F.lit(OTHER_CATEGORY))
