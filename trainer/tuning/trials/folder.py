"""The folder of a trial: the run's own files, and beside them what happened to it. Standard library only.

OUT/trials/trial_007/
    config.toml, train.jsonl, checkpoints/   as of every run
    output.log         what its processes said
    processes.jsonl    a line when a trainer starts, and one when it ends
    process.lock       locked for as long as one runs
    stop.json          the scheduler's decision to end it early
    result.json        written last: the trial is done, and is never run again
"""

import fcntl
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from taxonomy.errors import WorkFailedError
from taxonomy.whole_file import write_whole
from trainer.steps.guard import MAX_IN_A_ROW

OK, STOPPED, FAILED, RUNNING = "ok", "stopped", "failed", "running"
DIVERGED = f"{MAX_IN_A_ROW} steps in a row were bad"
"""What the trainer says of a run whose losses are no numbers any more; to run it again would be of no use."""

LOCK = "process.lock"
PROCESSES = "processes.jsonl"


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended.

    Attributes:
        trial: its number.
        status: OK, STOPPED or FAILED.
        settings: setting -> value.
        metric: at the last step measured; None where nothing was.
        steps: after which the metric was measured, else all that were done.
        seconds: in which a process of it ran.
        reason: why it was stopped or failed.
    """

    trial: int
    status: str
    settings: Mapping[str, float]
    metric: float | None
    steps: int
    seconds: float
    reason: str | None = None


@dataclass(frozen=True)
class TrialFolder:
    """The files of a trial.

    Attributes:
        trials: OUT/trials.
        number: of the trial.
    """

    trials: Path
    number: int

    @property
    def name(self) -> str:
        """`trial_007`, which is the run's name too."""
        return f"trial_{self.number:03d}"

    @property
    def path(self) -> Path:
        """The folder."""
        return self.trials / self.name

    @property
    def output(self) -> Path:
        """What its processes said."""
        return self.path / "output.log"

    def result(self) -> TrialResult | None:
        """The trial's result; None as long as it is not done.

        Raises:
            WorkFailedError: the file is damaged.
        """
        content = _read_json(self.path / "result.json", {field.name for field in fields(TrialResult)})
        return None if content is None else TrialResult(**content)

    def write_result(self, result: TrialResult) -> None:
        """Write that the trial is done; whole or not at all.

        Raises:
            WorkFailedError: it could not be written.
        """
        write_whole(self.path / "result.json", json.dumps(asdict(result), indent=1).encode() + b"\n")

    def early_stop(self) -> dict[str, Any] | None:
        """`step`, `metric` and `reason` of the scheduler's decision to end the trial; None without one.

        Raises:
            WorkFailedError: the file is damaged.
        """
        return _read_json(self.path / "stop.json", {"step", "metric", "reason"})

    def write_early_stop(self, step: int, metric: float, reason: str) -> None:
        """Write the scheduler's decision; it stands whatever happens to the processes.

        Raises:
            WorkFailedError: it could not be written.
        """
        content = {"step": step, "metric": metric, "reason": reason}
        write_whole(self.path / "stop.json", json.dumps(content).encode() + b"\n")

    def log_bytes(self) -> int:
        """The size of train.jsonl; 0 before there is one."""
        path = self.path / "train.jsonl"
        return path.stat().st_size if path.is_file() else 0

    def log(self) -> list[dict[str, Any]]:
        """The whole lines of train.jsonl; none before there is one."""
        return _read_lines(self.path / "train.jsonl")

    def evaluations(self, metric: str) -> list[tuple[int, float]]:
        """(step, value) of every evaluation that has the metric, by step."""
        lines = [line for line in self.log() if line.get("event") == "evaluation"]
        return [(line["step"], line[metric]) for line in lines if line.get(metric) is not None]

    def curve(self) -> list[tuple[int, float]]:
        """(step, loss) of every logged step."""
        lines = [line for line in self.log() if "event" not in line]
        return [(line["step"], line["loss"]) for line in lines if line.get("loss") is not None]

    def steps(self) -> int:
        """The last step that the log tells of."""
        return max((line.get("step", 0) for line in self.log()), default=0)

    def is_trained(self) -> bool:
        """Whether the run has reached its last step and is saved."""
        return any(line.get("event") == "done" for line in self.log())

    def processes(self) -> list[dict[str, Any]]:
        """The lines of processes.jsonl."""
        return _read_lines(self.path / PROCESSES)

    def append_event(self, event: str, pid: int, **facts: Any) -> None:
        """Add a line to processes.jsonl."""
        line = json.dumps({"event": event, "pid": pid, "time": round(time.time(), 3), **facts}) + "\n"
        with (self.path / PROCESSES).open("ab", buffering=0) as file:
            file.write(line.encode())

    def seconds(self) -> float:
        """For how long processes of the trial ran; one whose end nobody saw, until its run's last sign of life."""
        total, started = 0.0, None
        for line in [*self.processes(), {"event": "now", "last_log_time": self.last_log_time()}]:
            until = line["time"] if line["event"] == "end" else line.get("last_log_time")
            if started is not None and until is not None:
                total += max(0.0, until - started)
            started = line["time"] if line["event"] == "start" else None
        return round(total, 1)

    def last_log_time(self) -> float | None:
        """When the run last wrote to its log; None before."""
        log = self.path / "train.jsonl"
        return round(log.stat().st_mtime, 3) if log.exists() else None

    def is_running(self) -> bool:
        """Whether a process of the trial runs, here or on a machine that shares the folder."""
        try:
            with (self.path / LOCK).open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def last_output_line(self) -> str:
        """The last line that a process of the trial said, without the program's name; empty where it said nothing."""
        try:
            with self.output.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 20_000))
                lines = file.read().decode(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return said.removeprefix("taxaflow: ")


def _read_json(path: Path, keys: set[str]) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(content, dict) or set(content) != keys:
        raise _damaged(path, f"it should have {', '.join(sorted(keys))}")
    return content


def _damaged(path: Path, reason: str) -> WorkFailedError:
    return WorkFailedError(f"{path} is damaged ({reason}); remove it, and the trial goes on from its checkpoints")


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file that may be written to at this moment."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [line for line in map(_parsed, lines) if line is not None]


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
