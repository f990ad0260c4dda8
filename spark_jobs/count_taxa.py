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
        rows = count_species(photos, taxa(photos), withdrawals).toArrow()
        species = rows.sort_by([("category", "ascending"), ("place", "ascending")]).to_pandas()
        categories = count_categories(species, config.rare, config.cap)
        page = config.root / "reports" / "taxa.html"
        html = taxa_page.render(species, categories, taxa_page.Thresholds(config.rare, config.cap))
        changed = [
            _replace(config.root, SPECIES_COUNTS, species),
            _replace(config.root, CATEGORY_COUNTS, categories),
            taxa_page.write(page, html),
        ]
        counts = _tally(photos, categories)
        return record.finish(_OUTPUTS, counts, any(changed), [*_notes(categories), f"page: {page}"])


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


def _tally(photos: "DataFrame", categories: pd.DataFrame) -> dict[str, int]:
    """Photos counted and left out, and the number of species."""
    seen = photos.agg(
        F.count(F.lit(1)).alias("photos"), F.count_if(F.col("taxon_rank") != "species").alias("above_species")
    ).first()
    assert seen is not None, "an aggregate without groups has one row"
    counted = int(categories["num_photos"].sum())
    return {
        "photos": seen["photos"],
        "counted": counted,
        "above_species_rank": seen["above_species"],
        "withdrawn": seen["photos"] - seen["above_species"] - counted,
        "species": int(categories["num_species"].sum()),
    }


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
