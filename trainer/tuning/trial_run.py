"""One trial: the trainer as a process, watched through the files that it writes. No Ray here."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from taxonomy.errors import BadInputError, WorkFailedError
from trainer.tuning import trial_start
from trainer.tuning.leftovers import STOP
from trainer.tuning.trial_folder import DIVERGED, FAILED, OK, STOPPED, Result, TrialFolder

MAX_CRASHES = 6
"""So many processes of a trial may end in failure; a search that is started once tries half as often."""

_NO_CRASHES = (0, 2, -signal.SIGTERM)
"""Exit codes of a trainer that was asked to stop, early enough to be killed by it, or that refused its settings."""

_LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Spec:
    """What a trial is; can be sent to another machine.

    Attributes:
        trials: OUT/trials.
        number: of the trial.
        settings: setting -> value.
        base: TOML of all that trials have in common.
        metric: name in the trainer's evaluations.
        total_steps: of a whole trial.
        folder: where relative paths in the settings begin.
        environment: variables that the trainer must have, None those that it must not.
    """

    trials: str
    number: int
    settings: Mapping[str, float]
    base: str
    metric: str
    total_steps: int
    folder: str
    environment: Mapping[str, str | None]

    @property
    def files(self) -> TrialFolder:
        """The trial's files."""
        return TrialFolder(Path(self.trials), self.number)

    def is_to_stop(self) -> bool:
        """Whether the whole search is to stop."""
        return (Path(self.trials).parent / STOP).exists()

    def arguments(self) -> list[str]:
        """The trainer's."""
        settings = [word for name, value in self.settings.items() for word in (f"--{name}", repr(value))]
        place = ["--logs", self.trials, "--name", self.files.name, "--resume", "latest"]
        return ["--recipe", self.base, *settings, *place]


@dataclass(frozen=True)
class News:
    """What was new when the trial was looked at.

    Attributes:
        step: of an evaluation before the last step; None where there was none.
        metric: its value.
        result: the trial is done.
        has_ended: it is saved, since the whole search is to stop.
    """

    step: int | None = None
    metric: float | None = None
    result: Result | None = None
    has_ended: bool = False


class TrialRun:
    """A trial under way; starts its process, unless its files say that it is done."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._told = 0
        self._read_bytes = -1
        self._process: subprocess.Popen[bytes] | None = None
        spec.files.path.mkdir(parents=True, exist_ok=True)
        if settled(spec) is None and not spec.is_to_stop():
            self._process = _started(spec)

    def news(self, patience_s: float) -> News:
        """The next thing that happens, or nothing after so many seconds. Not to be called after an end or a result.

        Raises:
            BadInputError: the trainer refuses the settings, which are the same for all trials.
            WorkFailedError: the process ended before the trial was done; a new `TrialRun` goes on.
        """
        until = time.monotonic() + patience_s
        while True:
            if self._spec.is_to_stop():
                self.end()
                return News(has_ended=True)
            has_ended = self._process is None or self._process.poll() is not None
            if (evaluation := self._evaluation()) is not None:
                return evaluation
            if has_ended:
                return News(result=self._result())
            if time.monotonic() >= until:
                return News()
            time.sleep(_LOOK_EVERY_S)

    def end(self) -> None:
        """Have the process save and end, and wait for it; a trial that its scheduler stopped is then done."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        if self._spec.files.result() is None and (result := settled(self._spec)) is not None:
            self._spec.files.finish(result)

    def _evaluation(self) -> News | None:
        """The first evaluation not told of yet; the one at the last step is the result's."""
        num_bytes = self._spec.files.log_bytes()
        if num_bytes == self._read_bytes:
            return None
        for step, value in self._spec.files.evaluations(self._spec.metric):
            if self._told < step < self._spec.total_steps:
                self._told = step
                return News(step, value)
        self._read_bytes = num_bytes  # not read again before it has grown: a long run's log is long
        return None

    def _result(self) -> Result:
        files = self._spec.files
        if (result := files.result()) is not None:
            return result
        code = 0 if self._process is None else self._process.wait()
        result = settled(self._spec) if code == 0 else None
        if result is None and (reason := _reason_to_give_up(code, files)) is not None:
            result = _make(self._spec, FAILED, None, reason)
        if result is None:
            raise _failure(code, files)
        files.finish(result)
        return result


def settled(spec: Spec) -> Result | None:
    """The result that the trial's files already determine; None if there is something left to train.

    A trial that the scheduler stopped is settled as soon as that is decided: its process, if one still runs, is told.
    """
    files = spec.files
    if (result := files.result()) is not None:
        return result
    if (decision := files.stop_decision()) is not None:
        stopped = _make(spec, STOPPED, decision["metric"], decision["reason"])
        return replace(stopped, steps=decision["step"])
    if not files.is_trained():
        return None
    if (metric := _last_metric(spec)) is not None:
        return _make(spec, OK, metric)
    return _make(spec, FAILED, None, f"no {spec.metric} at the end: the model's embeddings are no numbers")


def _make(spec: Spec, status: str, metric: float | None, reason: str | None = None) -> Result:
    files = spec.files
    return Result(spec.number, status, dict(spec.settings), metric, files.steps(), files.seconds(), reason)


def _last_metric(spec: Spec) -> float | None:
    """The metric at the last step of a whole trial."""
    return dict(spec.files.evaluations(spec.metric)).get(spec.total_steps)


def _started(spec: Spec) -> "subprocess.Popen[bytes]":
    """The trainer as a process with a session of its own: Ctrl-C at the terminal is for the search alone."""
    folder = spec.folder if Path(spec.folder).is_dir() else None
    with spec.files.output.open("ab") as output:
        return subprocess.Popen(
            trial_start.command(os.getpid(), spec.files, spec.arguments()),
            cwd=folder,
            env=trial_environment(spec.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def trial_environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """The environment of a trial's process: this one's, without what Ray puts there, and changed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    kept |= {name: value for name, value in changes.items() if value is not None}
    return {name: value for name, value in kept.items() if changes.get(name, "") is not None}


def _failure(code: int, files: TrialFolder) -> Exception:
    if code == 2:
        return BadInputError(files.last_words())
    return WorkFailedError(f"{files.name}: {how_ended(code, files)}")


def how_ended(code: int, files: TrialFolder) -> str:
    """In words how a process that did not finish its trial ended."""
    if code < 0:
        return f"its process was killed by signal {-code}"
    if code == 0:
        return "its process was asked to stop"
    return files.last_words() or f"its process ended with exit code {code}"


def _reason_to_give_up(code: int, files: TrialFolder) -> str | None:
    """Why it would be of no use to go on with a trial whose process ended like this; None if it may be."""
    if code == 1 and DIVERGED in files.last_words():
        return files.last_words().partition(";")[0]
    num_crashes = sum(1 for line in files.processes() if line["event"] == "end" and line["code"] not in _NO_CRASHES)
    if code not in _NO_CRASHES and num_crashes >= MAX_CRASHES:
        return f"given up after {num_crashes} processes: {how_ended(code, files)}"
    return None
