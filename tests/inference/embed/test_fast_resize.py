"""--resize fast: other numbers by little, said in the record, and never in one folder with exact ones."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.inference.embed.small_runs import embed, ended, failures, files, rows
from tests.picture_bodies import jpeg

pytestmark = pytest.mark.torch

EXACT = "jpegs --model local-dir:small --out out"
FAST = f"{EXACT} --resize fast"


@pytest.fixture(autouse=True)
def photos(folder) -> None:
    """Photos that are large beside the model's input of 16 px, two of which cannot be used."""
    Path("jpegs").mkdir()
    for number in range(10):
        Path(f"jpegs/{number}.jpg").write_bytes(jpeg(number, 150 + number, 130))
    Path("jpegs/3.jpg").write_bytes(jpeg(3)[:700])
    Path("jpegs/7.jpg").write_bytes(b"x")


def test_embeddings_are_near_the_exact_ones_and_refusals_the_same():
    embed(EXACT, "--out", "exact")
    embed(FAST, "--out", "fast")
    exact, fast = rows(Path("exact")), rows(Path("fast"))
    assert list(exact) == list(fast)
    cosines = [float(exact[key] @ fast[key]) for key in exact]
    assert min(cosines) > 0.99
    assert max(float(np.abs(exact[key] - fast[key]).max()) for key in exact) > 1e-4  # they are others
    assert failures(Path("exact")) == failures(Path("fast"))
    assert len(failures(Path("fast"))) == 2


def test_workers_change_no_byte():
    embed(FAST, "--out", "one")
    embed(FAST, "--out", "two", "--workers", "2")
    assert files(Path("one")) == files(Path("two"))


def test_the_record_says_which_pixels():
    embed(FAST)
    embed(EXACT, "--out", "exact")
    found = [json.loads(Path(name, "about.json").read_bytes())["preprocess"] for name in ("out", "exact")]
    assert found[0] == found[1] | {"fast_pixels": True}
    assert "fast_pixels" not in found[1]


@pytest.mark.parametrize(
    ("first", "then", "says"),
    [(EXACT, FAST, "made without --resize fast"), (FAST, EXACT, "made with --resize fast")],
)
def test_a_folder_of_the_other_pixels_is_refused(capsys, first, then, says):
    embed(first)
    before = files(Path("out"))
    code, last = ended(lambda: embed(then), capsys)
    assert code == 2
    assert last == f"taxaflow: --out out holds embeddings {says}; give another folder, or remove this one"
    assert files(Path("out")) == before
    embed(first)
    assert capsys.readouterr().out.startswith("nothing to do")
