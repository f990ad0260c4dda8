"""The comparison of best and default: made once for these two, again for another best."""

import json
from pathlib import Path

import pytest

from taxonomy.errors import BadInputError, WorkFailedError
from tests.trainer.tuning.trials.test_folder import SETTINGS
from trainer.settings.config import TrainConfig
from trainer.tuning.search_folder import SearchFolder
from trainer.tuning.trials.folder import TrialResult

pytestmark = pytest.mark.torch


def compared(folder: Path, best: int) -> object:
    from trainer.tuning.outcome.comparison import compare_once

    results = [TrialResult(number, "ok", SETTINGS, 0.5, 60, 1.0) for number in (best, 0)]
    base = TrainConfig(train_data=str(folder / "manifest.json"))
    return compare_once(SearchFolder(folder), folder / "manifest.json", base, *results)


def test_what_was_compared_is_read_as_long_as_the_best_is_the_same(tmp_path):
    known = {"best": {"trial": 1}, "difference": None}
    (tmp_path / "comparison.json").write_text(json.dumps(known))
    assert compared(tmp_path, best=1) == known
    with pytest.raises(BadInputError, match=r"^--train-data .*manifest\.json"):  # where it would be compared anew
        compared(tmp_path, best=2)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"best": {}}', b"\xff"])
def test_a_damaged_comparison_is_named_with_what_to_do(tmp_path, content):
    (tmp_path / "comparison.json").write_bytes(content)
    with pytest.raises(WorkFailedError, match=r"comparison\.json is damaged .*; remove it"):
        compared(tmp_path, best=1)
