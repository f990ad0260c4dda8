"""Progress of a download: one updating line on a terminal, a plain line every 30 s elsewhere, a file for `status`."""

import contextlib
import json
import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from taxonomy.errors import WorkFailedError
from taxonomy.whole_file import write_whole

LINE_S = 30.0
FILE_S = 2.0
STALE_S = 60.0
"""A file not written for so long is left from a download that was killed."""

_SPEED_WINDOW_S = 15.0


@dataclass(frozen=True)
class DownloadState:
    """How far a download is.

    Attributes:
        dataset: being downloaded.
        pid: of the driver.
        num_photos: planned.
        statuses: status -> photos that ended.
        photos_per_s: lately.
        elapsed_s: since the first request could be sent.
    """

    dataset: str
    pid: int
    num_photos: int
    statuses: Mapping[str, int]
    photos_per_s: float
    elapsed_s: float

    @property
    def num_done(self) -> int:
        """Photos that ended."""
        return sum(self.statuses.values())

    def __str__(self) -> str:
        """`4,100 photos/s, 97.1 % ok, gone 112, timeout 8, 0:12 left`."""
        num_ok = self.statuses.get("ok", 0)
        parts = [f"{self.photos_per_s:,.0f} photos/s"]
        if self.num_done:
            parts.append(f"{100 * num_ok / self.num_done:.1f} % ok")
        failures = {name: number for name, number in self.statuses.items() if name != "ok"}
        parts += [f"{name} {number:,}" for name, number in sorted(failures.items(), key=lambda item: -item[1])]
        if self.photos_per_s > 0:
            left_s = int(max(0, self.num_photos - self.num_done) / self.photos_per_s)
            parts.append(f"{left_s // 3600}:{left_s // 60 % 60:02d}:{left_s % 60:02d} left")
        return ", ".join(parts)


class DownloadProgress:
    """Shows a download while the block runs.

    Args:
        dataset: being downloaded.
        num_photos: planned.
        file: where `read_state` finds the state; removed at the end.
    """

    def __init__(self, dataset: str, num_photos: int, file: Path) -> None:
        self._dataset = dataset
        self._num_photos = num_photos
        self._file = file
        self._start = self._last_line = time.monotonic()
        self._last_file = float("-inf")
        self._marks: deque[tuple[float, int]] = deque([(self._start, 0)])
        self._bar = RichProgress(
            TextColumn("photos"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[state]}"),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("photos", total=num_photos, state="")

    def __enter__(self) -> "DownloadProgress":
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take bar and file away."""
        self._bar.stop()
        self._file.unlink(missing_ok=True)

    def show(self, statuses: Mapping[str, int]) -> None:
        """Show that so many photos ended with each status; call it at least once a second."""
        now = time.monotonic()
        state = self._state(statuses, now)
        self._bar.update(self._task, completed=min(state.num_done, self._num_photos), state=str(state))
        if not sys.stderr.isatty() and now - self._last_line >= LINE_S:
            self._last_line = now
            print(f"photos: {state.num_done:,} of {self._num_photos:,}, {state}", file=sys.stderr, flush=True)
        if now - self._last_file >= FILE_S:
            self._last_file = now
            with contextlib.suppress(WorkFailedError):  # only for `status`: a download need not end for it
                write_whole(self._file, json.dumps(asdict(state)).encode())

    def _state(self, statuses: Mapping[str, int], now: float) -> DownloadState:
        self._marks.append((now, sum(statuses.values())))
        while len(self._marks) > 2 and now - self._marks[1][0] > _SPEED_WINDOW_S:
            self._marks.popleft()
        (then, before), (_, num_done) = self._marks[0], self._marks[-1]
        speed = (num_done - before) / (now - then) if now > then else 0.0
        return DownloadState(self._dataset, os.getpid(), self._num_photos, dict(statuses), speed, now - self._start)


def progress_file(root: Path) -> Path:
    """Where the running download of a root leaves its state."""
    return root / "locks" / "downloads.progress.json"


def read_state(root: Path) -> DownloadState | None:
    """The state of the download that runs on a root now; None where there is none."""
    try:
        if time.time() - progress_file(root).stat().st_mtime > STALE_S:
            return None
        return DownloadState(**json.loads(progress_file(root).read_bytes()))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):  # none, or one of another version
        return None
