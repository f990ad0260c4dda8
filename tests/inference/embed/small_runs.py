"""Runs of the command in this process, and what their folders hold."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inference.embed import cli

CPU = ("--device", "cpu", "--workers", "0", "--batch-size", "4", "--part-size", "8")


def embed(line: str, *more: str) -> None:
    """Run the command with parts of two batches."""
    cli.main([*CPU, *line.split(), *more])


def ended(run: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and last words of a run that does not end well."""
    with pytest.raises(SystemExit) as end:
        run()
    assert isinstance(end.value.code, int)
    errors = capsys.readouterr().err.splitlines()
    return end.value.code, errors[-1] if errors else ""


def files(out: Path) -> dict[str, bytes]:
    """Path below the folder -> content, but for the lock."""
    found = (path for path in sorted(out.rglob("*")) if path.is_file() and path.name != ".lock")
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def rows(out: Path) -> dict[str, np.ndarray]:
    """Key -> embedding of a folder of either format."""
    if (out / "embeddings.npy").exists():
        with (out / "keys.csv").open(encoding="utf-8", newline="") as file:
            keys = [row["key"] for row in csv.DictReader(file)]
        values = np.load(out / "embeddings.npy", mmap_mode="r")
    else:
        import pyarrow.parquet as pq

        table = pq.read_table(out / "embeddings")
        keys, column = table["key"].to_pylist(), table["embedding"].combine_chunks()
        values = np.asarray(column.flatten()).reshape(len(keys), -1)
    assert len(set(keys)) == len(keys) == len(values)
    return dict(zip(keys, values, strict=True))


def failures(out: Path) -> dict[str, str]:
    """Key -> reason."""
    with (out / "failures.csv").open(encoding="utf-8", newline="") as file:
        return {row["key"]: row["reason"] for row in csv.DictReader(file)}
