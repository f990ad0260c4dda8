"""The files behind --exclude-photos and --heldout-species: lists of photos or of species to leave out of a dataset.

A list is CSV or parquet with a header. `photo_id` names photos; `kingdom`, `genus` and `species` (the epithet) together
name species. Where a file has both, --exclude-photos goes by its photos and --heldout-species by its species.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from spark_jobs.config import SelectConfig
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS, resolve_taxon

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

BENCHMARK_OVERLAP = "benchmark_overlap"
HELDOUT_SPECIES = "heldout_species"

_PHOTO_COLUMNS = ("photo_id",)
_SPECIES_COLUMNS = ("kingdom", "genus", "species")
_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class ExclusionList:
    """The content of one file; one of the two sets is empty.

    Attributes:
        flag: the flag that named the file.
        reason: why photos on it are excluded.
        photo_ids: photos on it.
        taxon_keys: species on it, as the texts whose hashes are taxon ids.
        num_ignored: rows that name nothing: no photo_id, or no whole species.
    """

    flag: str
    reason: str
    photo_ids: frozenset[int]
    taxon_keys: frozenset[str]
    num_ignored: int


@dataclass(frozen=True)
class Exclusions:
    """All lists of one run as frames without duplicate rows; a photo or taxon may have both reasons.

    Attributes:
        photos: photo_id BIGINT, reason.
        taxa: taxon_id BIGINT, reason.
    """

    photos: "DataFrame"
    taxa: "DataFrame"


def read_lists(config: SelectConfig) -> list[ExclusionList]:
    """The lists that the configuration names, read and checked; needs no Spark.

    Raises:
        BadInputError: a file is not a CSV or parquet file with the columns needed, or holds a photo_id that is none.
    """
    lists = []
    if config.exclude_photos is not None:
        lists.append(_read("--exclude-photos", config.exclude_photos, BENCHMARK_OVERLAP))
    if config.heldout_species is not None:
        lists.append(_read("--heldout-species", config.heldout_species, HELDOUT_SPECIES))
    return lists


def to_frames(spark: "SparkSession", lists: Sequence[ExclusionList]) -> Exclusions:
    """The lists as frames for the transform."""
    from pyspark.sql import functions as F

    taxa = _frame(spark, "key", "STRING", [(each.reason, each.taxon_keys) for each in lists])
    return Exclusions(
        _frame(spark, "photo_id", "BIGINT", [(each.reason, each.photo_ids) for each in lists]),
        taxa.select(F.xxhash64("key").alias("taxon_id"), "reason"),
    )


def _frame(
    spark: "SparkSession", name: str, kind: str, values: Iterable[tuple[str, Iterable[int | str]]]
) -> "DataFrame":
    """A column of that name and type, and reason; a constant where empty, so that joins with it vanish from plans."""
    rows = [(value, reason) for reason, listed in values for value in sorted(listed)]
    if not rows:
        return spark.sql(f"SELECT CAST(NULL AS {kind}) AS {name}, '' AS reason WHERE false")
    columns = {name: [value for value, _ in rows], "reason": [reason for _, reason in rows]}
    return spark.createDataFrame(pa.table(columns))


def _read(flag: str, path: Path, reason: str) -> ExclusionList:
    where = f"{flag} {path}"
    columns = _read_columns(where, path)
    species_first = reason == HELDOUT_SPECIES
    has_photos = set(_PHOTO_COLUMNS) <= set(columns)
    has_species = set(_SPECIES_COLUMNS) <= set(columns)
    if has_species and (species_first or not has_photos):
        keys = [_species_key(dict(zip(RANKS, row, strict=True))) for row in _rows(columns, RANKS)]
        found = frozenset(key for key in keys if key is not None)
        return ExclusionList(flag, reason, frozenset(), found, keys.count(None))
    if has_photos:
        ids = [_photo_id(where, value) for value in columns["photo_id"]]
        return ExclusionList(flag, reason, frozenset(i for i in ids if i is not None), frozenset(), ids.count(None))
    raise BadInputError(
        f"{where}: needs a column photo_id, or the columns kingdom, genus and species; has {_shown(columns)}"
    )


def _read_columns(where: str, path: Path) -> dict[str, list[object]]:
    """The known columns of the file (others empty), so that memory follows what is used."""
    if not path.is_file():
        raise BadInputError(f"{where}: give one CSV or parquet file")
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == b"PAR1"
        names = pq.read_schema(path).names if is_parquet else _csv_header(path)
        wanted = [name for name in (*_PHOTO_COLUMNS, *RANKS) if name in names]
        if not wanted:
            return {name: [] for name in names}
        table = pq.ParquetFile(path).read(columns=wanted) if is_parquet else _read_csv(path, wanted)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadInputError(f"{where}: cannot be read as CSV or parquet: {str(error).splitlines()[0]}") from error
    return {name: [] for name in names} | {name: table.column(name).to_pylist() for name in wanted}


def _csv_header(path: Path) -> list[str]:
    with pa_csv.open_csv(path) as reader:
        return reader.schema.names


def _read_csv(path: Path, wanted: list[str]) -> pa.Table:
    texts = dict.fromkeys(wanted, pa.string())
    convert = pa_csv.ConvertOptions(column_types=texts, include_columns=wanted)
    return pa_csv.read_csv(path, parse_options=pa_csv.ParseOptions(newlines_in_values=True), convert_options=convert)


def _rows(columns: dict[str, list[object]], names: Iterable[str]) -> Iterable[tuple[object, ...]]:
    """The named columns row by row, None for one that the file lacks."""
    length = max(len(values) for values in columns.values())
    return zip(*(columns.get(name) or [None] * length for name in names), strict=True)


def _species_key(raw_lineage: dict[str, object]) -> str | None:
    texts = {rank: None if value is None else str(value) for rank, value in raw_lineage.items()}
    taxon = resolve_taxon(texts)
    return taxon.key if taxon.rank == "species" else None


def _photo_id(where: str, value: object) -> int | None:
    text = "" if value is None else str(value).strip()
    if not text:
        return None
    if not _WHOLE_NUMBER.fullmatch(text) or int(text) not in _INT64:
        raise BadInputError(f"{where}: photo_id {text!r} is not a 64-bit whole number")
    return int(text)


def _shown(columns: Iterable[str]) -> str:
    return ", ".join(columns) or "no columns"
