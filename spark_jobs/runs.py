"""The record of a job: what it read, what it wrote, how long it took."""

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from pathlib import Path

from spark_jobs import table_io
from spark_jobs.config import to_json
from spark_jobs.tables import RUNS, Table


@dataclass(frozen=True)
class Summary:
    """What a job says when it ends.

    Attributes:
        job: name of the job.
        counts: name -> number, in the order to show them.
        changed: False where the run found nothing to do.
        notes: further lines for the user.
        seconds: wall time of the work.
    """

    job: str
    counts: Mapping[str, int]
    changed: bool
    notes: Sequence[str] = ()
    seconds: float = 0.0


@dataclass
class Run:
    """A run under way; `finish` writes its row to the runs table."""

    job: str
    root: Path
    config: object
    inputs: Sequence[Table]
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        """Note the versions of the input tables before anything is read."""
        self.input_versions = table_io.versions(self.root, self.inputs)
        self._start = time.monotonic()

    def finish(
        self, outputs: Sequence[Table], counts: Mapping[str, int], changed: bool, notes: Sequence[str] = ()
    ) -> Summary:
        """Record the run and return its summary."""
        seconds = time.monotonic() - self._start
        row: dict[str, object] = {
            "run_id": self.run_id,
            "job": self.job,
            "code_version": code_version(),
            "config": to_json(self.config),
            "input_versions": json.dumps(self.input_versions),
            "output_versions": json.dumps(table_io.versions(self.root, outputs)),
            "started_at": self.started_at,
            "finished_at": datetime.now(UTC),
            "counts": json.dumps(dict(counts)),
            "seconds": round(seconds, 3),
        }
        table_io.append_rows(self.root, RUNS, [row])
        return Summary(self.job, dict(counts), changed, tuple(notes), seconds)


def code_version() -> str:
    """The installed version of taxaflow, or `source` where it runs from a folder that was not installed."""
    try:
        return package_version("taxaflow")
    except PackageNotFoundError:
        return "source"
