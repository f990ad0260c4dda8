"""One row per photo id: which ids are repeated, and which of their rows stays.

Only ids are aggregated over all rows, and only rows of repeated ids compared with each other: a de-duplication of whole
rows would shuffle every column of all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.photo_rows import PHOTO_COLUMNS
from spark_jobs.scratch import Scratch

MAX_BROADCAST_IDS = 1_000_000
"""More ids than that (about 50 MB as a hash table in each process) are joined by a shuffle."""


@dataclass(frozen=True)
class Incoming:
    """The photos of an ingest, one row per photo id.

    Attributes:
        identified: all source rows, as `photo_rows.identify` returns them.
        accept: identified rows -> the photos among them.
        repeated: photo_id of the ids on more than one row, None where there are none.
        winners: the photo that stays of every repeated id, None likewise.
        num_duplicates: rows equal to a row that stays or loses.
        num_conflicts: distinct rows that lost against a smaller one.
    """

    identified: DataFrame
    accept: Callable[[DataFrame], DataFrame]
    repeated: DataFrame | None
    winners: DataFrame | None
    num_duplicates: int
    num_conflicts: int

    def photos(self, only: DataFrame | None = None) -> DataFrame:
        """PHOTO_COLUMNS of all photos, or of those whose photo_id is in `only`."""
        single = self.identified
        if only is not None:
            single = single.join(only, on="photo_id", how="left_semi")
        if self.repeated is None or self.winners is None:
            return self.accept(single)
        winners = self.winners if only is None else self.winners.join(only, on="photo_id", how="left_semi")
        single = single.join(self.repeated, on="photo_id", how="left_anti")
        return self.accept(single).unionByName(winners)


def find_repeated(identified: DataFrame, accept: Callable[[DataFrame], DataFrame], scratch: Scratch) -> Incoming:
    """Settle the repeated ids of identified rows: equal photos are duplicates, others conflicts.

    Of different photos with one id the smallest stays, by the struct of PHOTO_COLUMNS (nulls first, texts in byte
    order), whatever the order of the rows. Rejected rows take no part.
    """
    ids = identified.where(F.col("photo_id").isNotNull()).groupBy("photo_id").agg(F.count(F.lit(1)).alias("num_rows"))
    repeated = scratch.keep("repeated_ids", ids.where("num_rows > 1").select("photo_id"))
    num_repeated = repeated.count()
    if not num_repeated:
        return Incoming(identified, accept, None, None, 0, 0)
    repeated = broadcast_if_few(repeated, num_repeated)
    rows = accept(identified.join(repeated, on="photo_id", how="left_semi"))
    settled = scratch.keep("settled_ids", settle(rows))
    tally = settled.agg(
        F.coalesce(F.sum(F.col("num_rows") - F.col("num_distinct")), F.lit(0)).alias("duplicates"),
        F.coalesce(F.sum(F.col("num_distinct") - 1), F.lit(0)).alias("conflicts"),
    ).collect()[0]
    return Incoming(
        identified, accept, repeated, settled.select(*PHOTO_COLUMNS), tally["duplicates"], tally["conflicts"]
    )


def settle(photos: DataFrame) -> DataFrame:
    """One row per photo_id of PHOTO_COLUMNS rows, with num_rows and num_distinct: rows and different rows it had."""
    distinct = photos.groupBy(*PHOTO_COLUMNS).agg(F.count(F.lit(1)).alias("num_equal"))
    by_id = distinct.groupBy("photo_id").agg(
        F.min(F.struct(*PHOTO_COLUMNS)).alias("winner"),
        F.sum("num_equal").alias("num_rows"),
        F.count(F.lit(1)).alias("num_distinct"),
    )
    return by_id.select("winner.*", "num_rows", "num_distinct")


def broadcast_if_few(ids: DataFrame, num_ids: int) -> DataFrame:
    """The frame, marked for broadcast unless it has more than MAX_BROADCAST_IDS rows."""
    return F.broadcast(ids) if num_ids <= MAX_BROADCAST_IDS else ids
