"""A small world to predict in: two models, a list, pictures and one that is none."""

import numpy as np
import pytest
from PIL import Image

from inference.predict import cli
from tests.inference.labels.lists import write_list
from tests.inference.predict.commands import GOOD
from tests.inference.small_world import write_model


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """Two small models, a list, pictures, and one that is none."""
    root = tmp_path_factory.mktemp("world")
    for name, seed in (("small", 1), ("other", 2)):
        write_model(root / name, seed)
    (root / "photos").mkdir()
    draw = np.random.default_rng(0)
    for number in range(GOOD):
        Image.fromarray(draw.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(root / "photos" / f"{number}.png")
    (root / "photos" / "bad.jpg").write_bytes(b"x")
    write_list(root / "labels.csv")
    (root / "names.txt").write_text("Turdus merula\nSalvia pratensis\n")
    (root / "bare.bin").write_bytes(b"never read")
    return root


@pytest.fixture
def folder(world, tmp_path, monkeypatch):
    """A working folder with nothing in it but the world's by links."""
    monkeypatch.chdir(tmp_path)
    for entry in world.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.setattr(cli, "set_up_logging", lambda debug: None)
    return tmp_path
