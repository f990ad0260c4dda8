"""The training command as users call it, in this process or in one of its own, and the state of a folder around it."""

import hashlib
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import PROJECT
from trainer import cli

TIMEOUT_S = 240
"""For a process: many times what it takes on a free machine."""

QUICK = "--recipe tiny --batch-size 4 --workers 0 --max-steps 1 --device cpu --report-to none --zeroshot-frequency 0"
"""The small recipe, for one step."""


def run_here(line: str) -> int:
    """The exit code of the command with these arguments, which runs in this process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    try:
        cli.main(shlex.split(line))
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return 0


def start(line: str, folder: Path) -> subprocess.Popen:
    """The command as a process of its own, which runs in this folder."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "trainer", *shlex.split(line)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


def run_process(line: str, folder: Path) -> tuple[int, str]:
    """Exit code and stderr of the command as a process of its own."""
    with start(line, folder) as process:
        try:
            _, stderr = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    return process.returncode, stderr


def tree(folder: Path) -> dict[str, str]:
    """Relative path -> hash of the content, of everything below a folder; folders and links count too."""
    return {str(path.relative_to(folder)): _content(path) for path in sorted(folder.rglob("*"))}


def _content(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return "link" if path.is_symlink() else "folder"
    return hashlib.sha256(path.read_bytes()).hexdigest()
