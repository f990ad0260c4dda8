"""Predictions beside a result: a round trip, equal bytes, and damaged files in one line."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.results.predictions_file import predictions_path, read_predictions, write_predictions
from evaluation.scoring.predictions import Predictions
from taxonomy.errors import BadInputError
from tests.evaluation.results.records import predictions


def _equal(one: Predictions, two: Predictions) -> bool:
    pairs = [(getattr(one, field.name), getattr(two, field.name)) for field in fields(one)]
    return all(np.array_equal(a, b) and np.asarray(a).dtype == np.asarray(b).dtype for a, b in pairs)


def _none() -> Predictions:
    empty = np.zeros(0, np.int64)
    return Predictions(empty, empty, np.zeros((0, 2), np.int64), np.zeros((0, 2), np.float32),
                       np.zeros(0, np.float32), 0)  # fmt: skip


@pytest.mark.parametrize("written", [predictions(), _none()], ids=["six", "none"])
def test_are_read_back_as_written(written: Predictions, tmp_path: Path) -> None:
    write_predictions(tmp_path / "new" / "a.npz", written)
    assert _equal(read_predictions(tmp_path / "new" / "a.npz"), written)


def test_equal_predictions_give_equal_bytes_whatever_the_memory_order(tmp_path: Path) -> None:
    one = predictions()
    write_predictions(tmp_path / "a.npz", one)
    fortran = replace(one, guess_NK=np.asfortranarray(one.guess_NK), row_N=one.row_N.astype(np.int32))
    write_predictions(tmp_path / "b.npz", fortran)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_lie_beside_the_result() -> None:
    assert predictions_path(Path("out/a--b-gelu.json")) == Path("out/a--b-gelu.npz")


def test_every_cut_or_flipped_file_is_one_line_or_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_predictions(path, predictions())
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :]):
            path.write_bytes(damaged)
            try:
                assert _equal(read_predictions(path), predictions())
            except BadInputError as error:
                assert "\n" not in str(error)


def test_absent_or_foreign_files_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="evaluate again"):
        read_predictions(tmp_path / "absent.npz")
    np.savez(tmp_path / "other.npz", row_N=np.zeros(3))
    with pytest.raises(BadInputError, match="evaluate again"):
        read_predictions(tmp_path / "other.npz")
    one = predictions()
    write_predictions(tmp_path / "short.npz", replace(one, class_N=one.class_N[:-1]))
    with pytest.raises(BadInputError, match="do not fit"):
        read_predictions(tmp_path / "short.npz")
