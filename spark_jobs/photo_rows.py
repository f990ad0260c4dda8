"""Raw rows -> rows of the photos table, or the reason why a row is none."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs.config import IngestConfig
from spark_jobs.resolve_taxa import TAXON_COLUMNS, lineage_key
from spark_jobs.tables import PHOTOS
from taxonomy.ranks import MISSING_WORDS

PHOTO_COLUMNS = [name for name in PHOTOS.column_names if not name.endswith("_snapshot")]
"""The columns of photos that a source row decides, in table order."""

INATURALIST_PHOTO = (
    r"(?i)^https?://(?:static\.inaturalist\.org|inaturalist-open-data\.s3[a-z0-9.-]*\.amazonaws\.com"
    r"|s3[a-z0-9.-]*\.amazonaws\.com/inaturalist-open-data)(?::\d+)?/photos/(\d+)/"
)
"""URLs whose first group is iNaturalist's photo id: its own host, and its open bucket in both of S3's spellings."""

_CLEAN_URL = r"^[hH/]\S+$"
_GOOD_URL = r"(?i)^(?:https?://[^/\s]+/|/(?!/))"
_LONGEST_POSITIVE = 0x7FFFFFFFFFFFFFFF


def identify(raw: DataFrame, config: IngestConfig) -> DataFrame:
    """The raw frame with what a row alone decides.

    Adds photo_id (long), photo_url (trimmed, null where missing), lineage_key, and row_reason: why the row is
    rejected whatever its taxon is, null if it is not.
    """
    with_url = raw.withColumn("photo_url", _url(F.col("raw_photo_url")))
    photo_id = F.col("number")
    if config.source == "csv":
        photo_id = _csv_photo_id(config.recorded_source)
    return with_url.withColumns(
        {"photo_id": photo_id, "lineage_key": lineage_key(), "row_reason": _row_reason(photo_id, config)}
    )


def _url(column: Column) -> Column:
    """`known` of a URL, by a short way for those that look like one."""
    trimmed = F.trim(column)
    return F.when(trimmed.rlike(_CLEAN_URL), trimmed).otherwise(known(column))


def known(column: Column) -> Column:
    """The text without outer space, null where it is blank or a word for missing."""
    trimmed = F.regexp_replace(column, r"(?U)^\s+|\s+$", "")
    return F.when(~F.lower(trimmed).isin("", *sorted(MISSING_WORDS)), trimmed)


def _csv_photo_id(source: str) -> Column:
    url = F.col("photo_url")
    from_inaturalist = F.regexp_extract(url, INATURALIST_PHOTO, 1).try_cast("bigint")
    hashed = -1 - F.xxhash64(F.lit(source), url).bitwiseAND(F.lit(_LONGEST_POSITIVE))
    return F.when(url.isNotNull(), F.coalesce(from_inaturalist, hashed))


def _row_reason(photo_id: Column, config: IngestConfig) -> Column:
    url = F.col("photo_url")
    reason = (
        F.when(url.isNull(), "no_url").when(~url.rlike(_GOOD_URL), "bad_url").when(~F.col("observed"), "no_observation")
    )
    if config.source == "inaturalist" and config.quality == "research":
        grade = F.lower(F.coalesce(known(F.col("raw_quality_grade")), F.lit("")))
        reason = reason.when(grade != "research", "not_research_grade")
    return reason if config.source == "csv" else F.when(photo_id.isNull(), "no_photo_id").otherwise(reason)


def reject_reason() -> Column:
    """Why a row with row_reason and its lineage's taxon_rank is rejected, null if it is a photo.

    A photo without its observation says nothing of a taxon, so that the missing observation is its reason.
    """
    stronger = F.col("row_reason").isin("no_photo_id", "no_url", "bad_url", "no_observation")
    no_taxon = F.when(F.col("taxon_rank").isNull(), "no_taxon")
    return F.when(stronger, F.col("row_reason")).otherwise(F.coalesce(no_taxon, F.col("row_reason")))


def accepted_photos(identified: DataFrame, lineages: DataFrame, config: IngestConfig) -> DataFrame:
    """PHOTO_COLUMNS of every row that is a photo, as `identify` and `resolve_lineages` return them."""
    own_id = F.col("raw_photo_id") if config.source == "csv" else F.lit(None).cast("string")
    made = {
        "source_photo_id": known(own_id),
        "group_id": F.coalesce(known(F.col("raw_observation_id")), F.col("photo_id").cast("string")),
        "license": known(F.col("raw_license")),
        "attribution": known(F.col("raw_attribution")),
        "source": F.lit(config.recorded_source),
    }
    taken = ["photo_id", "photo_url", "taxon_id", *TAXON_COLUMNS]
    photos = identified.join(lineages, on="lineage_key", how="inner").where(reject_reason().isNull())
    return photos.select(*taken, *(column.alias(name) for name, column in made.items())).select(*PHOTO_COLUMNS)
