"""The configuration of every data command: one frozen dataclass each, checked when it is made. No Spark here.

A field's metadata holds its help text; `spark_jobs.cli` makes the flags from the fields.
"""

from __future__ import annotations  # a field's type is read as text, by the flags too

import dataclasses
import json
import re
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from spark_jobs.config_values import converted, split_list
from spark_jobs.statuses import RETRYABLE, Status
from taxonomy.errors import BadInputError
from taxonomy.ranks import CATEGORIES, OTHER_CATEGORY, RANKS
from taxonomy.shards import LAYOUTS, SPLITS

Config = TypeVar("Config")

SOURCES = ("biotrove", "inaturalist", "gbif", "csv")
QUALITIES = ("research", "any")

SOURCE_COLUMNS: Mapping[str, str] = {
    "photo_id": "photo_id",
    "scientific_name": "scientificName",
    **{rank: rank for rank in RANKS},
    "common_name": "common_name",
    "photo_url": "photo_url",
    "taxon_rank": "taxonRank",
    "license": "license",
    "attribution": "attribution",
    "observation_id": "observation_id",
}
"""Our name -> the name in a source file unless --columns says otherwise (BioTrove's)."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_USER_AGENT = re.compile(r"[!-.0-~][ -~]*")
_LONGEST_TIMEOUT_S = 86_400
_SNAPSHOT = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
_INT64_MAX = 2**63 - 1
_INT32_MAX = 2**31 - 1


def option(help_text: str, default: Any = dataclasses.MISSING) -> Any:
    """A config field with its help text; without a default the flag is required."""
    return dataclasses.field(default=default, metadata={"help": help_text})


def from_mapping(config_class: type[Config], values: Mapping[str, Any], where: str) -> Config:
    """A config from TOML values (keys are flags with _ for -), None left out.

    Args:
        config_class: the dataclass to make.
        values: field name -> value; paths and lists may be given as text, numbers and truth values may not.
        where: what the values come from, for error messages.

    Raises:
        BadInputError: a key is unknown, a required one is missing, or a value is not allowed.
    """
    fields = {field.name: field for field in dataclasses.fields(config_class)}  # pyright: ignore[reportArgumentType]
    if unknown := sorted(set(values) - set(fields)):
        raise BadInputError(f"{where}: unknown key {', '.join(unknown)}; known: {', '.join(fields)}")
    given = {name: converted(fields[name], value, where) for name, value in values.items() if value is not None}
    required = [name for name, field in fields.items() if field.default is dataclasses.MISSING]
    if missing := [f"--{name.replace('_', '-')}" for name in required if name not in given]:
        raise BadInputError(f"{where}: {', '.join(missing)} is missing")
    return config_class(**given)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        BadInputError: it is missing or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"--config {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInputError(f"--config {path}: not valid TOML: {error}") from error


def to_json(config: object) -> str:
    """The resolved configuration as JSON, keys in field order, for the runs table."""
    return json.dumps(dataclasses.asdict(config), default=str)  # pyright: ignore[reportArgumentType]


def _check_name(flag: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadInputError(f"{flag} {name!r}: use letters, digits, _ . and -, starting with a letter or digit")


def _check_choice(flag: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise BadInputError(f"{flag} {value!r} is unknown; allowed: {', '.join(allowed)}")


def _check_at_least(flag: str, value: int, least: int, most: int = _INT64_MAX) -> None:
    if value < least:
        raise BadInputError(f"{flag} {value}: must be at least {least}")
    if value > most:
        raise BadInputError(f"{flag} {value}: must be at most {most}")


def _is_host_url(url: str) -> bool:
    """Whether this is scheme and host, with or without a port, and nothing else."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # a ValueError where it is none
    except ValueError:
        return False
    rest = parts.path.strip("/") or parts.query or parts.fragment
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not rest and not re.search(r"\s", url)


def _check_exists(flag: str, path: Path | None) -> None:
    if path is not None and not path.exists():
        raise BadInputError(f"{flag} {path}: no such file or folder")


@dataclass(frozen=True)
class IngestConfig:
    """Metadata files -> photos, photo_rejects."""

    lock_name: ClassVar[str] = "photos"
    creates_root: ClassVar[bool] = True

    source: str = option("What the files are: biotrove, inaturalist or csv.")
    input: Path = option("A file, or a folder of files (inaturalist: the folder with the four .csv.gz).")
    root: Path = option("The folder where all data lives.")
    snapshot: str = option("Month of the data, YYYY-MM.")
    complete: bool = option("The input is the whole source: photos it lacks are marked gone.", False)
    columns: str | Mapping[str, str] = option("csv: ours=theirs,... for columns that have other names.", "")
    source_name: str | None = option("csv: name to record as the source (default csv).", None)
    quality: str = option("inaturalist: research, or any to keep every quality grade.", "research")

    def __post_init__(self) -> None:
        """Check what can be checked without Spark."""
        _check_choice("--source", self.source, SOURCES)
        if self.source == "gbif":
            raise BadInputError("--source gbif is not supported yet; convert to CSV and use --source csv --columns")
        _check_choice("--quality", self.quality, QUALITIES)
        _check_exists("--input", self.input)
        if not _SNAPSHOT.fullmatch(self.snapshot):
            raise BadInputError(f"--snapshot {self.snapshot!r}: give a month as YYYY-MM, for example 2026-10")
        self._check_names()

    def _check_names(self) -> None:
        if self.source != "csv" and (self.source_name or self.columns):
            raise BadInputError("--source-name and --columns go with --source csv only")
        if self.source_name is not None:
            _check_name("--source-name", self.source_name)
            if self.source_name in ("biotrove", "inaturalist"):
                raise BadInputError(f"--source-name {self.source_name} is reserved; choose another name")
        _ = self.column_map

    @property
    def recorded_source(self) -> str:
        """The value of the source column."""
        return (self.source_name or "csv") if self.source == "csv" else self.source

    @property
    def column_map(self) -> dict[str, str]:
        """Our column name -> the file's, for the columns that --columns names.

        A table (in TOML) takes any name of theirs; in a text names hold no comma.

        Raises:
            BadInputError: an entry is not ours=theirs, or ours is unknown or named twice.
        """
        known = {**{name: name for name in SOURCE_COLUMNS}, **{theirs: ours for ours, theirs in SOURCE_COLUMNS.items()}}
        found: dict[str, str] = {}
        for ours, theirs in _column_pairs(self.columns):
            if not theirs or ours not in known:
                raise BadInputError(
                    f"--columns {ours}={theirs}: write ours=theirs with ours one of {', '.join(SOURCE_COLUMNS)}"
                )
            if known[ours] in found:
                raise BadInputError(f"--columns {ours}={theirs}: {known[ours]} is named twice")
            found[known[ours]] = theirs
        return found


def _column_pairs(columns: str | Mapping[str, str]) -> list[tuple[str, str]]:
    if not isinstance(columns, str):
        return list(columns.items())
    pairs = [entry.partition("=") for entry in split_list(columns)]
    return [(ours.strip(), theirs.strip()) for ours, _, theirs in pairs]


@dataclass(frozen=True)
class CountConfig:
    """photos -> species_counts, category_counts, reports/taxa.html."""

    lock_name: ClassVar[str] = "species_counts"
    creates_root: ClassVar[bool] = False

    root: Path = option("The folder where all data lives.")
    rare: int = option("Species with fewer photos count as rare.", 30)
    cap: int = option("Species with more photos count as over the cap.", 50_000)

    def __post_init__(self) -> None:
        """Check that the thresholds make sense together."""
        _check_at_least("--rare", self.rare, 0)
        _check_at_least("--cap", self.cap, 1)
        if self.cap < self.rare:
            raise BadInputError(f"--cap {self.cap}: must be at least --rare ({self.rare})")


@dataclass(frozen=True)
class SelectConfig:
    """photos -> selections: the split of each photo, or why none."""

    lock_name: ClassVar[str] = "selections"
    creates_root: ClassVar[bool] = False

    root: Path = option("The folder where all data lives.")
    dataset: str = option("Name of the dataset.")
    categories: tuple[str, ...] = option("Categories to keep, comma-separated.", tuple(CATEGORIES))
    min_photos: int = option("Leave out species with fewer photos.", 30)
    max_photos: int = option("Keep at most so many photos of a species.", 50_000)
    val: float = option("Share of observations for val, 0 to 1.", 0.01)
    test: float = option("Share of observations for test, 0 to 1.", 0.05)
    seed: int = option("Seed of the cap, split and order hashes.", 42)
    licenses: tuple[str, ...] = option("Keep only these licences, comma-separated (default: all).", ())
    exclude_photos: Path | None = option("CSV or parquet of photos or species to leave out (benchmarks).", None)
    heldout_species: Path | None = option("CSV or parquet of species to hold out.", None)
    export: Path | None = option("Also write processed_chunks_%04d.parquet per split below this folder.", None)

    def __post_init__(self) -> None:
        """Check what can be checked without Spark."""
        _check_name("--dataset", self.dataset)
        for category in self.categories:
            _check_choice("--categories", category, (*CATEGORIES, OTHER_CATEGORY))
        if not self.categories:
            raise BadInputError(f"--categories: name at least one of {', '.join(CATEGORIES)}, {OTHER_CATEGORY}")
        _check_at_least("--min-photos", self.min_photos, 1)
        _check_at_least("--max-photos", self.max_photos, 1)
        if self.max_photos < self.min_photos:
            raise BadInputError(f"--max-photos {self.max_photos}: must be at least --min-photos ({self.min_photos})")
        if not (self.val >= 0 and self.test >= 0 and self.val + self.test < 1):
            raise BadInputError(f"--val {self.val} --test {self.test}: shares of 0 or more, together below 1")
        if not -_INT64_MAX - 1 <= self.seed <= _INT64_MAX:
            raise BadInputError(f"--seed {self.seed}: must fit in 64 bits")
        _check_exists("--exclude-photos", self.exclude_photos)
        _check_exists("--heldout-species", self.heldout_species)


DEFAULT_USER_AGENT = "taxaflow/0.1 (biodiversity dataset builder)"
"""How requests introduce themselves unless --user-agent says otherwise; names no contact, so that download warns."""

RETRYABLE_STATUSES = tuple(status.value for status in Status if status in RETRYABLE)
"""In the order of Status."""

TRANSPORTS = ("auto", "curl", "requests")
"""How photos are asked for; auto takes curl where pycurl is installed."""

DEFAULT_TRIES = 4
"""Requests per photo and run before a temporary failure is recorded."""


@dataclass(frozen=True)
class DownloadConfig:
    """selections -> tar shards, shards, downloads."""

    job: ClassVar[str] = "download"
    lock_name: ClassVar[str] = "downloads"
    creates_root: ClassVar[bool] = False

    root: Path = option("The folder where all data lives.")
    dataset: str = option("Name of the dataset.")
    split: str = option("train, val, test, or all.", "all")
    samples_per_shard: int = option("Photos planned per shard.", 5_000)
    max_per_host: int = option("Connections per host and task.", 16)
    max_rate: float | None = option("Requests per second and host, over all tasks (default: no limit).", None)
    timeout_s: float = option("Longest time for one request, seconds.", 60.0)
    tries: int = option("Requests per photo and run before a temporary failure is recorded.", DEFAULT_TRIES)
    max_edge_px: int | None = option("Scale pictures down to this longest side, px (default: as they are).", None)
    layout: str = option("taxaflow (picture + JSON), or biotrove (adds the caption texts).", "taxaflow")
    user_agent: str = option(
        "How to introduce ourselves, name first (robots.txt rules may address it); add a contact address.",
        DEFAULT_USER_AGENT,
    )
    base_url: str | None = option("Scheme and host to use for every photo URL: a mirror or a cache.", None)
    transport: str = option("auto, curl or requests; auto is curl where pycurl is installed.", "auto")
    allow_private: bool = option("Follow redirects from public hosts to private addresses.", False)
    scratch: Path | None = option("Fast local folder for unfinished shards (default: the system's).", None)
    dry_run: bool = option("Only say what would be asked of which host; write nothing.", False)

    def __post_init__(self) -> None:
        """Check what can be checked without Spark."""
        _check_name("--dataset", self.dataset)
        _check_choice("--split", self.split, (*SPLITS, "all"))
        _check_choice("--layout", self.layout, LAYOUTS)
        for flag, value in (
            ("--samples-per-shard", self.samples_per_shard),
            ("--max-per-host", self.max_per_host),
            ("--tries", self.tries),
        ):
            _check_at_least(flag, value, 1, _INT32_MAX)
        if not 0 < self.timeout_s <= _LONGEST_TIMEOUT_S:
            raise BadInputError(f"--timeout-s {self.timeout_s}: must be above 0, at most {_LONGEST_TIMEOUT_S:,}")
        if not _USER_AGENT.fullmatch(self.user_agent):
            raise BadInputError(
                f"--user-agent {self.user_agent!r}: give printable ASCII that begins with a name to be known by, "
                "like my-lab/1.0 (me@example.org)"
            )
        if self.max_edge_px is not None:
            _check_at_least("--max-edge-px", self.max_edge_px, 32, _INT32_MAX)
        _check_choice("--transport", self.transport, TRANSPORTS)
        if self.max_rate is not None and self.max_rate <= 0:
            raise BadInputError(f"--max-rate {self.max_rate}: must be above 0")
        if self.base_url is not None and not _is_host_url(self.base_url):
            raise BadInputError(f"--base-url {self.base_url}: give scheme and host only, like http://127.0.0.1:8080")

    @property
    def has_contact(self) -> bool:
        """Whether the user agent names an address or a page of whoever downloads."""
        return "@" in self.user_agent or "http" in self.user_agent.lower()

    @property
    def scratch_dir(self) -> Path:
        """Where unfinished shards lie."""
        return self.scratch or Path(tempfile.gettempdir())

    @property
    def rendition(self) -> str:
        """What the dataset's pictures are: `original` or `edge<N>`."""
        return "original" if self.max_edge_px is None else f"edge{self.max_edge_px}"

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits to work on."""
        return SPLITS if self.split == "all" else (self.split,)


@dataclass(frozen=True)
class RetryConfig(DownloadConfig):
    """Ask again for photos whose last failure was temporary. --only asks for some of them."""

    job: ClassVar[str] = "retry"

    only: tuple[str, ...] = option("Statuses to ask again for, comma-separated.", RETRYABLE_STATUSES)

    def __post_init__(self) -> None:
        """Check what can be checked without Spark."""
        super().__post_init__()
        if not self.only:
            raise BadInputError(f"--only: name at least one of {', '.join(RETRYABLE_STATUSES)}")
        for status in self.only:
            _check_choice("--only", status, RETRYABLE_STATUSES)


@dataclass(frozen=True)
class LabelConfig:
    """photos -> captions."""

    lock_name: ClassVar[str] = "captions"
    creates_root: ClassVar[bool] = False

    root: Path = option("The folder where all data lives.")
    dataset: str | None = option("Only names of this dataset's photos (default: of all photos).", None)

    def __post_init__(self) -> None:
        """Check what can be checked without Spark."""
        if self.dataset is not None:
            _check_name("--dataset", self.dataset)


@dataclass(frozen=True)
class StatusConfig:
    """What status is asked about."""

    root: Path = option("The folder where all data lives.")
    dataset: str | None = option("Only this dataset.", None)


@dataclass(frozen=True)
class DoctorConfig:
    """Where the doctor looks."""

    root: Path = option("Where data shall live: its disk is looked at.", Path())
