"""Which taxa the rows of a raw frame stand for, resolved once per distinct lineage.

A lineage here is what a row says of its taxon: scientific name, seven ranks, common name. There are about as many as
species, so that cleaning and Unicode normalization, which Spark cannot do, cost next to nothing.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from taxonomy.ranks import RANKS, Taxon, clean, resolve_taxon

if TYPE_CHECKING:
    from spark_jobs.scratch import Scratch

LINEAGE_COLUMNS = ("scientific_name", *RANKS, "common_name")
"""What a row says of its taxon."""

TAXON_COLUMNS = ("scientific_name", "taxon_rank", *RANKS, "common_name", "category")
"""What a lineage gives to its photos beside the taxon id."""

MAX_BROADCAST_LINEAGES = 2_000_000
"""More distinct lineages than that (no source has them) are joined by a shuffle; one takes about 400 bytes."""

_SEPARATOR = "\x1f"
_RESOLVED = pa.schema([(name, pa.string()) for name in ("lineage_key", *TAXON_COLUMNS, "taxon_key")])


def lineage_key() -> Column:
    """One string per distinct lineage of a raw frame."""
    return F.concat_ws(_SEPARATOR, *(F.coalesce(F.col(f"raw_{name}"), F.lit("")) for name in LINEAGE_COLUMNS))


def resolve_lineages(lineage_keys: DataFrame, scratch: "Scratch") -> DataFrame:
    """The taxa of lineages, kept in scratch.

    Args:
        lineage_keys: column lineage_key, distinct.
        scratch: where to keep them.

    Returns:
        lineage_key (unique), TAXON_COLUMNS, taxon_id (long). taxon_id and taxon_rank are null where the lineage
        names no taxon; species is null above species rank. Marked for broadcast unless there are too many.
    """
    schema = ", ".join(f"`{name}` string" for name in _RESOLVED.names)
    resolved = lineage_keys.mapInArrow(_resolve_batches, schema)
    taxon_id = F.when(F.col("taxon_key").isNotNull(), F.xxhash64("taxon_key")).alias("taxon_id")
    lineages = scratch.keep("lineages", resolved.select("lineage_key", *TAXON_COLUMNS, taxon_id))
    return F.broadcast(lineages) if lineages.count() <= MAX_BROADCAST_LINEAGES else lineages


def _resolve_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A Python function since Spark has no Unicode normalization; it sees each distinct lineage once."""
    for batch in batches:
        rows = [_resolve(key) for key in batch.column("lineage_key").to_pylist()]
        yield pa.RecordBatch.from_pylist(rows, _RESOLVED)


def _resolve(key: str) -> dict[str, str | None]:
    raw: dict[str, str | None] = dict(zip(LINEAGE_COLUMNS, key.split(_SEPARATOR), strict=False))
    taxon = resolve_taxon(raw)
    lineage = taxon.lineage if taxon.rank == "species" else {**taxon.lineage, "species": None}
    return {
        "lineage_key": key,
        **lineage,
        "scientific_name": clean(raw["scientific_name"]) or _implied_name(taxon),
        "taxon_rank": taxon.rank,
        "common_name": clean(raw["common_name"]),
        "category": taxon.category,
        "taxon_key": taxon.key,
    }


def _implied_name(taxon: Taxon) -> str | None:
    """The scientific name that the ranks imply where the row gives none."""
    if taxon.rank is None:
        return None
    if taxon.rank == "species":
        return f"{taxon.lineage['genus']} {taxon.lineage['species']}"
    return taxon.lineage[taxon.rank]
