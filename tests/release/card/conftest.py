"""A small dataset that a model learnt from."""

from pathlib import Path

import pytest

from tests.release.card import card_world


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return card_world.write_dataset(tmp_path / "data")
