"""photos, withdrawals (and shard_plan, runs) -> selections: which photo of a dataset goes where, or why nowhere.

Key: dataset, photo_id; every photo has one row. A rerun replaces the dataset's rows in one commit, or makes none where
they would be the same. The result depends on the photos and the flags only, not on files, partitions or row order.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # spark-submit runs this file alone, from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pyarrow.compute as pc
from pyspark.sql import functions as F

from spark_jobs import exclusions, export_chunks, hashes, table_io
from spark_jobs.config import SelectConfig
from spark_jobs.locks import lock
from spark_jobs.runs import Run, Summary
from spark_jobs.species_cap import Keep, cut_offs
from spark_jobs.tables import EXCLUSION_REASONS, PHOTOS, RUNS, SELECTIONS, SHARD_PLAN, WITHDRAWALS
from spark_jobs.taxa import taxa
from taxonomy.errors import BadInputError
from taxonomy.shards import SPLITS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Row, SparkSession

_WITHDRAWN = "withdrawn"
_FIXED_BY_PLAN = ("seed", "val", "test")


def check(config: SelectConfig) -> None:
    """Refuse, without Spark, what `run` could not do.

    Raises:
        BadInputError: no photos yet, an unreadable list, an export folder that is a file, or other --seed, --val or
            --test than the dataset's shards were planned with.
    """
    table_io.open_table(config.root, PHOTOS)
    exclusions.read_lists(config)
    if config.export is not None and config.export.exists() and not config.export.is_dir():
        raise BadInputError(f"--export {config.export}: is a file; give a folder")
    _check_plan(config)


def _check_plan(config: SelectConfig) -> None:
    """A planned dataset keeps its splits: a photo already in a train shard must not become a test photo."""
    in_dataset = pc.field("dataset") == config.dataset
    if not table_io.exists(config.root, SHARD_PLAN) or not table_io.has_rows(config.root, SHARD_PLAN, in_dataset):
        return
    last = _last_select_config(config.root, config.dataset)
    changed = [name for name in _FIXED_BY_PLAN if name in last and last[name] != getattr(config, name)]
    if changed:
        changes = ", ".join(f"--{name} {getattr(config, name)} (was {last[name]})" for name in changed)
        raise BadInputError(
            f"dataset {config.dataset} has planned shards, so its splits cannot change: {changes}; use --dataset NEW"
        )


def _last_select_config(root: Path, dataset: str) -> dict[str, object]:
    """The configuration of the dataset's last finished select; empty where `runs` has none."""
    if not table_io.exists(root, RUNS):
        return {}
    rows = table_io.read_arrow(root, RUNS, ["config", "started_at"], pc.field("job") == "select").to_pylist()
    configs = [json.loads(row["config"]) for row in sorted(rows, key=lambda row: row["started_at"])]
    return next((config for config in reversed(configs) if config["dataset"] == dataset), {})


def _as_it_is(frame: "DataFrame") -> "DataFrame":
    return frame


def transform(
    photos: "DataFrame",
    taxon_table: "DataFrame",
    withdrawals: "DataFrame",
    excluded: exclusions.Exclusions,
    config: SelectConfig,
    keep: Keep = _as_it_is,
) -> "DataFrame":
    """The rows of one dataset in SELECTIONS' columns, one per photo.

    Args:
        photos: photo_id (unique), group_id, taxon_id, license, gone_snapshot.
        taxon_table: what `taxa` makes of all photos.
        withdrawals: photo_id.
        excluded: photos and taxa that lists exclude.
        config: the rules.
        keep: called on the frames with a row per taxon that are used more than once.
    """
    marks = _photo_marks(withdrawals, excluded)
    taxon_rules = keep(_taxon_rules(taxon_table, excluded, config))
    tested = (
        photos.select("photo_id", "group_id", "taxon_id", "license", "gone_snapshot")
        .join(F.broadcast(marks), "photo_id", "left")
        .join(F.broadcast(taxon_rules), "taxon_id", "left")
        .withColumn("early_reason", _early_reason(config))
    )
    eligible = tested.filter(F.col("early_reason").isNull())
    counts = keep(eligible.groupBy("taxon_id").agg(F.count(F.lit(1)).alias("num_photos")))
    cap_hashes = eligible.select("taxon_id", hashes.cap_hash(config.seed).alias("cap_hash"))
    cuts = cut_offs(cap_hashes, counts, config.max_photos, keep)
    limits = counts.join(F.broadcast(cuts), "taxon_id", "left")
    decided = tested.join(F.broadcast(limits), "taxon_id", "left").withColumn("reason", _reason(config))
    return _in_table_order(decided, config)


def _photo_marks(withdrawals: "DataFrame", excluded: exclusions.Exclusions) -> "DataFrame":
    """photo_id and photo_reasons, an array, of every photo that a list or a withdrawal names."""
    withdrawn = withdrawals.select("photo_id", F.lit(_WITHDRAWN).alias("reason"))
    named = withdrawn.unionByName(excluded.photos)
    return named.groupBy("photo_id").agg(F.collect_set("reason").alias("photo_reasons"))


def _taxon_rules(taxon_table: "DataFrame", excluded: exclusions.Exclusions, config: SelectConfig) -> "DataFrame":
    """taxon_id, in_category, is_species, and taxon_reasons, an array or null, of every taxon."""
    listed = excluded.taxa.groupBy("taxon_id").agg(F.collect_set("reason").alias("taxon_reasons"))
    return taxon_table.join(F.broadcast(listed), "taxon_id", "left").select(
        "taxon_id",
        F.col("category").isin(*config.categories).alias("in_category"),
        (F.col("taxon_rank") == "species").alias("is_species"),
        "taxon_reasons",
    )


def _early_reason(config: SelectConfig) -> "Column":
    """The first reason that concerns the photo and its taxon alone, or null: such photos count for the thresholds."""
    return F.coalesce(
        F.when(F.col("gone_snapshot").isNotNull() | _is_listed("photo_reasons", _WITHDRAWN), _WITHDRAWN),
        F.when(~F.col("in_category"), "out_of_category"),
        F.when(~F.col("is_species"), "above_species_rank"),
        F.when(_has_other_license(config), "license"),
        *(
            F.when(_is_listed("photo_reasons", reason) | _is_listed("taxon_reasons", reason), reason)
            for reason in (exclusions.BENCHMARK_OVERLAP, exclusions.HELDOUT_SPECIES)
        ),
    )


def _is_listed(reasons: str, reason: str) -> "Column":
    return F.coalesce(F.array_contains(reasons, reason), F.lit(False))


def _has_other_license(config: SelectConfig) -> "Column":
    """Whether the licence is not one of those asked for, any case; a photo without a licence has none of them."""
    if not config.licenses:
        return F.lit(False)
    allowed = [name.strip().lower() for name in config.licenses]
    return ~F.coalesce(F.lower(F.trim("license")).isin(*allowed), F.lit(False))


def _reason(config: SelectConfig) -> "Column":
    return F.coalesce(
        "early_reason",
        F.when(F.col("num_photos") < config.min_photos, "rare_species"),
        F.when(hashes.cap_hash(config.seed) > F.col("cut_hash"), "over_cap"),
    )


def _in_table_order(decided: "DataFrame", config: SelectConfig) -> "DataFrame":
    is_kept = F.col("reason").isNull()
    split = hashes.split_column(config.seed, config.val, config.test)
    return decided.select(
        F.lit(config.dataset).alias("dataset"),
        "photo_id",
        F.when(is_kept, split).otherwise("excluded").alias("fate"),
        "reason",
        "taxon_id",
        F.when(is_kept, hashes.order_hash(config.seed)).alias("order_hash"),
    )


def run(spark: "SparkSession", config: SelectConfig) -> Summary:
    """Select one dataset, and export it where asked.

    Raises:
        BadInputError: as `check`, or another select runs on this root.
    """
    with lock(config.root, "selections"), kept_frames() as keep:
        check(config)
        for table in (WITHDRAWALS, SELECTIONS):
            table_io.create(config.root, table)
        record = Run("select", config.root, config, (PHOTOS, WITHDRAWALS))
        # All passes read the same version, even if an ingest commits meanwhile.
        photos = table_io.read(spark, config.root, PHOTOS, record.input_versions["photos"])
        withdrawals = _withdrawals(spark, config.root, record.input_versions["withdrawals"])
        # Only the export shows common names; without them the names to count are fewer.
        named = photos if config.export is not None else photos.withColumn("common_name", F.lit(None).cast("string"))
        taxon_table = keep(taxa(named))
        lists = exclusions.read_lists(config)
        excluded = exclusions.to_frames(spark, lists)
        selection = transform(photos, taxon_table, withdrawals, excluded, config, keep)
        changed = _replace_rows(spark, config, selection)
        rows = _dataset_rows(spark, config)
        counts, notes = _tally(rows, taxon_table)
        notes += [f"{each.flag}: {each.num_ignored:,} rows name nothing" for each in lists if each.num_ignored]
        if config.export is not None:
            notes.append(export_chunks.export(config, photos, taxon_table, rows))
        return record.finish((SELECTIONS,), counts, changed, notes)


def _withdrawals(spark: "SparkSession", root: Path, version: int) -> "DataFrame":
    """The withdrawals; a constant where there are none, so that the joins with them vanish from the plans."""
    if not table_io.has_rows(root, WITHDRAWALS):
        return spark.sql("SELECT CAST(NULL AS BIGINT) AS photo_id WHERE false")
    return table_io.read(spark, root, WITHDRAWALS, version)


@contextmanager
def kept_frames() -> "Iterator[Keep]":
    """A `Keep` that stores frames on first use, until the block ends."""
    kept: list[DataFrame] = []

    def keep(frame: "DataFrame") -> "DataFrame":
        kept.append(frame.persist())
        return kept[-1]

    try:
        yield keep
    finally:
        for frame in kept:
            frame.unpersist()


def _dataset_rows(spark: "SparkSession", config: SelectConfig) -> "DataFrame":
    return table_io.read(spark, config.root, SELECTIONS).filter(F.col("dataset") == config.dataset)


def _replace_rows(spark: "SparkSession", config: SelectConfig, selection: "DataFrame") -> bool:
    """Make the dataset's rows those of `selection`; False, and no commit, where they are already."""
    if not table_io.has_rows(config.root, SELECTIONS, pc.field("dataset") == config.dataset):
        if not table_io.has_rows(config.root, PHOTOS):
            return False
        table_io.append(config.root, SELECTIONS, selection)
        return True
    if _fingerprint(_dataset_rows(spark, config)) == _fingerprint(selection):
        return False
    table_io.overwrite(config.root, SELECTIONS, selection, f"dataset = '{config.dataset}'")
    return True


def _fingerprint(rows: "DataFrame") -> "Row":
    """The number of rows and two checksums that do not depend on their order.

    Each is over a hash of the whole row: the exclusive or of all 64 bits, and the sum of the upper 32 bits of a second,
    differently salted hash (a sum of 64-bit numbers would overflow). Two different sets of rows agree in both with a
    chance of about 2^-96.
    """
    content = ("photo_id", "fate", F.coalesce("reason", F.lit("")), "taxon_id", F.coalesce("order_hash", F.lit(0)))
    found = rows.agg(
        F.count(F.lit(1)).alias("num_rows"),
        F.bit_xor(F.xxhash64(F.lit("xor"), *content)).alias("exclusive_or"),
        F.sum(F.shiftrightunsigned(F.xxhash64(F.lit("sum"), *content), 32)).alias("sum_of_upper_bits"),
    ).first()
    assert found is not None, "an aggregate without groups has one row"
    return found


def _tally(rows: "DataFrame", taxon_table: "DataFrame") -> tuple[dict[str, int], list[str]]:
    """The photos of a dataset per fate and reason with the species kept, and a line per category that has any."""
    outcomes = {fate: F.col("fate") == fate for fate in SPLITS}
    outcomes |= {reason: F.col("reason") == reason for reason in EXCLUSION_REASONS}
    per_taxon = rows.groupBy("taxon_id").agg(*(F.count_if(test).alias(name) for name, test in outcomes.items()))
    kept = sum((F.col(split) for split in SPLITS), F.lit(0))
    per_category = (
        per_taxon.join(F.broadcast(taxon_table.select("taxon_id", "category")), "taxon_id", "inner")
        .groupBy("category")
        .agg(*(F.sum(name).alias(name) for name in outcomes), F.count_if(kept > 0).alias("kept_species"))
        .orderBy("category")
        .collect()
    )
    names = (*outcomes, "kept_species")
    totals = {name: sum(row[name] for row in per_category) for name in names}
    photos = {"photos": sum(totals[name] for name in outcomes)}
    lines = [
        f"{row['category']}: {sum(row[split] for split in SPLITS):,} photos of {row['kept_species']:,} species kept"
        for row in per_category
        if row["kept_species"]
    ]
    return photos | totals, lines


def main() -> None:
    """Run the command of this name."""
    from spark_jobs.cli import run_script, select

    run_script(select)


if __name__ == "__main__":
    main()
