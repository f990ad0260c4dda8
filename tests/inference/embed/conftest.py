"""A folder to run in: two models, and thirty photos of which three cannot be used."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.embed import cli
from tests.inference.small_world import write_model, write_photos

NUM = 30


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """torch computes in one thread: several, which wait for each other all the time, are slow beside other work."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "small", 1)
    write_model(folder / "other", 2)
    return folder


@pytest.fixture
def folder(models: Path, one_thread: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "set_up_logging", lambda debug: None)
    for one in models.iterdir():
        (tmp_path / one.name).symlink_to(one)
    photos = write_photos(tmp_path / "photos", range(NUM))
    (photos / "005.png").write_bytes(b"x")
    (photos / "009.png").write_bytes(b"")
    (photos / "029.png").unlink()
    (photos / "029.png").symlink_to("nowhere")
    return tmp_path
