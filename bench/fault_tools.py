"""The downloaders of bench/fault_matrix.py: how each is run on a list of URLs, and what it stored of each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.download_peers import IMG2DATASET_PINS, BioTrove, Img2Dataset, Job
from bench.process_tree import CommandFailed
from spark_jobs.fetch import FetchPolicy
from spark_jobs.statuses import Status
from tests.spark_jobs.one_shard import write_one_shard

HUNG_S = 90
"""A peer's run that is not over by then is killed: what is still missing holds it up."""

POLICY = FetchPolicy(
    tries=3, deadline_s=10, speed_window_s=5, backoff_base_s=0.1, user_agent="taxaflow-bench (bench@example.org)"
)
"""Of ours: as many tries and the same time-out as the peer's with the most of either."""

_NEWER = {"opencv-python-headless": "opencv-python-headless==4.12.0.88", "numpy": "numpy==2.2.6"}
IMG2DATASET_FAULT_PINS = tuple(_NEWER.get(pin.split("==")[0], pin) for pin in IMG2DATASET_PINS)
"""The environment of bench/download.py with the first OpenCV whose wheels read GIF: an older one would be blamed."""

IMG2DATASET_OPTIONS = {"retries": 2, "timeout": 10, "resize_mode": "keep_ratio", "image_size": 256}


@dataclass
class Outcome:
    """What came of one URL.

    Attributes:
        data: the file stored for it, None where there is none.
        status: what the tool calls it; None where it has no such word.
        is_hung: it was still being asked for when the run was killed.
        num_requests: that the server counted.
    """

    data: bytes | None
    status: Status | None = None
    is_hung: bool = False
    num_requests: int = 0


class Tool(Protocol):
    """A downloader."""

    @property
    def name(self) -> str:
        """As the table says."""
        ...

    @property
    def one_kind_per_run(self) -> bool:
        """Whether kinds of trouble must not share a run."""
        ...

    def download(self, urls: Sequence[str], folder: Path) -> list[Outcome]:
        """One outcome per URL, in order; files go into this empty folder.

        Raises:
            CommandFailed: the tool itself failed.
        """
        ...


@dataclass(frozen=True)
class OurTool:
    """The shard writer, in this process, with a lease service of its own for each kind: all kinds are of one host."""

    transport: str
    """One of spark_jobs.config.TRANSPORTS."""

    name = "taxaflow"
    one_kind_per_run = True

    def download(self, urls: Sequence[str], folder: Path) -> list[Outcome]:
        """As Tool says."""
        settled = write_one_shard(urls, folder, self.transport, POLICY)
        return [Outcome(photo.data, photo.status) for photo in settled]


@dataclass(frozen=True)
class Img2DatasetTool:
    """img2dataset, with two retries and a shorter side of 256 px."""

    python: Path
    """The interpreter of the environment that it is installed in."""

    name = "img2dataset 1.47"
    one_kind_per_run = False

    def download(self, urls: Sequence[str], folder: Path) -> list[Outcome]:
        """As Tool says."""
        tool, job = Img2Dataset(self.python), Job(list(urls), folder)
        options = IMG2DATASET_OPTIONS | {"output_format": "files", "processes_count": 1}
        command = with_options(tool.prepare(job), options)
        ended = run_watched(command, tool.environment(), folder)
        stored: dict[str, bytes] = {}
        for record in (folder / "out").glob("*/*.json"):
            facts = json.loads(record.read_text())
            if facts["status"] == "success":
                stored[facts["url"]] = record.with_suffix(".jpg").read_bytes()
        return [Outcome(stored.get(url), is_hung=not ended and url not in stored) for url in urls]


@dataclass(frozen=True)
class BioTroveTool:
    """The published behaviour of BioTrove's GetImages."""

    python: Path
    """The interpreter of the environment that it is installed in."""

    name = "BioTrove"
    one_kind_per_run = False

    def download(self, urls: Sequence[str], folder: Path) -> list[Outcome]:
        """As Tool says."""
        tool, job = BioTrove(self.python), Job(list(urls), folder)
        ended = run_watched(tool.prepare(job), tool.environment(), folder)
        outcomes = []
        for row in range(len(urls)):
            path = folder / "out" / f"{row}.jpg"
            data = path.read_bytes() if path.exists() else None
            outcomes.append(Outcome(data, is_hung=not ended and data is None))
        return outcomes


def with_options(command: Sequence[str], options: dict[str, object]) -> list[str]:
    """A command of `--name=value` arguments with these in place of those of the same name."""
    kept = [argument for argument in command if argument.removeprefix("--").split("=")[0] not in options]
    return [*kept, *(f"--{name}={value}" for name, value in options.items())]


def run_watched(command: Sequence[str], environment: dict[str, str], folder: Path, limit_s: float = HUNG_S) -> bool:
    """Runs a command and all it starts for `limit_s` at most; whether it ended by itself.

    Raises:
        CommandFailed: exit code not 0, with the end of its output.
    """
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | environment,
            start_new_session=True,
        )
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if process.returncode != 0:
        raise CommandFailed(f"{command[0]} ended with {process.returncode}:\n{log.read_text(errors='replace')[-2000:]}")
    return True
