"""How a trial ended, as far as its files and the exit code of its process tell."""

import signal
from dataclasses import replace

from taxonomy.errors import BadInputError, WorkFailedError
from trainer.tuning.trials.folder import DIVERGED, FAILED, OK, STOPPED, TrialFolder, TrialResult
from trainer.tuning.trials.spec import TrialSpec

MAX_CRASHES = 6
"""So many processes of a trial may end in failure; a search that is started once tries half as often."""

_NO_CRASH_CODES = (0, 2, -signal.SIGTERM)
"""Exit codes of a trainer that was asked to stop, early enough to be killed by it, or that refused its settings."""


def derive_result(spec: TrialSpec) -> TrialResult | None:
    """The result that the trial's files already determine; None if there is something left to train.

    That of a trial which the scheduler stopped is determined by the decision: its process, if one still runs, is told.
    """
    files = spec.files
    if (result := files.result()) is not None:
        return result
    if (decision := files.early_stop()) is not None:
        stopped = _make(spec, STOPPED, decision["metric"], decision["reason"])
        return replace(stopped, steps=decision["step"])
    if not files.is_trained():
        return None
    if (metric := dict(files.evaluations(spec.metric)).get(spec.total_steps)) is not None:
        return _make(spec, OK, metric)
    return _make(spec, FAILED, None, f"no {spec.metric} at the end: the model's embeddings are no numbers")


def result_of_exit(spec: TrialSpec, code: int) -> TrialResult:
    """The result of a trial whose process has ended.

    Args:
        spec: the trial.
        code: exit code of its process; less a signal's number where that killed it.

    Raises:
        BadInputError: the trainer refused the settings.
        WorkFailedError: there is something left to train.
    """
    files = spec.files
    result = derive_result(spec) if code == 0 else None
    if result is None and (reason := _reason_to_give_up(code, files)) is not None:
        result = _make(spec, FAILED, None, reason)
    if result is not None:
        return result
    if code == 2:
        raise BadInputError(files.last_output_line())
    raise WorkFailedError(f"{files.name}: {_describe_exit(code, files)}")


def _make(spec: TrialSpec, status: str, metric: float | None, reason: str | None = None) -> TrialResult:
    files = spec.files
    return TrialResult(spec.number, status, dict(spec.settings), metric, files.steps(), files.seconds(), reason)


def _describe_exit(code: int, files: TrialFolder) -> str:
    """In words how a process that did not finish its trial ended."""
    if code < 0:
        return f"its process was killed by signal {-code}"
    if code == 0:
        return "its process was asked to stop"
    return files.last_output_line() or f"its process ended with exit code {code}"


def _reason_to_give_up(code: int, files: TrialFolder) -> str | None:
    """Why it would be of no use to go on with a trial whose process ended like this; None if it may be."""
    if code == 1 and DIVERGED in files.last_output_line():
        return files.last_output_line().partition(";")[0]
    crashes = [line for line in files.processes() if line["event"] == "end" and line["code"] not in _NO_CRASH_CODES]
    if code not in _NO_CRASH_CODES and len(crashes) >= MAX_CRASHES:
        return f"given up after {len(crashes)} processes: {_describe_exit(code, files)}"
    return None
