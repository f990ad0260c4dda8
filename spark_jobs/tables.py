"""Every Delta table: its name, columns, key, checks and what each column means.

Types are Delta's own names. `spark_jobs.table_io` is the only place that reads or writes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from spark_jobs.statuses import Status
from taxonomy.ranks import CATEGORIES, OTHER_CATEGORY, RANKS
from taxonomy.shards import SPLITS

SCHEMA_VERSION = 1
"""Written into every table; a table of a higher version is refused."""

REJECT_REASONS = ("no_photo_id", "no_url", "bad_url", "no_observation", "no_taxon", "not_research_grade")
"""Why a source row is no photo, first match wins (`photo_rows.reject_reason`)."""

EXCLUSION_REASONS = (
    "withdrawn",
    "out_of_category",
    "above_species_rank",
    "license",
    "benchmark_overlap",
    "heldout_species",
    "rare_species",
    "over_cap",
)
"""Why a photo is in no split, first match wins."""

FATES = (*SPLITS, "excluded")


@dataclass(frozen=True)
class Column:
    """One column: a Delta type name (`long`, `integer`, `double`, `string`, `binary`, `timestamp`) and its meaning."""

    name: str
    type: str
    comment: str
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """One Delta table.

    `key` columns are unique together; `checks` maps a constraint's name to its SQL condition; `stats_columns` are the
    columns whose range Delta keeps per file, empty for all: a wide table pays a fifth of its write for ranges that no
    read asks for.
    """

    name: str
    comment: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    checks: Mapping[str, str] = field(default_factory=dict)
    stats_columns: tuple[str, ...] = ()

    @property
    def column_names(self) -> list[str]:
        """Names in table order: the contract that every transform's last select meets."""
        return [column.name for column in self.columns]

    def schema_json(self) -> dict[str, object]:
        """The schema in Delta's (and Spark's) JSON form, comments included."""
        fields = [
            {"name": c.name, "type": c.type, "nullable": c.nullable, "metadata": {"comment": c.comment}}
            for c in self.columns
        ]
        return {"type": "struct", "fields": fields}


def _one_of(column: str, allowed: tuple[str, ...], or_null: bool = False) -> str:
    condition = " OR ".join(f"{column} = '{value}'" for value in allowed)
    return f"{condition} OR {column} IS NULL" if or_null else condition


_HEX_SHA256 = "_" * 64  # as a pattern: delta-rs takes no function such as length() in a constraint


def _rank_columns() -> tuple[Column, ...]:
    comments = {rank: f"{rank} name, null where unknown" for rank in RANKS}
    comments["species"] = "epithet only, null above species rank"
    return tuple(Column(rank, "string", comments[rank], nullable=True) for rank in RANKS)


_ALL_CATEGORIES = (*CATEGORIES, OTHER_CATEGORY)
_PHOTO_ID = Column("photo_id", "long", "iNaturalist's id, or a negative hash of source and URL")
_TAXON_ID = Column("taxon_id", "long", "xxhash64 of the taxon's normalized name, the same in every month")
_DATASET = Column("dataset", "string", "name of the dataset")
_SPLIT = Column("split", "string", "train, val or test")
_SHARD_ID = Column("shard_id", "integer", "place of the shard in the plan of its dataset and split, from 0")
_SHARD_FILE = Column("shard_file", "string", "base name of the tar")
_POSITION = Column("position", "integer", "place of the photo in its shard, from 0")
_COMMON_NAME = Column("common_name", "string", "English name", nullable=True)
_CATEGORY = Column("category", "string", "one of the seven categories, or other")
_RUN_ID = Column("run_id", "string", "the run that wrote the row")
_SCIENTIFIC_NAME = Column(
    "scientific_name", "string", "the name as the row gives it, or as its ranks imply", nullable=True
)
_TAXON_RANK = Column("taxon_rank", "string", "the deepest of the seven ranks that is known")
_LICENSE = Column("license", "string", "licence of the photo", nullable=True)
_ATTRIBUTION = Column("attribution", "string", "whom to name", nullable=True)

PHOTOS = Table(
    "photos",
    "every accepted photo, once",
    ("photo_id",),
    (
        _PHOTO_ID,
        Column("source_photo_id", "string", "the id that the source itself gives", nullable=True),
        Column("group_id", "string", "observation id, else photo id; set at first ingest, never changed"),
        _TAXON_ID,
        _SCIENTIFIC_NAME,
        _TAXON_RANK,
        *_rank_columns(),
        _COMMON_NAME,
        _CATEGORY,
        Column("photo_url", "string", "http(s) URL, or a path that needs a base URL"),
        _LICENSE,
        _ATTRIBUTION,
        Column("source", "string", "which source the row came from first"),
        Column("first_snapshot", "string", "YYYY-MM of the ingest that brought the photo"),
        Column("changed_snapshot", "string", "YYYY-MM of the last ingest that changed the row"),
        Column("gone_snapshot", "string", "YYYY-MM since when the source lacks it, null while present", nullable=True),
    ),
    {
        "taxon_rank_known": _one_of("taxon_rank", RANKS),
        "category_known": _one_of("category", _ALL_CATEGORIES),
    },
    stats_columns=("photo_id",),
)

PHOTO_REJECTS = Table(
    "photo_rejects",
    "source rows that are no photo, each with its reason",
    ("source", "snapshot", "raw_sha256"),
    (
        Column("source", "string", "which source"),
        Column("snapshot", "string", "YYYY-MM of the ingest"),
        Column("raw_sha256", "string", "sha256 of raw, hex"),
        Column("reason", "string", "first of the reasons that holds"),
        Column("raw", "string", "the row as JSON of its non-null values"),
        Column("num_rows", "long", "rows equal to this one in the latest ingest of the snapshot"),
        Column("source_file", "string", "smallest name of a file that holds it; for people"),
    ),
    {"reason_known": _one_of("reason", REJECT_REASONS), "sha256_hex": f"raw_sha256 LIKE '{_HEX_SHA256}'"},
)

SPECIES_COUNTS = Table(
    "species_counts",
    "photos per species, withdrawn ones left out",
    ("taxon_id",),
    (
        _TAXON_ID,
        *_rank_columns(),
        _COMMON_NAME,
        _CATEGORY,
        Column("num_photos", "long", "photos of the species"),
        Column("num_groups", "long", "observations of the species"),
        Column("place", "integer", "1 = most photos in its category; ties by taxon_id"),
    ),
    {"category_known": _one_of("category", _ALL_CATEGORIES), "counted": "num_photos >= 1"},
)

CATEGORY_COUNTS = Table(
    "category_counts",
    "photos and species per category",
    ("category",),
    (
        _CATEGORY,
        Column("num_photos", "long", "photos known to species"),
        Column("num_species", "long", "species with at least one photo"),
        Column("median_photos", "double", "median photos per species"),
        Column("p95_photos", "double", "95th percentile of photos per species, linear between ranks"),
        Column("max_photos", "long", "photos of the most frequent species"),
        Column("num_rare", "long", "species with fewer photos than the rare threshold asked for"),
        Column("num_over_cap", "long", "species with more photos than the cap asked for"),
    ),
    {"category_known": _one_of("category", _ALL_CATEGORIES)},
)

WITHDRAWALS = Table(
    "withdrawals",
    "photos that must no longer be used",
    ("photo_id",),
    (
        _PHOTO_ID,
        Column("reason", "string", "why", nullable=True),
        Column("since", "timestamp", "when it was withdrawn", nullable=True),
    ),
)

SELECTIONS = Table(
    "selections",
    "the fate of every photo in every dataset",
    ("dataset", "photo_id"),
    (
        _DATASET,
        _PHOTO_ID,
        Column("fate", "string", "train, val, test or excluded"),
        Column("reason", "string", "why excluded, null otherwise", nullable=True),
        _TAXON_ID,
        Column("order_hash", "long", "place in the shuffled order of its split, null if excluded", nullable=True),
    ),
    {
        "fate_known": _one_of("fate", FATES),
        "reason_known": _one_of("reason", EXCLUSION_REASONS, or_null=True),
        "excluded_has_reason": "fate = 'excluded' AND reason IS NOT NULL OR fate <> 'excluded' AND reason IS NULL",
        "kept_has_order": "fate = 'excluded' AND order_hash IS NULL OR fate <> 'excluded' AND order_hash IS NOT NULL",
    },
    stats_columns=("dataset",),
)

_PLANNED_PHOTO = (
    _PHOTO_ID,
    _TAXON_ID,
    _SCIENTIFIC_NAME,
    _TAXON_RANK,
    *_rank_columns(),
    _COMMON_NAME,
    _CATEGORY,
    _LICENSE,
    _ATTRIBUTION,
    Column("photo_url", "string", "http(s) URL, or a path that needs a base URL"),
)

_RENDITION = Column("rendition", "string", "original, or edge<N>: longest side at most N px")
_LAYOUT = Column("layout", "string", "taxaflow or biotrove")

SHARD_PLAN = Table(
    "shard_plan",
    "which photo goes where, written before the first request",
    ("dataset", "split", "shard_id", "position"),
    (_DATASET, _SPLIT, _SHARD_ID, _POSITION, _RENDITION, _LAYOUT, *_PLANNED_PHOTO),
    {"split_known": _one_of("split", SPLITS)},
)

SHARDS = Table(
    "shards",
    "the shards that exist: a row here is the commit",
    ("dataset", "split", "shard_id"),
    (
        _DATASET,
        _SPLIT,
        _SHARD_ID,
        _SHARD_FILE,
        Column("sha256", "string", "of the tar, hex"),
        Column("num_samples", "integer", "pictures in the tar"),
        Column("num_failed", "integer", "planned photos that are not in it"),
        Column("num_bytes", "long", "size of the tar"),
        _RUN_ID,
    ),
    {"split_known": _one_of("split", SPLITS), "sha256_hex": f"sha256 LIKE '{_HEX_SHA256}'"},
)

DOWNLOADS = Table(
    "downloads",
    "what became of every photo of every committed shard",
    ("shard_file", "position"),
    (
        _SHARD_FILE,
        _POSITION,
        _PHOTO_ID,
        _DATASET,
        Column("status", "string", "ok, or why there is no picture"),
        Column("http_status", "integer", "last HTTP status, null without an answer", nullable=True),
        Column("attempts", "integer", "requests made for the photo in this run, redirects left out"),
        Column("num_bytes", "long", "size of the stored JPEG, null unless ok", nullable=True),
        Column("sha256", "binary", "of the stored JPEG, null unless ok", nullable=True),
        Column("width", "integer", "px, null unless ok", nullable=True),
        Column("height", "integer", "px, null unless ok", nullable=True),
        Column("offset", "long", "first byte of the JPEG's data in the tar, null unless ok", nullable=True),
        Column("error", "string", "what went wrong, at most 200 characters, null if ok", nullable=True),
        Column("fetched_at", "timestamp", "when the photo was settled, UTC"),
    ),
    {"status_known": _one_of("status", tuple(status.value for status in Status))},
)

CAPTIONS = Table(
    "captions",
    "the caption texts of every name, for people; readers make them from a sample's JSON",
    ("taxon_id", "scientific_name", "common_name", "kind"),
    (
        _TAXON_ID,
        _SCIENTIFIC_NAME,
        _COMMON_NAME,
        Column("kind", "string", "one of the ten caption kinds"),
        Column("text", "string", "the caption"),
    ),
)

RUNS = Table(
    "runs",
    "one row per finished run of a job",
    ("run_id",),
    (
        _RUN_ID,
        Column("job", "string", "ingest, count, select, download or label"),
        Column("code_version", "string", "version of taxaflow"),
        Column("config", "string", "the resolved configuration, JSON"),
        Column("input_versions", "string", "table -> version read, JSON"),
        Column("output_versions", "string", "table -> version after the run, JSON"),
        Column("started_at", "timestamp", "UTC"),
        Column("finished_at", "timestamp", "UTC"),
        Column("counts", "string", "name -> number, JSON"),
        Column("seconds", "double", "wall time of the run, the session's start left out"),
    ),
)

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        PHOTOS,
        PHOTO_REJECTS,
        SPECIES_COUNTS,
        CATEGORY_COUNTS,
        WITHDRAWALS,
        SELECTIONS,
        SHARD_PLAN,
        SHARDS,
        DOWNLOADS,
        CAPTIONS,
        RUNS,
    )
}
"""The eleven tables by name, in the order that data flows."""
