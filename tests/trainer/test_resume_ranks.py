"""Going on with another number of ranks: shards as if nothing were different, tars from the epoch's start alone."""

import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.trainer.rank_processes import Launch, RankPlan, finish, trained_items
from tests.trainer.small_runs import events, last_step, saved_steps, trajectory, write_data, write_recipe

pytestmark = [pytest.mark.torch, pytest.mark.process, pytest.mark.timeout(600)]

Items = Mapping[int, list[list[int]]]


def test_shards_go_on_with_one_rank_instead_of_two(tmp_path: Path):
    flags = ["--recipe", str(write_recipe(tmp_path)), *write_data("shards", tmp_path / "data")]
    flags += ["--logs", str(tmp_path / "runs")]
    finish(RankPlan([*flags, "--name", "two"], tmp_path / "two", 2))
    checkpoint = tmp_path / "runs/two/checkpoints/step_000010"
    flags += ["--name", "one", "--resume", str(checkpoint), "--batch-size", "8"]
    finish(RankPlan(flags, tmp_path / "one", 1))

    pairs_of_two = [trained_items(tmp_path / "two", rank) for rank in range(2)]
    pairs_of_one = [trained_items(tmp_path / "one", 0)]
    assert list(pairs_of_one[0]) == list(range(11, 25))
    for step in pairs_of_one[0]:
        assert items_of(pairs_of_one, step) == items_of(pairs_of_two, step)
        assert items_of(pairs_of_one, step).total() == 16
    two, one = trajectory(tmp_path / "runs/two")[10:], trajectory(tmp_path / "runs/one")
    assert [line[1] for line in one] == pytest.approx([line[1] for line in two], abs=1e-5)
    assert [line[3] for line in one] == pytest.approx([line[3] for line in two], abs=1e-5)
    assert [(line[0], line[2], *line[4:]) for line in one] == [(line[0], line[2], *line[4:]) for line in two]


def items_of(ranks: Sequence[Items], step: int) -> Counter[int]:
    """The items that all ranks trained on in a step."""
    return Counter(item for items in ranks for batch in items[step] for item in batch)


def test_tars_go_on_with_other_ranks_at_an_epoch_alone(tmp_path: Path):
    flags = ["--recipe", str(write_recipe(tmp_path)), *write_data("webdataset", tmp_path / "data")]
    flags += ["--logs", str(tmp_path / "runs"), "--name", "run", "--resume", "latest"]
    run = tmp_path / "runs/run"
    stopped = Launch(RankPlan([*flags, "--batch-size", "8"], tmp_path / "one", 1, hold_after=11))
    stopped.wait_until_held()
    stopped.ask_to_stop(signal.SIGUSR1)
    assert stopped.exit_codes() == [0]
    before = trajectory(run)
    assert (last_step(run), saved_steps(run)) == (12, [5, 10, 12])

    refused = Launch(RankPlan(flags, tmp_path / "refused", 2))
    assert refused.exit_codes() == [2, 2]
    lines = refused.said()[0].splitlines()
    assert len(lines) == 1 and refused.said()[1] == ""
    assert "number of ranks was 1 and is 2" in lines[0] and "--batch-size was 8 and is 4" in lines[0]
    assert lines[0].endswith("set them back or use --resume-at epoch")
    assert (trajectory(run), saved_steps(run)) == (before, [5, 10, 12])

    finish(RankPlan([*flags, "--resume-at", "epoch"], tmp_path / "two", 2))
    epoch_start = 7  # the checkpoint of step 12 is in the second epoch
    assert events(run, "resume") == [epoch_start]
    after = trajectory(run)
    assert [line[0] for line in after] == list(range(1, 25))
    assert after[:epoch_start] == before[:epoch_start]
    items = [trained_items(tmp_path / "two", rank) for rank in range(2)]
    assert list(items[0]) == list(items[1]) == list(range(epoch_start + 1, 25))
