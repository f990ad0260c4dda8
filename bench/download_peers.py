"""The downloaders that are measured beside ours: how each is installed, started, and asked what it got.

img2dataset 1.47 runs as its documentation says for a webdataset of untouched size, with its default verification (every
picture is decoded and encoded again); the list of addresses is a text file. Needs Python 3.11 or 3.12 and, because of
what newer versions of its dependencies took away, IMG2DATASET_PINS. BioTrove is bench/download_biotrove.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

IMG2DATASET_PINS = (
    "img2dataset==1.47.0",
    "albumentations==1.4.24",
    "albucore==0.0.23",
    "opencv-python-headless==4.11.0.86",
    "numpy==1.26.4",
    "pandas==2.3.3",
    "setuptools<81",
    "pyarrow==19.0.1",
    "fsspec==2026.9.0",
    "webdataset==0.2.111",
    "wandb==0.31.0",
    "fire==0.7.1",
)
BIOTROVE_PINS = ("aiohttp==3.14.5",)
PROCESSES, THREADS, SAMPLES_PER_SHARD = 2, 32, 1000


@dataclass(frozen=True)
class Job:
    """One download."""

    urls: list[str]
    folder: Path
    """A new folder for inputs and outputs, deleted afterwards."""

    def write_urls(self) -> Path:
        """The list as a text file, one address a line."""
        path = self.folder / "urls.txt"
        path.write_text("\n".join(self.urls) + "\n")
        return path


@dataclass(frozen=True)
class Img2Dataset:
    """img2dataset, verified."""

    python: Path
    """The interpreter of the environment that it is installed in."""
    skip_reencode: bool = False
    """Decode, but store the bytes as they came."""

    is_ours = False

    @property
    def name(self) -> str:
        """As the table says."""
        return "img2dataset skip_reencode" if self.skip_reencode else "img2dataset"

    def prepare(self, job: Job) -> list[str]:
        """Writes the list; the command."""
        options = {
            "url_list": job.write_urls(),
            "input_format": "txt",
            "output_folder": job.folder / "out",
            "output_format": "webdataset",
            "processes_count": PROCESSES,
            "thread_count": THREADS,
            "resize_mode": "no",
            "number_sample_per_shard": SAMPLES_PER_SHARD,
            "skip_reencode": self.skip_reencode,
        }
        return [str(self.python.with_name("img2dataset")), *(f"--{key}={value}" for key, value in options.items())]

    def environment(self) -> dict[str, str]:
        """Keeps a dependency from asking the internet for its newest version."""
        return {"NO_ALBUMENTATIONS_UPDATE": "1"}

    def count_ok(self, job: Job, output: str) -> int:
        """The successes that its statistics of the shards name."""
        return sum(json.loads(path.read_text())["successes"] for path in (job.folder / "out").glob("*_stats.json"))


@dataclass(frozen=True)
class BioTrove:
    """The published behaviour of BioTrove's GetImages; nothing is verified."""

    python: Path
    """The interpreter of an environment with aiohttp."""

    is_ours = False
    name = "biotrove"

    def prepare(self, job: Job) -> list[str]:
        """Writes the list; the command."""
        script = Path(__file__).with_name("download_biotrove.py")
        return [str(self.python), str(script), "--urls", str(job.write_urls()), "--out", str(job.folder / "out")]

    def environment(self) -> dict[str, str]:
        """Nothing."""
        return {}

    def count_ok(self, job: Job, output: str) -> int:
        """The answers 200 that it counted."""
        return json.loads(output)["ok"]


def environment_python(folder: Path, pins: tuple[str, ...]) -> Path:
    """The interpreter of a virtual environment that holds these packages, made where there is none yet.

    Raises:
        subprocess.CalledProcessError: venv or pip failed.
    """
    python, done = folder / "bin" / "python", folder / "installed.txt"
    wanted = "\n".join(pins) + "\n"
    if not done.is_file() or done.read_text() != wanted:
        print(f"installing {', '.join(pins)} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *pins], check=True, stdout=sys.stderr)
        done.write_text(wanted)
    return python
