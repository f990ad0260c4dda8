"""Two ranks, killed once and stopped once, end as if nothing had happened: to the last bit, for every kind of data."""

from pathlib import Path

import pytest

from tests.trainer.rank_processes import Launch, RankPlan, finish, trained_items
from tests.trainer.small_runs import (
    DATASET_TYPES,
    assert_as_never_stopped,
    events,
    last_step,
    saved_steps,
    write_data,
    write_recipe,
)

pytestmark = [pytest.mark.torch, pytest.mark.process, pytest.mark.timeout(600)]


@pytest.mark.parametrize("dataset_type", DATASET_TYPES)
def test_a_run_killed_and_stopped_is_the_run_that_never_was(tmp_path: Path, dataset_type: str):
    flags = ["--recipe", str(write_recipe(tmp_path)), *write_data(dataset_type, tmp_path / "data")]
    flags += ["--logs", str(tmp_path / "runs")]
    undisturbed, run = tmp_path / "runs/undisturbed", tmp_path / "runs/run"
    finish(RankPlan([*flags, "--name", "undisturbed"], tmp_path / "undisturbed", 2))

    flags += ["--name", "run", "--resume", "latest"]
    killed = Launch(RankPlan(flags, tmp_path / "run", 2, hold_after=8))
    killed.wait_until_held()
    killed.kill()
    assert (last_step(run), saved_steps(run)) == (8, [5])

    stopped = Launch(RankPlan(flags, tmp_path / "run", 2, hold_after=13))
    stopped.wait_until_held()
    stopped.ask_to_stop(only_rank=1)  # the other hears of it from this one
    assert stopped.exit_codes() == [0, 0]
    assert (last_step(run), saved_steps(run)) == (14, [5, 10, 14])

    finish(RankPlan(flags, tmp_path / "run", 2))
    assert events(run, "resume") == [5, 14]
    assert_as_never_stopped(run, undisturbed)
    for rank in range(2):
        items = trained_items(tmp_path / "run", rank)
        assert items == trained_items(tmp_path / "undisturbed", rank)
        assert len(items) == 24
