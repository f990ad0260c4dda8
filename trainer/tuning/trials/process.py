"""One trial: the trainer as a process, watched through the files that it writes. No Ray here."""

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainer.tuning.trials import supervisor
from trainer.tuning.trials.folder import TrialResult
from trainer.tuning.trials.result import derive_result, result_of_exit
from trainer.tuning.trials.spec import TrialSpec

_POLL_S = 0.1


@dataclass(frozen=True)
class TrialUpdate:
    """What was new when the trial was looked at.

    Attributes:
        step: of an evaluation before the last step; None where there was none.
        metric: its value.
        result: the trial is done.
        was_stopped: it is saved, since the whole search is to stop.
    """

    step: int | None = None
    metric: float | None = None
    result: TrialResult | None = None
    was_stopped: bool = False


class TrialProcess:
    """A trial under way; starts its process, unless its files say that it is done."""

    def __init__(self, spec: TrialSpec) -> None:
        self._spec = spec
        self._reported_step = 0
        self._read_bytes = -1
        self._process: subprocess.Popen[bytes] | None = None
        spec.files.path.mkdir(parents=True, exist_ok=True)
        if derive_result(spec) is None and not spec.is_to_stop():
            self._process = _started(spec)

    def poll(self, timeout_s: float) -> TrialUpdate:
        """The next thing that happens, or nothing after so many seconds. Not to be called after an end or a result.

        Raises:
            BadInputError: the trainer refuses the settings, which are the same for all trials.
            WorkFailedError: the process ended before the trial was done; a new `TrialProcess` goes on.
        """
        until = time.monotonic() + timeout_s
        while True:
            if self._spec.is_to_stop():
                self.end()
                return TrialUpdate(was_stopped=True)
            has_ended = self._process is None or self._process.poll() is not None
            if (evaluation := self._new_evaluation()) is not None:
                return evaluation
            if has_ended:
                return TrialUpdate(result=self._result())
            if time.monotonic() >= until:
                return TrialUpdate()
            time.sleep(_POLL_S)

    def end(self) -> None:
        """Have the process save and end, and wait for it; a trial that its scheduler stopped is then done."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        if self._spec.files.result() is None and (result := derive_result(self._spec)) is not None:
            self._spec.files.write_result(result)

    def _new_evaluation(self) -> TrialUpdate | None:
        """The first evaluation not reported yet; the one at the last step is the result's."""
        num_bytes = self._spec.files.log_bytes()
        if num_bytes == self._read_bytes:
            return None
        for step, value in self._spec.files.evaluations(self._spec.metric):
            if self._reported_step < step < self._spec.total_steps:
                self._reported_step = step
                return TrialUpdate(step, value)
        self._read_bytes = num_bytes  # not read again before it has grown: a long run's log is long
        return None

    def _result(self) -> TrialResult:
        files = self._spec.files
        if (result := files.result()) is not None:
            return result
        result = result_of_exit(self._spec, 0 if self._process is None else self._process.wait())
        files.write_result(result)
        return result


def _started(spec: TrialSpec) -> "subprocess.Popen[bytes]":
    """The trainer as a process with a session of its own: Ctrl-C at the terminal is for the search alone."""
    folder = spec.folder if Path(spec.folder).is_dir() else None
    with spec.files.output.open("ab") as output:
        return subprocess.Popen(
            supervisor.command(os.getpid(), spec.files, spec.arguments()),
            cwd=folder,
            env=process_environment(spec.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def process_environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """The environment of a trial's process: this one's, without what Ray puts there, and changed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    kept |= {name: value for name, value in changes.items() if value is not None}
    return {name: value for name, value in kept.items() if changes.get(name, "") is not None}
