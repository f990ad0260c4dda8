"""`taxaflow eval --nproc N`: processes under torchrun on this machine, with one error line and one exit code.

torchrun knows only the exit codes 0 and 1, and reports half a page: the processes leave the line and the code that
they end with in a folder of the parent's (FOLDER_VARIABLE), which says them as its own. No torch in the parent.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

FOLDER_VARIABLE = "TAXAFLOW_EVAL_FOLDER"
_ENDING = "ending.json"


def launch(arguments: Sequence[str], num_processes: int) -> int:
    """Evaluate in this many processes on this machine; the exit code of the whole.

    Raises:
        KeyboardInterrupt: it was asked to stop by Ctrl-C; the processes have ended.
    """
    with tempfile.TemporaryDirectory(prefix="taxaflow-eval-") as folder:
        command = [sys.executable, "-m", "evaluation.launch", "--standalone", "--nproc-per-node", str(num_processes)]
        command += ["-m", "evaluation", "--", *arguments]  # else torchrun takes --logs for a flag of its own
        threads = str(max(1, (os.cpu_count() or 1) // num_processes))
        environment = {"OMP_NUM_THREADS": threads} | os.environ | {FOLDER_VARIABLE: folder}
        children: list[subprocess.Popen] = []
        signals = _pass_on_signals(children)
        child = subprocess.Popen(command, env=environment, start_new_session=True)
        children.append(child)
        if signals:  # one came before there was anybody to pass it on to
            child.terminate()
        code = child.wait()
        if signal.SIGINT in signals:
            raise KeyboardInterrupt
        return _code(Path(folder), code)


def _pass_on_signals(children: Sequence[subprocess.Popen]) -> list[int]:
    """End the children when this process is asked to end; the list returned grows by each signal that came."""
    seen: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        for child in children:
            child.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return seen


def _code(folder: Path, code: int) -> int:
    """The exit code; says, as the last line, how the first process to fail ended."""
    path = folder / _ENDING
    if code != 0 and path.exists():
        ending = json.loads(path.read_text("utf-8"))
        print(ending["line"], file=sys.stderr, flush=True)
        return ending["code"]
    return code if code >= 0 else 128 - code


def leave_word(line: str, code: int) -> bool:
    """Tell the parent how this process ends; False where there is none. The first of the processes is heard."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        return False
    own = Path(folder) / f"{os.getpid()}.json"
    own.write_text(json.dumps({"line": line, "code": code}), encoding="utf-8")
    with contextlib.suppress(FileExistsError):
        os.link(own, Path(folder) / _ENDING)
    return True


def run_torchrun() -> None:
    """Run torchrun with the arguments of this process, silent where a process has said itself why it ended."""
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        run.main()
    except SignalException as error:
        sys.exit(128 + error.sigval)
    except ChildFailedError:
        if (Path(os.environ.get(FOLDER_VARIABLE, "")) / _ENDING).exists():
            sys.exit(1)
        raise


if __name__ == "__main__":
    run_torchrun()
