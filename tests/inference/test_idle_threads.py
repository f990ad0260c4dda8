"""Threads that have nothing to do sleep, unless the user's environment says otherwise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.inference.small_world import write_model, write_photos

pytestmark = pytest.mark.torch

_COMMAND = """
import os, sys
import importlib
cli = importlib.import_module(f"inference.{sys.argv[1]}.cli")
before, needed = "torch" in sys.modules, cli.needed
told = []
def noted(*given):
    told.append((os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules))
    return needed(*given)
cli.needed = noted
cli.main(sys.argv[2:])
print(before, *told[0])
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
@pytest.mark.parametrize("command", ["predict", "embed"])
def test_commands_say_so_before_torch_is_there(tmp_path, command, given, expected):
    name = write_model(tmp_path / "model")
    write_photos(tmp_path / "photos", range(2))
    (tmp_path / "names.txt").write_text("Turdus merula\n")
    flags = ["photos", "--model", name, "--device", "cpu"]
    flags += ["--labels", "names.txt", "--out", "o.csv", "--no-cache"] if command == "predict" else ["--out", "o"]
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, command, *flags],
        cwd=tmp_path,
        env={"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]} | given,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == f"False {expected} False"
    assert Path(tmp_path, "o.csv" if command == "predict" else "o").exists()
