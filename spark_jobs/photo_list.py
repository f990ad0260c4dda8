"""A CSV of photos to fetch, and fetched.csv: the same rows with what became of each. Standard library only."""

import csv
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taxonomy.errors import BadInputError
from taxonomy.whole_file import whole_file

OUR_COLUMNS = ("path", "fetch_status", "fetch_http_status", "fetch_attempts", "fetch_error", "fetch_url")
"""What fetched.csv adds: the file's name below its folder, the status (spark_jobs.statuses, NO_URL, or empty where the
run was interrupted before), and what it followed from. Columns of these names in the CSV are replaced."""

ID_COLUMN = "photo_id"

_ADDRESS = re.compile(r"https?://[^/\s]|/[^/\s]", re.IGNORECASE)
"""What can be asked for: an address, or a path for --base-url."""

NO_URL = "no_url"
"""The status of a row without a URL."""

_SAFE_ID = re.compile(r"-?[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_MAX_ERROR_CHARACTERS = 200


@dataclass(frozen=True)
class Photo:
    """What is fetched once, whatever the number of its rows: the URL, and the name of the picture's file."""

    name: str
    url: str


@dataclass(frozen=True)
class Outcome:
    """How a photo's download ended.

    Attributes:
        url: that was asked.
        status: one of spark_jobs.statuses.
        http_status: of the last answer; None where none came.
        attempts: requests made; 0 where the picture was there.
        error: empty if ok.
    """

    url: str
    status: str
    http_status: int | None = None
    attempts: int = 0
    error: str = ""


@dataclass(frozen=True)
class PhotoList:
    """The rows of a CSV.

    Attributes:
        header: names of the columns.
        rows: values of each row, as many as the header has.
        photo_of_row: None where a row has no http(s) URL.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    photo_of_row: Sequence[Photo | None]

    @property
    def photos(self) -> list[Photo]:
        """Every photo once, in the order of the rows."""
        return list(dict.fromkeys(photo for photo in self.photo_of_row if photo is not None))


def read_photo_list(path: Path, url_column: str) -> PhotoList:
    """The rows of a CSV with their photos.

    Raises:
        BadInputError: it cannot be read, has no rows or no such column, or gives one photo_id two URLs.
    """
    header, rows = _read_csv(path)
    if url_column not in header:
        raise BadInputError(
            f"{path}: column {url_column} is missing (it has {', '.join(header)}); --url-column tells another"
        )
    if not rows:
        raise BadInputError(f"{path}: has no rows below its header")
    url_at = header.index(url_column)
    id_at = header.index(ID_COLUMN) if ID_COLUMN in header else None
    photos = [_photo("" if id_at is None else row[id_at], row[url_at].strip()) for row in rows]
    _check_one_url_per_name(path, photos)
    return PhotoList(header, rows, photos)


def read_outcomes(path: Path) -> dict[str, Outcome]:
    """File name -> outcome, as an earlier run left them in fetched.csv; empty where there is none.

    Raises:
        BadInputError: it is no fetched.csv.
    """
    if not path.exists():
        return {}
    header, rows = _read_csv(path)
    if missing := [name for name in OUR_COLUMNS if name not in header]:
        raise BadInputError(f"{path}: column {', '.join(missing)} is missing; move the file, or choose another --out")
    at = [header.index(name) for name in OUR_COLUMNS]
    found: dict[str, Outcome] = {}
    for row in rows:
        name, status, http_status, attempts, error, url = (row[column] for column in at)
        if name and status:
            found[name] = Outcome(url, status, _number(http_status), _number(attempts) or 0, error)
    return found


def write_outcomes(path: Path, photos: PhotoList, outcomes: Mapping[str, Outcome]) -> None:
    """Write fetched.csv, whole or not at all: one line per row in order, its own columns first.

    Raises:
        OSError: it could not be written.
    """
    kept = [number for number, name in enumerate(photos.header) if name not in OUR_COLUMNS]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(photos.header[number] for number in kept), *OUR_COLUMNS])
    for row, photo in zip(photos.rows, photos.photo_of_row, strict=True):
        writer.writerow([*(row[number] for number in kept), *_our_values(photo, outcomes)])
    with whole_file(path) as file:
        file.write(text.getvalue().encode())


def _our_values(photo: Photo | None, outcomes: Mapping[str, Outcome]) -> tuple[object, ...]:
    if photo is None:
        return "", NO_URL, "", 0, "the row has no http(s) URL", ""
    outcome = outcomes.get(photo.name)
    if outcome is None:
        return photo.name, "", "", 0, "", photo.url
    error = " ".join(outcome.error.split())[:_MAX_ERROR_CHARACTERS]
    http_status = "" if outcome.http_status is None else outcome.http_status
    return photo.name, outcome.status, http_status, outcome.attempts, error, photo.url


def _photo(photo_id: str, url: str) -> Photo | None:
    """The photo of a row; an id that could not be a file's name is passed over."""
    if not _ADDRESS.match(url):
        return None
    photo_id = photo_id.strip()
    stem = photo_id if _SAFE_ID.fullmatch(photo_id) else hashlib.sha256(url.encode()).hexdigest()[:24]
    return Photo(f"{stem}.jpg", url)


def _check_one_url_per_name(path: Path, photos: Sequence[Photo | None]) -> None:
    urls: dict[str, str] = {}
    for photo in photos:
        if photo is not None and (other := urls.setdefault(photo.name, photo.url)) != photo.url:
            stem = photo.name.removesuffix(".jpg")
            raise BadInputError(f"{path}: photo_id {stem} has two URLs, {other} and {photo.url}; keep one")


def _read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV in UTF-8; lines without any value are passed over."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            _check_header(path, header)
            rows: list[list[str]] = []
            for row in reader:
                if row and len(row) != len(header):
                    raise BadInputError(
                        f"{path}, line {reader.line_num}: {len(row)} values, but the header names {len(header)} columns"
                    )
                rows += [row] if row else []
            return header, rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"{path}: cannot be read as CSV: {error}") from error


def _check_header(path: Path, header: Sequence[str]) -> None:
    if not header:
        raise BadInputError(f"{path}: is empty; a header line with column names is needed")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise BadInputError(f"{path}: column {', '.join(twice)} appears more than once")


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
