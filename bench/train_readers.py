"""The readers that bench/train.py measures, and the environment that open_clip's loader needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from bench.process_tree import measure
from bench.train_report import OPEN_CLIP, OURS, ReaderRun, Setting
from bench.train_shards import Shards

PROJECT = Path(__file__).parents[1]
PEER_PINS = ("open_clip_torch==3.3.0", "webdataset==0.2.86", "braceexpand", "pandas")


@dataclass(frozen=True)
class Reader:
    """A data path.

    Attributes:
        name: as the table says.
        shards: which layout it reads, and how.
        python: the interpreter.
        module: what that runs.
        arguments: of the module, beside the counts.
    """

    name: str
    shards: str
    python: Path
    module: str
    arguments: tuple[str, ...]

    def run(self, setting: Setting, work: Path, repeat: int) -> ReaderRun:
        """Read once, from a new process to its end.

        Raises:
            CommandFailed: it ended with another exit code than 0.
        """
        counts = {"--batch-size": setting.batch_size, "--workers": setting.workers}
        counts |= {"--warm-up": setting.warm_up, "--num-batches": setting.num_batches}
        command = [str(self.python), "-m", self.module, *self.arguments]
        command += [part for name, count in counts.items() for part in (name, str(count))]
        log = work / "logs" / f"{self.name}_{self.shards}".replace(" ", "_")
        log.parent.mkdir(exist_ok=True)
        usage = measure(command, log.with_suffix(".log"), environment(), look=not_at_memory)
        window = json.loads(usage.output.splitlines()[-1])
        return ReaderRun(self.name, self.shards, setting, repeat, **window, whole_cpu_s=usage.cpu_s)


def environment() -> dict[str, str]:
    """One thread in every process, and this project's modules."""
    return {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"}


def not_at_memory(others: Set[int]) -> None:
    """Look at nothing: reading a process's PSS holds it up."""


def readers(shards: Shards, peer: Path | None) -> list[Reader]:
    """Ours in both modes on both layouts, and open_clip's where its interpreter is given."""
    found = []
    for resize in ("exact", "fast"):
        own = ("--train-data", str(shards.manifest()), "--dataset-type", "shards")
        published = ("--train-data", shards.pattern, "--dataset-type", "webdataset")
        for kind, data in (("manifest", own), ("webdataset", published)):
            arguments = (*data, "--resize", resize)
            found.append(Reader(OURS[resize], kind, Path(sys.executable), "bench.train_ours", arguments))
    if peer is not None:
        arguments = ("--train-data", shards.pattern)
        found.append(Reader(OPEN_CLIP, "webdataset", peer, "bench.train_open_clip", arguments))
    return found


def peer_python(folder: Path, pins: Sequence[str] = PEER_PINS) -> Path:
    """The interpreter of an environment with webdataset 0.2.86, made where there is none yet.

    Everything else, torch among it, comes from the environment that runs this: a .pth file puts that behind the new
    one's own packages.

    Raises:
        subprocess.CalledProcessError: venv or pip failed.
    """
    folder = folder.absolute()
    python, done = folder / "bin" / "python", folder / "installed.txt"
    behind = sysconfig.get_path("purelib")
    wanted = "\n".join((*pins, behind)) + "\n"
    if not done.is_file() or done.read_text() != wanted:
        print(f"installing {', '.join(pins)} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        own = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        (own / "behind.pth").write_text(behind + os.linesep)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *pins], check=True, stdout=sys.stderr)
        done.write_text(wanted)
    return python
