"""A run's figures under the keys that the published code wrote, in results.jsonl and at Weights & Biases.

Source: keys of the published evaluation (`arbor-rare-top1`, `fungi-top5`, wandb `val/<key>`), values in [0, 1].
"""

import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.whole_file import sync

FILE_NAME = "results.jsonl"
_METRICS = ("top1", "top5")
"""Those the published code gave; for five classes or fewer top5 says nothing and is left out."""

WANDB_PROJECT = "open-clip"
"""As published."""


def published_metrics(records: Sequence[Mapping[str, Any]], log_names: Mapping[str, str]) -> dict[str, float]:
    """Published key -> figure, in the order of the records, which are of one model, protocol and class list.

    A benchmark's headline, or its only task, has the plain key, as in `fungi-top1`; other tasks name their level, as in
    `arbor-rare-genus-top1`.

    Args:
        records: of all tasks.
        log_names: benchmark -> prefix of its keys; one that is not there goes by its own name.
    """
    counts: dict[str, int] = {}
    for record in records:
        counts[record["benchmark"]] = counts.get(record["benchmark"], 0) + 1
    figures: dict[str, float] = {}
    for record in records:
        benchmark = record["benchmark"]
        prefix = log_names.get(benchmark) or benchmark
        if not record["headline"] and counts[benchmark] > 1:
            prefix = f"{prefix}-{record['taxon']}"
        for name in _METRICS:
            value = record["metrics"].get(name, {}).get("value")
            if value is not None:
                figures[f"{prefix}-{name}"] = value
    return figures


def append_line(out: Path, figures: Mapping[str, float], about: Mapping[str, Any]) -> None:
    """Append one line to `results.jsonl`, whole and on disk; a line torn by an earlier crash stays by itself.

    Args:
        out: the folder of results.
        figures: of `published_metrics`.
        about: tells lines apart: the model's name, the protocol, the class list.

    Raises:
        WorkFailedError: it could not be written, as on a full disk.
    """
    path = out / FILE_NAME
    line = (json.dumps({**about, **figures}, ensure_ascii=False, allow_nan=False) + "\n").encode()
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            _append(handle, line)
        finally:
            os.close(handle)
        sync(out)
    except OSError as error:
        raise WorkFailedError(f"cannot write {path}: {error.strerror or error}") from error


def _append(handle: int, line: bytes) -> None:
    size = os.fstat(handle).st_size
    if size and os.pread(handle, 1, size - 1) != b"\n":
        line = b"\n" + line
    written = os.write(handle, line)
    if written < len(line):
        os.ftruncate(handle, size)  # a full disk takes a part
        raise OSError("the disk is full")
    os.fsync(handle)


def check_wandb() -> None:
    """Return where Weights & Biases is installed.

    Raises:
        BadInputError: it is not.
    """
    if importlib.util.find_spec("wandb") is None:
        raise BadInputError("--report-to wandb: wandb is not installed; pip install wandb, or leave out --report-to")


def log_to_wandb(figures: Mapping[str, float], run_name: str, config: Mapping[str, Any], folder: Path) -> None:
    """Log each figure as `val/<key>` in a run of its own; with WANDB_MODE=offline nothing leaves the machine.

    Args:
        figures: of `published_metrics`.
        run_name: shown there.
        config: shown there.
        folder: where wandb keeps its files.

    Raises:
        BadInputError: wandb is not installed, or lets no run in.
    """
    check_wandb()
    import wandb  # pyright: ignore[reportMissingImports]  # optional

    folder.mkdir(parents=True, exist_ok=True)
    try:
        run = wandb.init(project=WANDB_PROJECT, name=run_name, config=dict(config), dir=str(folder), job_type="eval")
    except (wandb.errors.Error, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise BadInputError(f"--report-to wandb: {reason}; wandb login, or set WANDB_MODE=offline") from error
    run.log({f"val/{name}": value for name, value in figures.items()})
    run.finish()
