"""photos (and selections) -> captions: the caption texts of every name, for people to read and search.

Key: taxon_id, scientific_name, common_name, kind. A kind that needs a missing field has no row. A rerun replaces the
table in one commit, or makes none where it would stay as it is. Readers of shards do not need the table: they make
the same texts from a sample's JSON.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # spark-submit runs this file alone, from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pandas as pd
import pyarrow.compute as pc
from pyspark.sql import functions as F

from spark_jobs import table_io
from spark_jobs.config import LabelConfig
from spark_jobs.locks import lock
from spark_jobs.runs import Run, Summary
from spark_jobs.tables import CAPTIONS, PHOTOS, SELECTIONS
from spark_jobs.taxa import taxa
from taxonomy.captions import CaptionFields, captions
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_NAME_COLUMNS = ("taxon_id", "scientific_name", "common_name")
_CAPTION_TYPES = "taxon_id long, scientific_name string, common_name string, kind string, text string"


def check(config: LabelConfig) -> None:
    """Refuse, without Spark, what `run` could not do.

    Raises:
        BadInputError: no photos yet, no photo of the dataset selected, or a table that a newer taxaflow wrote.
    """
    table_io.open_table(config.root, PHOTOS)
    table_io.versions(config.root, (CAPTIONS,))
    if config.dataset is not None:
        kept = (pc.field("dataset") == config.dataset) & (pc.field("fate") != "excluded")
        if not table_io.has_rows(config.root, SELECTIONS, kept):
            raise BadInputError(f"--dataset {config.dataset}: no photo is selected for it; run `taxaflow data select`")


def distinct_names(photos: "DataFrame", taxon_table: "DataFrame") -> "DataFrame":
    """taxon_id, scientific_name, and the taxon's common_name and seven ranks, each combination once.

    Args:
        photos: taxon_id and scientific_name.
        taxon_table: what `taxa` makes of all photos.
    """
    names = photos.select("taxon_id", "scientific_name").distinct()
    return names.join(taxon_table, "taxon_id", "inner").select(*_NAME_COLUMNS, *RANKS)


def transform(names: "DataFrame") -> "DataFrame":
    """The captions of all names, in CAPTIONS' columns.

    Args:
        names: what `distinct_names` returns.
    """
    # A Python function rather than Spark's string functions: the texts come from the one implementation that the
    # trainer and the evaluator call, so they cannot differ. It sees each name once, not each photo.
    return names.mapInPandas(_write_captions, _CAPTION_TYPES).select(*CAPTIONS.column_names)


def _write_captions(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    columns = pd.Index(CAPTIONS.column_names)
    for names in batches:
        # Spark's nulls arrive as None or NaN, depending on the column's other values; astype keeps int64 ids exact.
        rows = names.astype(object).where(names.notna(), None).itertuples(index=False, name=None)
        found = [
            (*row[:3], kind, text)
            for row in rows
            for kind, text in captions(CaptionFields(row[1], row[2], dict(zip(RANKS, row[3:], strict=True)))).items()
        ]
        yield pd.DataFrame(found, columns=columns).astype({"taxon_id": "int64"})


def run(spark: "SparkSession", config: LabelConfig) -> Summary:
    """Write the captions of all photos' names, or of one dataset's.

    Raises:
        BadInputError: as `check`, or another label runs on this root.
    """
    with lock(config.root, config.lock_name):
        check(config)
        table_io.create(config.root, CAPTIONS)
        inputs = (PHOTOS,) if config.dataset is None else (PHOTOS, SELECTIONS)
        record = Run("label", config.root, config, inputs)
        # All passes read the same version, even if an ingest commits meanwhile.
        photos = table_io.read(spark, config.root, PHOTOS, record.input_versions["photos"])
        labelled = photos
        if config.dataset is not None:
            selections = table_io.read(spark, config.root, SELECTIONS, record.input_versions["selections"])
            labelled = _of_dataset(photos, selections, config.dataset)
        rows = transform(distinct_names(labelled, taxa(photos))).persist()
        try:
            changed = _replace(spark, config, rows)
            return record.finish((CAPTIONS,), _tally(rows), changed, _examples(rows))
        finally:
            rows.unpersist()


def _of_dataset(photos: "DataFrame", selections: "DataFrame", dataset: str) -> "DataFrame":
    kept = selections.filter((F.col("dataset") == dataset) & (F.col("fate") != "excluded")).select("photo_id")
    return photos.join(kept, "photo_id", "left_semi")


def _replace(spark: "SparkSession", config: LabelConfig, rows: "DataFrame") -> bool:
    """Make the table's rows those of `rows`; False, and no commit, where they are already."""
    there = table_io.read(spark, config.root, CAPTIONS)
    # Both are keyed, hence sets: as many rows and none missing means equal.
    if there.count() == rows.count() and rows.exceptAll(there).isEmpty():
        return False
    table_io.overwrite(config.root, CAPTIONS, rows)
    return True


def _tally(rows: "DataFrame") -> dict[str, int]:
    """Names, captions, and names that lack a common name."""
    per_kind = {row["kind"]: row["count"] for row in rows.groupBy("kind").count().collect()}
    names = rows.select(*_NAME_COLUMNS).distinct().count()
    return {
        "names": names,
        "captions": sum(per_kind.values()),
        "without_common_name": names - per_kind.get("com", 0),
        "without_scientific_name": names - per_kind.get("sci", 0),
    }


def _examples(rows: "DataFrame") -> list[str]:
    """The first caption with both names, for a look at what came out."""
    first = rows.filter(F.col("kind") == "sci_com").orderBy("text").first()
    return [] if first is None else [f"for example: {first['text']}"]


def main() -> None:
    """Run the command of this name."""
    from spark_jobs.cli import label, run_script

    run_script(label)


if __name__ == "__main__":
    main()
