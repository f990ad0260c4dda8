"""photos, withdrawals -> species_counts, category_counts and the page reports/taxa.html.

Keys: taxon_id; category. Withdrawn photos, and photos that are not known to species, are not counted. A rerun replaces
each table in one commit, and makes none where it would stay as it is; the page's bytes follow from the two tables and
the thresholds alone.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # spark-submit runs this file alone, from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from spark_jobs import table_io, taxa_page
from spark_jobs.config import CountConfig
from spark_jobs.locks import lock
from spark_jobs.runs import Run, Summary
from spark_jobs.tables import CATEGORY_COUNTS, PHOTOS, SPECIES_COUNTS, WITHDRAWALS, Table
from spark_jobs.taxa import taxa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_OUTPUTS = (SPECIES_COUNTS, CATEGORY_COUNTS)


def check(config: CountConfig) -> None:
    """Refuse, without Spark, what `run` could not do.

    Raises:
        BadInputError: no photos yet, or a table that a newer taxaflow wrote.
    """
    table_io.open_table(config.root, PHOTOS)
    table_io.versions(config.root, (WITHDRAWALS, *_OUTPUTS))


def count_species(photos: "DataFrame", taxon_table: "DataFrame", withdrawals: "DataFrame") -> "DataFrame":
    """One row per species that has a photo, in SPECIES_COUNTS' columns.

    Only ids travel: photos are counted per species and observation, those per species, and names are joined last.

    Args:
        photos: photo_id (unique), taxon_id, group_id, taxon_rank, gone_snapshot.
        taxon_table: what `taxa` makes of all photos.
        withdrawals: photo_id.
    """
    is_counted = (F.col("taxon_rank") == "species") & F.col("gone_snapshot").isNull()
    present = photos.filter(is_counted).join(F.broadcast(withdrawals.select("photo_id")), "photo_id", "left_anti")
    groups = present.groupBy("taxon_id", "group_id").agg(F.count(F.lit(1)).alias("num_photos"))
    counts = groups.groupBy("taxon_id").agg(
        F.sum("num_photos").alias("num_photos"), F.count(F.lit(1)).alias("num_groups")
    )
    in_category = Window.partitionBy("category").orderBy(F.desc("num_photos"), "taxon_id")
    return (
        counts.join(taxon_table, "taxon_id", "inner")
        .withColumn("place", F.row_number().over(in_category))
        .select(*SPECIES_COUNTS.column_names)
    )


def count_categories(species_counts: "DataFrame", rare: int, cap: int) -> "DataFrame":
    """One row per category that has a species, in CATEGORY_COUNTS' columns.

    Args:
        species_counts: category and num_photos of every species.
        rare: species with fewer photos are in num_rare.
        cap: species with more photos are in num_over_cap.
    """
    num_photos = F.col("num_photos")
    return (
        species_counts.groupBy("category")
        .agg(
            F.sum(num_photos).alias("photos"),
            F.count(F.lit(1)).alias("num_species"),
            F.percentile(num_photos, 0.5).alias("median_photos"),
            F.percentile(num_photos, 0.95).alias("p95_photos"),
            F.max(num_photos).alias("max_photos"),
            F.count_if(num_photos < rare).alias("num_rare"),
            F.count_if(num_photos > cap).alias("num_over_cap"),
        )
        .withColumnRenamed("photos", "num_photos")
        .select(*CATEGORY_COUNTS.column_names)
    )


def run(spark: "SparkSession", config: CountConfig) -> Summary:
    """Count all photos and write the tables and the page.

    Raises:
        BadInputError: as `check`, or another count runs on this root.
    """
    with lock(config.root, config.lock_name):
        check(config)
        for table in (WITHDRAWALS, *_OUTPUTS):
            table_io.create(config.root, table)
        record = Run("count", config.root, config, (PHOTOS, WITHDRAWALS))
        # All passes read the same version, even if an ingest commits meanwhile.
        photos = table_io.read(spark, config.root, PHOTOS, record.input_versions["photos"])
        withdrawals = table_io.read(spark, config.root, WITHDRAWALS, record.input_versions["withdrawals"])
        with _kept(count_species(photos, taxa(photos), withdrawals)) as species_counts:
            species = species_counts.toArrow().sort_by([("category", "ascending"), ("place", "ascending")])
            categories = count_categories(species_counts, config.rare, config.cap).toArrow().sort_by("category")
        changed = [
            _replace(config.root, SPECIES_COUNTS, species),
            _replace(config.root, CATEGORY_COUNTS, categories),
        ]
        page = config.root / "reports" / "taxa.html"
        thresholds = taxa_page.Thresholds(config.rare, config.cap)
        changed.append(taxa_page.write(page, taxa_page.render(species.to_pandas(), categories.to_pandas(), thresholds)))
        counts, notes = _tally(photos, categories)
        return record.finish(_OUTPUTS, counts, any(changed), [*notes, f"page: {page}"])


@contextmanager
def _kept(frame: "DataFrame") -> "Iterator[DataFrame]":
    """The frame, stored on first use until the block ends."""
    stored = frame.persist()
    try:
        yield stored
    finally:
        stored.unpersist()


def _replace(root: Path, table: Table, rows: pa.Table) -> bool:
    """Make the table's rows those of `rows`; False, and no commit, if they are already."""
    # The rows are here for the comparison and the page, and delta-rs commits them in a tenth of the time of Spark.
    key = [(name, "ascending") for name in table.key]
    there = table_io.read_arrow(root, table)
    if there.sort_by(key).equals(rows.select(there.column_names).cast(there.schema).sort_by(key)):
        return False
    table_io.replace_rows(root, table, rows)
    return True


def _tally(photos: "DataFrame", categories: pa.Table) -> tuple[dict[str, int], list[str]]:
    """Photos counted and left out with the number of species, and a line per category."""
    seen = photos.agg(
        F.count(F.lit(1)).alias("photos"), F.count_if(F.col("taxon_rank") != "species").alias("above_species")
    ).first()
    assert seen is not None, "an aggregate without groups has one row"
    rows = categories.to_pylist()
    counted = sum(row["num_photos"] for row in rows)
    counts = {
        "photos": seen["photos"],
        "counted": counted,
        "above_species_rank": seen["above_species"],
        "withdrawn": seen["photos"] - seen["above_species"] - counted,
        "species": sum(row["num_species"] for row in rows),
    }
    notes = [
        f"{row['category']}: {row['num_photos']:,} photos of {row['num_species']:,} species, "
        f"median {row['median_photos']:,.0f}, most {row['max_photos']:,}"
        for row in rows
    ]
    return counts, notes


def main() -> None:
    """Run the command of this name."""
    from spark_jobs.cli import count, run_script

    run_script(count)


if __name__ == "__main__":
    main()
