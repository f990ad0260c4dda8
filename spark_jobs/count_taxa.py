"""photos, withdrawals -> species_counts, category_counts and the page reports/taxa.html.

Keys: taxon_id; category. Withdrawn photos, and photos that are not known to species, are not counted. A rerun replaces
each table in one commit, and makes none where it would stay as it is; the page's bytes follow from the two tables and
the thresholds alone.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # spark-submit runs this file alone, from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pandas as pd
import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from spark_jobs import table_io, taxa_page
from spark_jobs.config import CountConfig
from spark_jobs.locks import lock
from spark_jobs.runs import Run, Summary
from spark_jobs.tables import CATEGORY_COUNTS, PHOTOS, SPECIES_COUNTS, WITHDRAWALS, Table
from spark_jobs.taxa import elect, taxon_names

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


def tally_names(photos: "DataFrame", withdrawals: "DataFrame") -> "DataFrame":
    """`taxa.taxon_names` of the photos with what there is to count of each combination of names, in one scan.

    Returns:
        Beside the names and `num`: num_counted, photos that count; num_single, those of them that are their own
        group; num_grouped, those that name an observation. num_withdrawn, photos that are withdrawn or gone.

    Args:
        photos: as `taxa.taxa` needs them, with group_id and gone_snapshot.
        withdrawals: photo_id.
    """
    is_single = F.col("group_id") == F.col("photo_id").cast("string")
    marked = _mark_counted(photos, withdrawals)
    return taxon_names(
        marked,
        num_counted=F.count_if("is_counted"),
        num_single=F.count_if(F.col("is_counted") & is_single),
        num_grouped=F.count_if(F.col("is_counted") & ~is_single),
        num_withdrawn=F.count_if("is_withdrawn"),
    )


def _mark_counted(photos: "DataFrame", withdrawals: "DataFrame") -> "DataFrame":
    """The photos with is_withdrawn (or gone) and is_counted: known to species and not withdrawn."""
    withdrawn = F.broadcast(withdrawals.select("photo_id", F.lit(True).alias("is_listed")))
    is_withdrawn = F.col("gone_snapshot").isNotNull() | F.col("is_listed").isNotNull()
    marks = {"is_withdrawn": is_withdrawn, "is_counted": (F.col("taxon_rank") == "species") & ~is_withdrawn}
    return photos.join(withdrawn, "photo_id", "left").withColumns(marks).drop("is_listed")


def count_observations(photos: "DataFrame", withdrawals: "DataFrame") -> "DataFrame":
    """taxon_id and num_observations: groups among the counted photos that name an observation.

    A group whose id is also that of a counted photo of the species which is its own group is left out: that photo
    stands for it.
    """
    counted = _mark_counted(photos, withdrawals).filter("is_counted").select("photo_id", "taxon_id", "group_id")
    own_id = F.col("photo_id").cast("string")
    groups = counted.filter(F.col("group_id") != own_id).select("taxon_id", "group_id").distinct()
    single = counted.filter(F.col("group_id") == own_id).select("taxon_id", "group_id")
    alone = groups.join(single, ["taxon_id", "group_id"], "left_anti")
    return alone.groupBy("taxon_id").agg(F.count(F.lit(1)).alias("num_observations"))


def count_species(names: "DataFrame", observations: "DataFrame") -> "DataFrame":
    """One row per species that has a photo, in SPECIES_COUNTS' columns.

    Args:
        names: what `tally_names` returns, kept: it is used twice.
        observations: what `count_observations` returns.
    """
    counts = names.groupBy("taxon_id").agg(
        F.sum("num_counted").alias("num_photos"), F.sum("num_single").alias("num_single")
    )
    counts = counts.filter("num_photos > 0").join(observations, "taxon_id", "left")
    counts = counts.withColumn("num_groups", F.col("num_single") + F.coalesce("num_observations", F.lit(0)))
    in_category = Window.partitionBy("category").orderBy(F.desc("num_photos"), "taxon_id")
    return (
        counts.join(elect(names), "taxon_id", "inner")
        .withColumn("place", F.row_number().over(in_category))
        .select(*SPECIES_COUNTS.column_names)
    )


def count_categories(species: pd.DataFrame, rare: int, cap: int) -> pd.DataFrame:
    """One row per category that has a species, by category, in CATEGORY_COUNTS' columns.

    In memory, since the rows of species_counts are there for the page: a second pass of Spark would cost more than it
    counts.

    Args:
        species: category and num_photos of every species.
        rare: species with fewer photos are in num_rare.
        cap: species with more photos are in num_over_cap.
    """
    num_photos = species.groupby("category", sort=True)["num_photos"]
    counts = pd.DataFrame(
        {
            "num_photos": num_photos.sum(),
            "num_species": num_photos.size(),
            "median_photos": num_photos.median(),
            "p95_photos": num_photos.quantile(0.95, interpolation="linear"),
            "max_photos": num_photos.max(),
            "num_rare": (species["num_photos"] < rare).groupby(species["category"]).sum(),
            "num_over_cap": (species["num_photos"] > cap).groupby(species["category"]).sum(),
        }
    )
    return counts.rename_axis("category").reset_index().loc[:, CATEGORY_COUNTS.column_names]


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
        names = tally_names(photos, withdrawals).persist()
        seen = _tally(names)
        rows = count_species(names, _observations(spark, seen, photos, withdrawals)).toArrow()
        names.unpersist()
        species = rows.sort_by([("category", "ascending"), ("place", "ascending")]).to_pandas()
        categories = count_categories(species, config.rare, config.cap)
        page = config.root / "reports" / "taxa.html"
        html = taxa_page.render(species, categories, taxa_page.Thresholds(config.rare, config.cap))
        changed = [
            _replace(config.root, SPECIES_COUNTS, species),
            _replace(config.root, CATEGORY_COUNTS, categories),
            taxa_page.write(page, html),
        ]
        counts = {name: seen[name] for name in ("photos", "counted", "above_species_rank", "withdrawn")}
        counts["species"] = len(species)
        return record.finish(_OUTPUTS, counts, any(changed), [*_notes(categories), f"page: {page}"])


def _observations(
    spark: "SparkSession", seen: dict[str, int], photos: "DataFrame", withdrawals: "DataFrame"
) -> "DataFrame":
    """The observations per species; a constant where no photo names one, which spares a pass over all photos."""
    if seen["grouped"]:
        return count_observations(photos, withdrawals)
    return spark.sql("SELECT 0L AS taxon_id, 0L AS num_observations WHERE false")


def _replace(root: Path, table: Table, rows: pd.DataFrame) -> bool:
    """Make the table's rows those of `rows`; False, and no commit, if they are already."""
    # The rows are in memory for the comparison and the page; delta-rs commits them in a tenth of the time of Spark.
    key = [(name, "ascending") for name in table.key]
    there = table_io.read_arrow(root, table)
    new = pa.Table.from_pandas(rows, there.schema, preserve_index=False)
    if there.sort_by(key).equals(new.sort_by(key)):
        return False
    table_io.replace_rows(root, table, new)
    return True


def _tally(names: "DataFrame") -> dict[str, int]:
    """Photos in all, and of the counted those that name an observation (grouped).

    Each photo is one of counted, withdrawn (of any rank), and above_species_rank (the others).
    """
    found = names.agg(
        F.sum("num").alias("photos"),
        F.sum("num_counted").alias("counted"),
        F.sum("num_withdrawn").alias("withdrawn"),
        F.sum("num_grouped").alias("grouped"),
    ).first()
    assert found is not None, "an aggregate without groups has one row"
    seen = {name: number or 0 for name, number in found.asDict().items()}
    return seen | {"above_species_rank": seen["photos"] - seen["counted"] - seen["withdrawn"]}


def _notes(categories: pd.DataFrame) -> list[str]:
    """A line per category."""
    return [
        f"{row['category']}: {row['num_photos']:,} photos of {row['num_species']:,} species, "
        f"median {row['median_photos']:,.0f}, most {row['max_photos']:,}"
        for row in categories.to_dict("records")
    ]


def main() -> None:
    """Run the command of this name."""
    from spark_jobs.cli import count, run_script

    run_script(count)


if __name__ == "__main__":
    main()
