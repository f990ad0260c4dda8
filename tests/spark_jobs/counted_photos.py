"""Rows of the table photos for the tests of count and label, and the frames made of them."""

import hashlib
from typing import TYPE_CHECKING

import pyarrow as pa

from spark_jobs.tables import PHOTOS, WITHDRAWALS, Table
from taxonomy.ranks import RANKS, resolve_taxon

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

BLACKBIRD = "Animalia Chordata Aves Passeriformes Turdidae Turdus merula"
THRUSH = "Animalia Chordata Aves Passeriformes Turdidae Turdus philomelos"
ROBIN = "Animalia Chordata Aves Passeriformes Muscicapidae Erithacus rubecula"
OAK = "Plantae Tracheophyta Magnoliopsida Fagales Fagaceae Quercus robur"
GENUS_ONLY = "Animalia Chordata Aves Passeriformes Turdidae Turdus -"
FROG = "Animalia Chordata Amphibia Anura Ranidae Rana temporaria"


def taxon_id(lineage: str) -> int:
    """The id that these tests give a taxon, from its key."""
    key = resolve_taxon(_ranks(lineage)).key
    assert key is not None
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7]) - 2**54


def photo(photo_id: int, lineage: str, **changes: object) -> dict[str, object]:
    """A row of photos; `lineage` is the seven ranks with - for a missing one."""
    taxon = resolve_taxon(_ranks(lineage))
    names = [taxon.lineage["genus"], taxon.lineage["species"]]
    row: dict[str, object] = {
        "photo_id": photo_id,
        "source_photo_id": None,
        "group_id": str(photo_id),
        "taxon_id": taxon_id(lineage),
        "scientific_name": " ".join(name for name in names if name) or None,
        "taxon_rank": taxon.rank,
        **taxon.lineage,
        "common_name": None,
        "category": taxon.category,
        "photo_url": f"http://127.0.0.1/{photo_id}.jpg",
        "license": None,
        "attribution": None,
        "source": "test",
        "first_snapshot": "2026-10",
        "changed_snapshot": "2026-10",
        "gone_snapshot": None,
    }
    return row | changes


def _ranks(lineage: str) -> dict[str, str | None]:
    return {rank: None if name == "-" else name for rank, name in zip(RANKS, lineage.split(), strict=True)}


def frame(spark: "SparkSession", table: Table, rows: list[dict[str, object]]) -> "DataFrame":
    """A frame in the table's columns."""
    from pyspark.sql.types import StructType

    schema = StructType.fromJson(table.schema_json())
    return spark.createDataFrame([tuple(row[name] for name in table.column_names) for row in rows], schema)


def photos_frame(spark: "SparkSession", rows: list[dict[str, object]]) -> "DataFrame":
    """A frame of photos."""
    return frame(spark, PHOTOS, rows)


def withdrawals_frame(spark: "SparkSession", photo_ids: list[int]) -> "DataFrame":
    """A frame of withdrawals."""
    return frame(spark, WITHDRAWALS, [{"photo_id": each, "reason": None, "since": None} for each in photo_ids])


def rows_of(table: pa.Table) -> list[dict[str, object]]:
    """The rows of a table, sorted by all their values."""
    return sorted(table.to_pylist(), key=lambda row: [(value is not None, value) for value in row.values()])
