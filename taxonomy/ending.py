"""How every command ends: one line on stderr and the documented exit code."""

import logging
import os
import sys
import traceback
from types import TracebackType
from typing import NoReturn

from taxonomy.errors import TaxaflowError

_KILLED_WORKER = "DataLoader worker (pid"
"""How torch's RuntimeError begins, which its handler of SIGCHLD raises wherever the program is just then."""


class ending:
    """Turn exceptions into one line on stderr and the documented exit code; --debug adds the trace.

    Args:
        debug: print the trace too, and log everything.
        passes: exceptions that are none of its business.
    """

    def __init__(self, debug: bool, passes: tuple[type[BaseException], ...] = ()) -> None:
        self._debug = debug
        self._passes = (SystemExit, *passes)
        logging.basicConfig(
            level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
        )

    def __enter__(self) -> None:
        """Nothing to set up."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process if the block failed."""
        if error is None or isinstance(error, self._passes):
            return
        if self._debug:
            traceback.print_exception(error)
        end(error)


def open_missing_streams() -> None:
    """Where a process was started without stdin, stdout or stderr (`>&-`), have /dev/null there: print() needs a file.

    Call it before anything opens a file, which would take the number of a missing one.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def end(error: BaseException) -> NoReturn:
    """Say the error in one line on stderr and leave with its exit code."""
    sys.stdout.flush()
    line, code = last_words(error)
    print(line, file=sys.stderr, flush=True)
    raise SystemExit(code)


def last_words(error: BaseException) -> tuple[str, int]:
    """The line that says the error to the user, and the exit code."""
    if isinstance(error, KeyboardInterrupt):
        line, code = "interrupted; run the same command again to go on", 130
    elif isinstance(error, TaxaflowError):
        line, code = str(error), error.exit_code
    elif str(error).startswith(_KILLED_WORKER):
        line, code = "a process that decodes pictures was killed, often for want of memory; give fewer --workers", 1
    else:
        line, code = f"{type(error).__name__}: {_first_line(error)} (--debug shows the trace)", 1
    return f"taxaflow: {line}", code


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else "no message"
