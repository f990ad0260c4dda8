"""A list of URLs as pictures: fetched by the project's own downloader when they are first gone through.

The list is a text file with one URL a line (empty lines and those that begin with # say nothing), or a CSV with a
column of URLs. Photos are kept in a folder with fetched.csv; those that are there are not asked for again.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.inputs.picture import Inputs, Picture
from taxonomy.errors import BadInputError
from taxonomy.needed import needed
from taxonomy.whole_file import write_whole

if TYPE_CHECKING:
    from spark_jobs.fetch_config import FetchConfig

_TABLE = ".urls.csv"
"""What a text file of URLs becomes for the downloader, in the folder of the photos; hidden, as people have such lists
there too."""

_URL = re.compile(r"https?://[^/\s]", re.IGNORECASE)
_OK = "ok"


def open_urls(path: Path, url_column: str, images_dir: Path | None, user_agent: str | None) -> Inputs:
    """The photos of a list of URLs, each URL once; their keys are the URLs.

    Raises:
        BadInputError: the list cannot be used, names no URL, or the packages that fetch are not installed.
    """
    if images_dir is None:
        raise BadInputError(f"--urls {path}: add --images-dir DIR, where the photos are kept")
    lines = _lines(path, url_column)
    urls = _Urls(path, url_column, images_dir, user_agent, lines is not None)
    urls.fetch_config(path)  # checks the flags
    keys = list(dict.fromkeys(lines if lines is not None else urls.keys()))
    if not any(_URL.match(key) for key in keys):
        raise BadInputError(f"--urls {path}: no URL in it; give one a line, or a CSV with a column {url_column}")
    digest = hashlib.sha256(json.dumps(keys).encode())
    return Inputs(path.name, len(keys), digest.hexdigest(), urls.pictures)


def _lines(path: Path, url_column: str) -> list[str] | None:
    """The lines that say something; None where the file is a CSV."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"--urls {path}: cannot be read as text: {error}") from error
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    header = next(csv.reader(lines[:1]), [])
    is_csv = url_column in header or (path.suffix.lower() == ".csv" and not _URL.match("".join(lines[:1])))
    return None if is_csv else lines


@dataclass(frozen=True)
class _Urls:
    """A list of URLs; `is_text` where it is no CSV."""

    path: Path
    url_column: str
    images_dir: Path
    user_agent: str | None
    is_text: bool

    def fetch_config(self, table: Path) -> "FetchConfig":
        own = {} if self.user_agent is None else {"user_agent": self.user_agent}
        return _needed("spark_jobs.fetch_config").FetchConfig(table, self.images_dir, url_column=self.url_column, **own)

    def keys(self) -> Iterator[str]:
        """Of the CSV's rows."""
        listed = _needed("spark_jobs.photo_list").read_photo_list(self.path, self.url_column)
        at = listed.header.index(self.url_column)
        for number, (row, photo) in enumerate(zip(listed.rows, listed.photo_of_row, strict=True), 1):
            yield photo.url if photo is not None else row[at].strip() or f"row {number}"

    def pictures(self) -> Iterator[Picture]:
        fetch = _needed("spark_jobs.fetch_csv")
        fetch.run(self.fetch_config(self._table()))
        seen: set[str] = set()
        with (self.images_dir / fetch.LIST_NAME).open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), 1):
                key = row["fetch_url"] or row.get(self.url_column, "").strip() or f"row {number}"
                if key not in seen:
                    seen.add(key)
                    yield self._picture(key, row)

    def _picture(self, key: str, row: dict[str, str]) -> Picture:
        if row["fetch_status"] == _OK:
            return Picture(key, self.images_dir / row["path"])
        said = (row["fetch_status"] or "not fetched", row["fetch_error"])
        return Picture(key, None, ": ".join(one for one in said if one))

    def _table(self) -> Path:
        """The list as a CSV; that of a text file is written."""
        if not self.is_text:
            return self.path
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [[self.url_column], *([line] for line in _lines(self.path, self.url_column) or [])]
        )
        write_whole(self.images_dir / _TABLE, text.getvalue().encode())
        return self.images_dir / _TABLE


def _needed(module: str) -> Any:
    return needed(module, "--urls", "spark")
