"""Processes that were started without stdin, stdout or stderr end like others."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT

CLOSED = ("<&-", ">&-", "2>&-")

PRINTS = """
import sys
from taxonomy.ending import open_missing_streams
open_missing_streams()
print("words", flush=True)
print("words", file=sys.stderr, flush=True)
with open("taken.txt", "w") as file:
    file.write(str(file.fileno()))
"""


def in_shell(folder: Path, arguments: str, closed: str) -> int:
    command = f'cd "$1" && PYTHONPATH="$2" "$3" {arguments} {closed}'
    return subprocess.run(["sh", "-c", command, "sh", folder, PROJECT, sys.executable], timeout=120).returncode


@pytest.mark.parametrize("closed", [*CLOSED, " ".join(CLOSED)])
def test_missing_streams_take_words_and_no_file_takes_their_place(tmp_path, closed):
    (tmp_path / "prints.py").write_text(PRINTS)
    assert in_shell(tmp_path, "prints.py", closed) == 0
    assert int((tmp_path / "taken.txt").read_text()) > 2


@pytest.mark.parametrize("closed", CLOSED[1:])
def test_a_command_has_its_exit_code_without_them(tmp_path, closed):
    assert in_shell(tmp_path, "-m taxaflow predict nowhere --labels nowhere", closed) == 2
