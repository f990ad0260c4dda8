"""Every notebook is committed stripped and short, and says first what it is about."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def cells(request: pytest.FixtureRequest) -> list[dict]:
    return json.loads(request.param.read_text(encoding="utf-8"))["cells"]


def test_there_are_two() -> None:
    assert len(NOTEBOOKS) == 2


def test_is_committed_stripped_and_short(cells: list[dict]) -> None:
    assert len(cells) < 15
    for cell in cells:
        assert not cell.get("outputs"), cell["id"]
        assert cell.get("execution_count") is None, cell["id"]


def test_first_cell_says_question_inputs_and_runtime(cells: list[dict]) -> None:
    first = "".join(cells[0]["source"])
    assert all(f"**{word}.**" in first for word in ("Question", "Inputs", "Runtime"))
