"""Files of rows: whole or not there, nothing left behind, UTF-8 everywhere."""

import csv
import gc
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from inference.predict.row_files import row_file
from taxonomy.errors import WorkFailedError

PROJECT = Path(__file__).parents[3]
FORMATS = ("csv", "jsonl", "parquet")
ROW = ("p.png", 1, "Ängström 鶴", "label", 0.5, 0.25, *(None,) * 9)


@pytest.fixture
def unraisable(monkeypatch) -> list[object]:
    """What is said of exceptions that nobody can catch, as of objects that are forgotten."""
    said: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    return said


@pytest.mark.parametrize(("format_", "num_rows"), [("csv", 1), ("jsonl", 1), ("parquet", 0), ("parquet", 16_384)])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("the picture"), WorkFailedError("stop")])
def test_an_error_of_the_block_leaves_what_was_there_and_is_told_alone(tmp_path, unraisable, format_, error, num_rows):
    path = tmp_path / f"out.{format_}"
    path.write_text("earlier")
    with pytest.raises(BaseException) as raised, row_file(path, format_) as write:
        write([ROW] * num_rows)
        raise error
    assert raised.type in (error, type(error)) and "cannot write" not in str(raised.value)
    del raised, write
    gc.collect(1)
    assert not unraisable
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "earlier"


@pytest.mark.parametrize("format_", FORMATS)
def test_a_full_disk_is_one_failure_that_names_the_file(tmp_path, unraisable, monkeypatch, format_):
    own = io.open

    def full(file, mode="r", *given, **named):
        return own("/dev/full" if "w" in mode else file, mode, *given, **named)

    monkeypatch.setattr(io, "open", full)
    with pytest.raises(WorkFailedError, match=r"cannot write .*No space left"):  # noqa: SIM117
        with row_file(tmp_path / f"out.{format_}", format_) as write:
            write([ROW] * 20_000)
    gc.collect(1)
    assert not unraisable
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_left_is_swept_and_a_running_one_keeps_its_own(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    for name in (f".out.csv.{dead.pid}.tmp", f".out.csv.{os.getppid()}.tmp", f".other.csv.{dead.pid}.tmp"):
        (tmp_path / name).write_text("half")
    with row_file(tmp_path / "out.csv", "csv") as write:
        write([ROW])
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted([f".other.csv.{dead.pid}.tmp", f".out.csv.{os.getppid()}.tmp", "out.csv"])


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_stdout_is_utf_8_whatever_the_locale(tmp_path, monkeypatch, format_):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    with row_file(None, format_) as write:
        write([ROW])
    with row_file(tmp_path / f"out.{format_}", format_) as write:
        write([ROW])
    assert raw.getvalue() == (tmp_path / f"out.{format_}").read_bytes()
    assert "鶴" in raw.getvalue().decode("utf-8")


@pytest.mark.process
def test_a_reader_that_has_seen_enough_ends_the_command_quietly(folder):
    program = (
        "from inference.predict.row_files import row_file\n"
        "with row_file(None, 'csv') as write:\n"
        "    for _ in range(10_000): write([tuple('x' * 15)])"
    )
    ended = subprocess.run(
        f'{sys.executable} -c "$PROGRAM" | head -n 2',
        shell=True,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT), "PROGRAM": program},
    )
    assert (ended.stdout.count("\n"), ended.stderr) == (2, "")


def test_any_name_is_one_field_of_one_line(tmp_path):
    names = ["a\rb.jpg", 'c"d.jpg', "e,f.jpg", "g\nh.jpg", "i\r\nj.jpg", " k.jpg"]
    with row_file(tmp_path / "out.csv", "csv") as write:
        write([(name, *ROW[1:]) for name in names])
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert [row["picture"] for row in csv.DictReader(file)] == names
    assert (tmp_path / "out.csv").read_bytes().count(b"\r\n") == 1  # of the one name
