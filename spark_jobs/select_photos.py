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
from spark_jobs.taxa import elect, taxon_names
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


def _check_planned_splits(spark: "SparkSession", config: SelectConfig, selection: "DataFrame") -> None:
    """Refuse to move a planned photo to another split, whatever the record of earlier runs says.

    Raises:
        BadInputError: a photo of the plan would do so.
    """
    in_dataset = pc.field("dataset") == config.dataset
    if not table_io.exists(config.root, SHARD_PLAN) or not table_io.has_rows(config.root, SHARD_PLAN, in_dataset):
        return
    plan = table_io.read(spark, config.root, SHARD_PLAN).filter(F.col("dataset") == config.dataset)
    kept = selection.filter("reason IS NULL").join(plan.select("photo_id", "split"), "photo_id", "inner")
    if moved := kept.filter("fate != split").first():
        raise BadInputError(
            f"dataset {config.dataset} has planned shards, and photo {moved['photo_id']} would move from "
            f"{moved['split']} to {moved['fate']}; keep --seed, --val and --test, or use --dataset NEW"
        )


def _last_select_config(root: Path, dataset: str) -> dict[str, object]:
    """The configuration of the dataset's last finished select; empty where `runs` has none."""
    if not table_io.exists(root, RUNS):
        return {}
    rows = table_io.read_arrow(root, RUNS, ["config", "started_at"], pc.field("job") == "select").to_pylist()
    configs = [json.loads(row["config"]) for row in sorted(rows, key=lambda row: row["started_at"])]
    return next((config for config in reversed(configs) if config["dataset"] == dataset), {})


def mark_photos(
    photos: "DataFrame", withdrawals: "DataFrame", excluded: exclusions.Exclusions, config: SelectConfig
) -> "DataFrame":
    """The photos with the tests that look at a photo alone: is_withdrawn, has_other_license, is_benchmark, is_heldout.

    Args:
        photos: as `taxa.taxa` needs them, with group_id, license and gone_snapshot.
        withdrawals: photo_id.
        excluded: photos and taxa that lists exclude.
        config: the rules.
    """
    withdrawn = withdrawals.select("photo_id", F.lit(_WITHDRAWN).alias("reason"))
    named = withdrawn.unionByName(excluded.photos)
    marks = named.groupBy("photo_id").agg(F.collect_set("reason").alias("reasons"))
    marked = photos.join(F.broadcast(marks), "photo_id", "left")
    return marked.withColumns(
        {
            "is_withdrawn": F.col("gone_snapshot").isNotNull() | _is_listed("reasons", _WITHDRAWN),
            "has_other_license": _has_other_license(config),
            "is_benchmark": _is_listed("reasons", exclusions.BENCHMARK_OVERLAP),
            "is_heldout": _is_listed("reasons", exclusions.HELDOUT_SPECIES),
        }
    )


def _fails_alone() -> "Column":
    """Whether a marked photo fails a test of a photo alone."""
    return F.col("is_withdrawn") | F.col("has_other_license") | F.col("is_benchmark") | F.col("is_heldout")


def name_votes(marked: "DataFrame") -> "DataFrame":
    """`taxa.taxon_names` of marked photos with num_passing: photos that pass every test of a photo alone."""
    return taxon_names(marked, num_passing=F.count_if(~_fails_alone()))


def taxon_rules(
    votes: "DataFrame", taxon_table: "DataFrame", excluded: exclusions.Exclusions, config: SelectConfig
) -> "DataFrame":
    """What the selection says of each taxon.

    Args:
        votes: what `name_votes` returns.
        taxon_table: `taxa.elect` of the votes.
        excluded: photos and taxa that lists exclude.
        config: the rules.

    Returns:
        taxon_id; category; taxon_reason: out_of_category, above_species_rank or null; is_benchmark_taxon,
        is_heldout_taxon; num_photos: photos that pass every test before the thresholds.
    """
    listed = excluded.taxa.groupBy("taxon_id").agg(F.collect_set("reason").alias("reasons"))
    passing = votes.groupBy("taxon_id").agg(F.sum("num_passing").alias("num_passing"))
    reason = F.coalesce(
        F.when(~F.col("category").isin(*config.categories), "out_of_category"),
        F.when(F.col("taxon_rank") != "species", "above_species_rank"),
    )
    is_benchmark = _is_listed("reasons", exclusions.BENCHMARK_OVERLAP)
    is_heldout = _is_listed("reasons", exclusions.HELDOUT_SPECIES)
    joined = taxon_table.join(passing, "taxon_id", "inner").join(F.broadcast(listed), "taxon_id", "left")
    return joined.select(
        "taxon_id",
        "category",
        reason.alias("taxon_reason"),
        is_benchmark.alias("is_benchmark_taxon"),
        is_heldout.alias("is_heldout_taxon"),
        F.when(reason.isNull() & ~is_benchmark & ~is_heldout, F.col("num_passing")).otherwise(0).alias("num_photos"),
    )


def transform(marked: "DataFrame", rules: "DataFrame", config: SelectConfig, keep: Keep) -> "DataFrame":
    """The rows of one dataset in SELECTIONS' columns, one per photo.

    Args:
        marked: what `mark_photos` returns.
        rules: what `taxon_rules` returns, kept: it is used more than once.
        config: the thresholds and shares.
        keep: called on frames with a row per taxon that are used more than once.
    """
    cap_hashes = marked.filter(~_fails_alone()).select("taxon_id", hashes.cap_hash(config.seed).alias("cap_hash"))
    cuts = cut_offs(cap_hashes, rules.select("taxon_id", "num_photos"), config.max_photos, keep)
    limits = keep(rules.join(F.broadcast(cuts), "taxon_id", "left").drop("category"))
    decided = marked.join(F.broadcast(limits), "taxon_id", "left").withColumn("reason", _reason(config))
    return _in_table_order(decided, config)


def _is_listed(reasons: str, reason: str) -> "Column":
    return F.coalesce(F.array_contains(reasons, reason), F.lit(False))


def _has_other_license(config: SelectConfig) -> "Column":
    """Whether the licence is not one of those asked for, any case; a photo without a licence has none of them."""
    if not config.licenses:
        return F.lit(False)
    allowed = [name.strip().lower() for name in config.licenses]
    return ~F.coalesce(F.lower(F.trim("license")).isin(*allowed), F.lit(False))


def _reason(config: SelectConfig) -> "Column":
    """The first of EXCLUSION_REASONS that holds for a marked photo and its taxon's rules, null where none does."""
    return F.coalesce(
        F.when(F.col("is_withdrawn"), _WITHDRAWN),
        "taxon_reason",
        F.when(F.col("has_other_license"), "license"),
        F.when(F.col("is_benchmark") | F.col("is_benchmark_taxon"), exclusions.BENCHMARK_OVERLAP),
        F.when(F.col("is_heldout") | F.col("is_heldout_taxon"), exclusions.HELDOUT_SPECIES),
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
        # Only the export shows common names; without them there are fewer names to count.
        named = photos if config.export is not None else photos.withColumn("common_name", F.lit(None).cast("string"))
        lists = exclusions.read_lists(config)
        excluded = exclusions.to_frames(spark, lists)
        marked = mark_photos(named, withdrawals, excluded, config)
        votes = keep(name_votes(marked))
        taxon_table = keep(elect(votes))
        rules = keep(taxon_rules(votes, taxon_table, excluded, config))
        selection = transform(marked, rules, config, keep)
        _check_planned_splits(spark, config, selection)
        changed = _replace_rows(spark, config, selection)
        rows = _dataset_rows(spark, config)
        kept_species, notes = _kept_by_category(rules, config)
        counts = _count_fates(rows) | {"kept_species": kept_species}
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


def _count_fates(rows: "DataFrame") -> dict[str, int]:
    """The photos of a dataset in all, per split and per reason, every name of them present."""
    grouped = rows.groupBy("fate", "reason").agg(F.count(F.lit(1)).alias("num_photos")).collect()
    found = {row["reason"] or row["fate"]: row["num_photos"] for row in grouped}
    return {"photos": sum(found.values())} | {name: found.get(name, 0) for name in (*SPLITS, *EXCLUSION_REASONS)}


def _kept_by_category(rules: "DataFrame", config: SelectConfig) -> tuple[int, list[str]]:
    """The number of species kept, and a line per category that has any."""
    kept = rules.filter(F.col("num_photos") >= config.min_photos)
    num_kept = F.least("num_photos", F.lit(config.max_photos))
    per_category = kept.groupBy("category").agg(F.sum(num_kept).alias("photos"), F.count(F.lit(1)).alias("species"))
    found = per_category.orderBy("category").collect()
    lines = [f"{row['category']}: {row['photos']:,} photos of {row['species']:,} species kept" for row in found]
    return sum(row["species"] for row in found), lines


def main() -> None:
    """Run the command of this name."""
    from spark_jobs.cli import run_script, select

    run_script(select)


if __name__ == "__main__":
    main()
