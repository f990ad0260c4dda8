"""The configuration of `taxaflow data fetch`: a download without a data root, with the manners of the big one."""

# ruff: noqa: RUF009 - option() makes a dataclass field
from __future__ import annotations  # a field's type is read as text, by the flags too

from dataclasses import dataclass
from pathlib import Path

from spark_jobs.config import DEFAULT_TRIES, DEFAULT_USER_AGENT, DownloadConfig, option
from taxonomy.errors import BadInputError


@dataclass(frozen=True)
class FetchConfig:
    """A CSV with photo URLs -> checked pictures and fetched.csv. It has a status per row; needs no Java."""

    csv: Path = option("The CSV; with a column photo_id pictures are named by it, else by a hash of their URL.")
    out: Path = option("Folder for the pictures and fetched.csv; made where it is missing.")
    url_column: str = option("Name of the column that holds the URLs.", "photo_url")
    max_per_host: int = option("Connections per host.", 16)
    max_rate: float | None = option("Requests per second and host (default: no limit).", None)
    timeout_s: float = option("Longest time for one request, seconds.", 60.0)
    tries: int = option("Requests per photo and run before a temporary failure is recorded.", DEFAULT_TRIES)
    user_agent: str = option(
        "How to introduce ourselves, name first (robots.txt rules may address it); add a contact address.",
        DEFAULT_USER_AGENT,
    )
    base_url: str | None = option("Scheme and host to use for every photo URL: a mirror or a cache.", None)
    transport: str = option("auto, curl or requests; auto is curl where pycurl is installed.", "auto")
    allow_private: bool = option("Follow redirects from public hosts to private addresses.", False)

    def __post_init__(self) -> None:
        """Check the flags, and that the CSV is there."""
        if not self.csv.is_file():
            raise BadInputError(f"--csv {self.csv}: no such file")
        self.to_download()  # making it checks the flags that the two commands share

    def to_download(self) -> DownloadConfig:
        """The same flags as those of a download, which checks them.

        Raises:
            BadInputError: one is not allowed.
        """
        return DownloadConfig(
            root=self.out,
            dataset="photos",
            max_per_host=self.max_per_host,
            max_rate=self.max_rate,
            timeout_s=self.timeout_s,
            tries=self.tries,
            user_agent=self.user_agent,
            base_url=self.base_url,
            transport=self.transport,
            allow_private=self.allow_private,
        )
