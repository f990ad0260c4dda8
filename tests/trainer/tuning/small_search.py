"""A dataset of a few pictures with all three splits, a model of a few thousand weights, and a search over both."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.conftest import PROJECT
from tests.trainer.small_dataset import write_dataset
from tests.trainer.small_runs import write_recipe
from trainer.tuning.trials.folder import TrialFolder

TIMEOUT_S = 280
"""For a process: many times what it takes on a free machine."""

QUIET = ["--device", "cpu", "--workers", "0", "--report-to", "none"]
"""The trainer's, for a small machine."""


def write_splits(folder: Path, num_train: int = 48) -> Path:
    """The manifest of a dataset with a shard of training pictures, and one each for val and test."""
    manifest = write_dataset(folder, [num_train, 24, 24])
    content = json.loads(manifest.read_bytes())
    train, val, test = content["splits"]["train"]
    content["splits"] = {"train": [train], "val": [val], "test": [test]}
    manifest.write_text(json.dumps(content), encoding="utf-8")
    return manifest


def flags(folder: Path, *more: str) -> list[str]:
    """The arguments of a search in a folder, which gets its dataset and recipe: 12 steps to an epoch."""
    manifest = folder / "data" / "manifest.json"
    if not manifest.exists():
        write_splits(folder / "data")
        write_recipe(folder)
    own = ["--recipe", str(folder / "dwarf.toml"), "--train-data", str(manifest), "--out", str(folder / "tuned")]
    return [*own, *QUIET, "--accum-freq", "1", "--zeroshot-frequency", "1", *more]


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    """The command as users call it, with `flags`, as a process of its own."""
    return start_with(folder, flags(folder, *more))


def start_with(folder: Path, arguments: Sequence[str]) -> subprocess.Popen[str]:
    """The command with these arguments as a process of its own, which runs in this folder."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(PROJECT),
    }
    command = [sys.executable, "-m", "taxaflow", "tune", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a process that ends by itself."""
    with process:
        try:
            stdout, stderr = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    return process.returncode, stdout, stderr


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Return when it holds; fail if it takes too long or the process ends before."""
    until = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < until
        assert process is None or process.poll() is None, finish(process)
        time.sleep(0.05)


def trial(folder: Path, number: int) -> TrialFolder:
    """The files of a trial of the search in a folder."""
    return TrialFolder(folder / "tuned" / "trials", number)


def starts(files: TrialFolder) -> list[int]:
    """The processes of a trial, in their order; each notes itself."""
    return [line["pid"] for line in files.processes() if line["event"] == "start"]


def assert_trained_once(files: TrialFolder, total_steps: int) -> None:
    """Assert that the trial's log tells of every step exactly once, in order."""
    steps = [line["step"] for line in files.log() if "event" not in line]
    assert steps == list(range(1, total_steps + 1)), files.name
