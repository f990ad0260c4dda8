"""The folder that a launcher shares with the processes it starts: the first to fail leaves there how it ends.

torchrun knows only the exit codes 0 and 1, and reports half a page: the launcher says the line left there as its own,
and ends with its code.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

FOLDER_VARIABLE = "TAXAFLOW_LAUNCH_FOLDER"
"""Of the environment of the processes: the folder's path."""

_ENDING = "ending.json"


def launch_folder() -> Path | None:
    """The folder of this process's launcher; None where no launcher of ours started it."""
    name = os.environ.get(FOLDER_VARIABLE)
    return None if name is None else Path(name)


def leave_word(line: str, code: int) -> bool:
    """Tell the launcher how this process ends; False where there is none. The first of the processes is heard."""
    folder = launch_folder()
    if folder is None:
        return False
    own = folder / f"{os.getpid()}.json"
    own.write_text(json.dumps({"line": line, "code": code}), encoding="utf-8")
    with contextlib.suppress(FileExistsError):
        os.link(own, folder / _ENDING)
    return True


def is_word_left() -> bool:
    """Whether a process has told the launcher how it ends."""
    folder = launch_folder()
    return folder is not None and (folder / _ENDING).exists()


def say_word(folder: Path) -> int | None:
    """Say the line that a process left in the folder on stderr; returns its exit code, None where none was left."""
    path = folder / _ENDING
    if not path.exists():
        return None
    ending = json.loads(path.read_text("utf-8"))
    print(ending["line"], file=sys.stderr, flush=True)
    return ending["code"]
