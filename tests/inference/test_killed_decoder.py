"""A process that decodes and is killed, as where memory ends: one line, and the exit code of failed work."""

import subprocess
import sys

import pytest

from tests.conftest import PROJECT
from tests.inference.small_world import write_model, write_photos

pytestmark = pytest.mark.torch

# in a process of its own: torch's handler of SIGCHLD raises wherever the program is, which may be in pytest
PROGRAM = """
import os, signal, sys
from pathlib import Path
import torch
from evaluation.model import ModelRequest
from evaluation.open_encoder import open_encoder
from inference.inputs.picture import Picture
from inference.stream import embedded
from taxonomy.ending import ending

def killer():
    os.kill(os.getpid(), signal.SIGKILL)

with ending(debug=False):
    encoder = open_encoder(ModelRequest("local-dir:small", None), torch.device("cpu"))
    photos = [Picture(path.name, path) for path in sorted(Path("photos").iterdir())]
    list(embedded([*photos, Picture("killer", killer)], encoder, 4, num_workers=1))
"""


def test_a_killed_decoder_is_said_in_one_line(tmp_path):
    write_model(tmp_path / "small")
    (tmp_path / "photos").mkdir()
    write_photos(tmp_path / "photos", range(9))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env={"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1] == (
        "taxaflow: a process that decodes pictures was killed, often for want of memory; give fewer --workers"
    )
    assert "Traceback" not in done.stderr
