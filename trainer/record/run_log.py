"""The log of a run: train.jsonl always, reports where asked for, one line for people on stderr. Rank 0 has one."""

import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from taxonomy.errors import WorkFailedError
from taxonomy.whole_file import whole_file
from trainer.record.reports import Report
from trainer.record.step_record import StepRecord


class RunLog:
    """Writes what happens in a run; use it as a block, so that its end takes the bar away and closes reports.

    Args:
        file: train.jsonl.
        reports: of `open_reports`.
        total_steps: at which the run ends.
        num_ranks: of the run.
        resume_step: from which it goes on: lines of later steps are of an earlier life and removed, and the event
            `resume` is written; None begins it.
    """

    def __init__(
        self, file: Path, reports: list[Report], total_steps: int, num_ranks: int, resume_step: int | None = None
    ) -> None:
        self._reports = reports
        self._total_steps = total_steps
        self._num_ranks = num_ranks
        if resume_step is not None:
            cut_back(file, resume_step)
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._path = file
        self._bar = Progress(
            TextColumn("steps"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("steps", total=total_steps, completed=resume_step or 0)
        if resume_step is not None:
            self.event("resume", resume_step)

    def __enter__(self) -> "RunLog":
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away and close all."""
        self.close()

    def close(self) -> None:
        """Take the bar away and have all reports written."""
        self._bar.stop()
        for report in self._reports:
            report.close()
        self._reports = []
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def progress(self, step: int) -> None:
        """Move the bar; cheap, call it after every step."""
        self._bar.update(self._task, completed=step)

    def step(self, record: StepRecord) -> None:
        """Write a logged step everywhere.

        Raises:
            WorkFailedError: train.jsonl could not be written, as on a full disk.
        """
        self._write(record.line())
        for report in self._reports:
            report.write(record.scalars(self._num_ranks), record.step)
        self.progress(record.step)
        self.say(record.text(self._total_steps))

    def event(self, name: str, step: int, **fields: Any) -> None:
        """Write a line {"event": name, "step": step, ...} to train.jsonl.

        Raises:
            WorkFailedError: it could not be written.
        """
        self._write({"event": name, "step": step, **fields})

    def evaluation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write the event `evaluation`, and its metrics to reports as `val/<name>`, as published.

        Raises:
            WorkFailedError: train.jsonl could not be written.
        """
        self.event("evaluation", step, **metrics)
        for report in self._reports:
            report.write({f"val/{name}": value for name, value in metrics.items()}, step)
        self.say(f"step {step:,}, evaluation: " + ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))

    def say(self, line: str) -> None:
        """Tell the person at the console one line, above the bar."""
        if self._bar.disable:
            print(line, file=sys.stderr, flush=True)
        else:
            self._bar.console.print(line, markup=False, highlight=False)

    def _write(self, content: Mapping[str, Any]) -> None:
        line = json.dumps({key: _finite(value) for key, value in content.items()}, allow_nan=False).encode() + b"\n"
        try:
            written = os.write(self._file, line)  # whole in one call, so that a kill cannot tear it
            if written < len(line):  # the disk is about to be full: this says so
                os.write(self._file, line[written:])
        except OSError as error:
            raise WorkFailedError(f"{self._path} could not be written: {error.strerror}") from error


def cut_back(file: Path, step: int) -> None:
    """Drop the lines of train.jsonl after a step, and torn ones; atomic. Without a file nothing happens.

    Raises:
        WorkFailedError: it could not be written.
    """
    if not file.exists():
        return
    lines = file.read_bytes().splitlines(keepends=True)
    try:
        with whole_file(file, file.with_name(f".{file.name}.tmp")) as shorter:  # replaces what a killed run left
            shorter.writelines(line for line in lines if _is_up_to(line, step))
    except OSError as error:
        raise WorkFailedError(f"{file} could not be written: {error.strerror}") from error


def _is_up_to(line: bytes, step: int) -> bool:
    try:
        return line.endswith(b"\n") and json.loads(line)["step"] <= step
    except (ValueError, KeyError, TypeError):
        return False


def _finite(value: Any) -> Any:
    """None for a number that JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
