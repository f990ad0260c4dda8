"""What an ingest changes in a photos table that has rows: new, changed and gone photos.

Both sides are reduced to narrow rows of hashes, which are joined on photo_id; only photos that turn out to change
fetch their wide rows. A MERGE of everything would rewrite all rows, changed or not.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from spark_jobs.config import IngestConfig
from spark_jobs.photo_rows import PHOTO_COLUMNS
from spark_jobs.repeated_photos import Incoming, broadcast_if_few
from spark_jobs.resolve_taxa import LINEAGE_COLUMNS
from spark_jobs.scratch import Scratch
from spark_jobs.tables import PHOTOS
from spark_jobs.taxa import category_column
from taxonomy.ranks import RANKS

COMPARED_COLUMNS = [name for name in PHOTO_COLUMNS if name not in ("photo_id", "group_id", "source")]

KINDS = ("new", "changed", "unchanged", "gone")

_FILLED_ALWAYS = ("source_photo_id", "license", "attribution")
_NULLABLE = [name for name in COMPARED_COLUMNS if name in (*LINEAGE_COLUMNS, *_FILLED_ALWAYS)]


@dataclass(frozen=True)
class Comparison:
    """How stored and incoming photos are compared.

    Attributes:
        config: of the ingest.
        silent: columns that no input file has: they say nothing, neither a value nor its absence, so that what
            another source filled in stays.
    """

    config: IngestConfig
    silent: Collection[str]

    @property
    def columns(self) -> list[str]:
        """The columns in which a difference is a change."""
        derived = {"category"} if set(RANKS) & set(self.silent) else set()
        return [name for name in COMPARED_COLUMNS if name not in {*self.silent, *derived}]


@dataclass(frozen=True)
class ChangeSet:
    """The photos that change.

    Attributes:
        ids: photo_id, kind (new, changed or gone).
        counts: kind -> photos, for all KINDS.
    """

    ids: DataFrame
    counts: Mapping[str, int]

    @property
    def num_changes(self) -> int:
        """How many photos are written."""
        return sum(self.counts[kind] for kind in KINDS if kind != "unchanged")

    def of(self, *kinds: str) -> DataFrame:
        """photo_id of those kinds, marked for broadcast if few."""
        ids = self.ids.where(F.col("kind").isin(*kinds)).select("photo_id")
        return broadcast_if_few(ids, sum(self.counts[kind] for kind in kinds))


def find_changes(incoming: DataFrame, stored: DataFrame, comparison: Comparison, scratch: Scratch) -> ChangeSet:
    """Compare incoming photos (PHOTO_COLUMNS, unique ids) with the photos table, null-safely."""
    joined = (
        _narrow(incoming, comparison)
        .alias("new")
        .join(
            _narrow(stored, comparison, F.col("source"), F.col("gone_snapshot").isNotNull().alias("is_gone")).alias(
                "old"
            ),
            on=F.col("new.photo_id") == F.col("old.photo_id"),
            how="full_outer" if comparison.config.complete else "left_outer",
        )
    )
    compared = joined.select(
        F.coalesce("new.photo_id", "old.photo_id").alias("photo_id"), _kind(comparison.config).alias("kind")
    )
    seen = Observation()
    tallies = [F.count_if(F.col("kind") == kind).alias(kind) for kind in KINDS]
    ids = compared.observe(seen, *tallies).where(F.col("kind").isin("new", "changed", "gone"))
    kept = scratch.keep("changes", ids)
    return ChangeSet(kept, {kind: int(seen.get[kind]) for kind in KINDS})


def _narrow(photos: DataFrame, comparison: Comparison, *more: Column) -> DataFrame:
    """photo_id, taxon_id, known (a bit per nullable column that has a value), fingerprint, and `more`."""
    bits = [F.when(F.col(name).isNotNull(), F.lit(1 << place)).otherwise(0) for place, name in enumerate(_NULLABLE)]
    known = sum(bits[1:], bits[0])
    spoken = known.bitwiseAND(F.lit(_bits(set(_NULLABLE) - set(comparison.silent))))
    fingerprint = F.xxhash64(*comparison.columns, spoken)  # alone it would skip nulls; the bits tell where they are
    return photos.select("photo_id", "taxon_id", known.alias("known"), fingerprint.alias("fingerprint"), *more)


def _bits(names: Collection[str]) -> int:
    return sum(1 << place for place, name in enumerate(_NULLABLE) if name in names)


def _kind(config: IngestConfig) -> Column:
    """The kind of a joined pair; null for a stored photo that the input lacks and that is not gone by that."""
    is_own = F.col("old.source") == config.recorded_source
    differs = (F.col("new.fingerprint") != F.col("old.fingerprint")) | F.col("old.is_gone")
    fills = F.col("new.known").bitwiseAND(F.bitwise_not("old.known"))
    always = fills.bitwiseAND(F.lit(_bits(_FILLED_ALWAYS))) != 0
    same_taxon = (F.col("new.taxon_id") == F.col("old.taxon_id")) & (fills != 0)
    changed = F.when(is_own, differs).otherwise(always | same_taxon)
    return (
        F.when(F.col("old.photo_id").isNull(), "new")
        .when(F.col("new.photo_id").isNull(), F.when(is_own & ~F.col("old.is_gone"), "gone"))
        .when(changed, "changed")
        .otherwise("unchanged")
    )


def changed_rows(changes: ChangeSet, incoming: Incoming, stored: DataFrame, comparison: Comparison) -> DataFrame:
    """The photos rows to write: new and changed ones with their new values, gone ones marked; in table order."""
    snapshot = F.lit(comparison.config.snapshot)
    rows = new_rows(incoming.photos(changes.of("new")), comparison.config)
    if changes.counts["changed"]:
        ids = changes.of("changed")
        pairs = stored.join(ids, on="photo_id", how="left_semi").alias("old")
        arrived = broadcast_if_few(incoming.photos(ids), changes.counts["changed"]).alias("new")
        pairs = pairs.join(arrived, on=F.col("old.photo_id") == F.col("new.photo_id"), how="inner")
        rows = rows.unionByName(_updated(pairs, comparison))
    if changes.counts["gone"]:
        gone = stored.join(changes.of("gone"), on="photo_id", how="left_semi")
        rows = rows.unionByName(gone.withColumns({"gone_snapshot": snapshot, "changed_snapshot": snapshot}))
    return rows


def new_rows(photos: DataFrame, config: IngestConfig) -> DataFrame:
    """Rows of the photos table, in its order, for photos (PHOTO_COLUMNS) that it lacks."""
    snapshot = F.lit(config.snapshot)
    return photos.select(
        *PHOTO_COLUMNS,
        snapshot.alias("first_snapshot"),
        snapshot.alias("changed_snapshot"),
        F.lit(None).cast("string").alias("gone_snapshot"),
    ).select(*PHOTOS.column_names)


def _updated(pairs: DataFrame, comparison: Comparison) -> DataFrame:
    """(old, new) pairs -> the rows that replace the old ones, by the rule of the same or of another source."""
    is_own = F.col("old.source") == comparison.config.recorded_source
    values = {name: F.col(f"old.{name}") for name in PHOTOS.column_names}
    values |= {
        name: F.when(is_own, _own_value(name, comparison)).otherwise(_filled_value(name)) for name in COMPARED_COLUMNS
    }
    values["gone_snapshot"] = F.when(~is_own, F.col("old.gone_snapshot"))
    values["changed_snapshot"] = F.lit(comparison.config.snapshot)
    rows = pairs.select(*(column.alias(name) for name, column in values.items()))
    return rows.withColumn("category", category_column()).select(*PHOTOS.column_names)


def _own_value(name: str, comparison: Comparison) -> Column:
    """What the photo's own source makes of a column: its value; a silent column stays as long as the taxon does."""
    old, new = F.col(f"old.{name}"), F.col(f"new.{name}")
    if name not in comparison.silent:
        return new
    return F.when(_same_taxon(), old) if name in LINEAGE_COLUMNS else old


def _filled_value(name: str) -> Column:
    """What another source makes of a column: it fills nulls, those of the lineage if it means the same taxon."""
    old, new = F.col(f"old.{name}"), F.col(f"new.{name}")
    if name in LINEAGE_COLUMNS:
        return F.coalesce(old, F.when(_same_taxon(), new))
    return F.coalesce(old, new) if name in _FILLED_ALWAYS else old


def _same_taxon() -> Column:
    return F.col("old.taxon_id") == F.col("new.taxon_id")
