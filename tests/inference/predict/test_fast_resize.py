"""--resize fast: the same answers but for little, of other pixels."""

from pathlib import Path

import pytest

from tests.inference.predict.commands import predicted
from tests.picture_bodies import jpeg

pytestmark = pytest.mark.torch


def test_answers_are_those_of_exact_pixels_within_little(folder):
    Path("jpegs").mkdir()
    for number in range(4):
        Path(f"jpegs/{number}.jpg").write_bytes(jpeg(number, 200, 150))
    Path("jpegs/4.jpg").write_bytes(b"x")
    exact, fast = (predicted(f"jpegs --labels names.txt --top-k 1 {flag}") for flag in ("", "--resize fast"))
    assert [row["picture"] for row in fast] == [row["picture"] for row in exact]
    assert [row["reason"] for row in fast] == [row["reason"] for row in exact]
    cosines = [(float(one["cosine"]), float(other["cosine"])) for one, other in zip(exact[:4], fast[:4], strict=True)]
    assert all(one == pytest.approx(other, abs=0.02) for one, other in cosines)
    assert any(one != other for one, other in cosines)
