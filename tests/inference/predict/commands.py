"""The predict command as tests run it, in the folder of the fixture `folder`."""

import csv
from pathlib import Path

import pytest

from inference.predict import cli

MODEL = "--model local-dir:small --device cpu --workers 0 --cache-dir cache"
GOOD = 9
"""Pictures that can be read."""


def predicted(line: str) -> list[dict[str, str]]:
    """The rows of a command whose output is a CSV."""
    cli.main([*line.split(), *MODEL.split(), "--out", "out.csv"])
    with Path("out.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def ended(line: str, capsys) -> tuple[int, str]:
    """(exit code, stderr) of a command that does not end well."""
    with pytest.raises(SystemExit) as end:
        cli.main(line.split())
    return end.value.code, capsys.readouterr().err
