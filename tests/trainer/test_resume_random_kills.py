"""Killed at five random moments of its life, start and saving included, a run ends as if it never had been."""

import random
import time
from pathlib import Path

import pytest

from tests.trainer.rank_processes import Launch, RankPlan, finish, wait_for
from tests.trainer.small_runs import DATASET_TYPES, assert_as_never_stopped, events, write_data, write_recipe

pytestmark = [pytest.mark.torch, pytest.mark.process, pytest.mark.long, pytest.mark.timeout(1800)]

NUM_KILLS = 5


@pytest.mark.parametrize("dataset_type", DATASET_TYPES)
def test_five_random_kills_change_nothing(tmp_path: Path, dataset_type: str):
    seed = time.time_ns()
    print("seed of the moments:", seed)  # shown if it fails
    moments = random.Random(seed)
    flags = ["--recipe", str(write_recipe(tmp_path)), *write_data(dataset_type, tmp_path / "data")]
    flags += ["--logs", str(tmp_path / "runs"), "--max-steps", "120"]
    finish(RankPlan([*flags, "--name", "undisturbed"], tmp_path / "undisturbed", 2))

    flags += ["--name", "run", "--resume", "latest"]
    for _ in range(NUM_KILLS):
        killed_at_random(RankPlan(flags, tmp_path / "run", 2), moments)
    finish(RankPlan(flags, tmp_path / "run", 2))
    print("resumed at", events(tmp_path / "runs/run", "resume"))
    assert_as_never_stopped(tmp_path / "runs/run", tmp_path / "runs/undisturbed")


def killed_at_random(plan: RankPlan, moments: random.Random) -> None:
    """Start a run and kill it some steps and some time later."""
    num_steps = steps_trained(plan.folder) + moments.randrange(20)
    launch = Launch(plan)
    wait_for(lambda: steps_trained(plan.folder) >= num_steps or not launch.is_running, "some steps")
    launch.ranks[0].join(moments.uniform(0, 0.2))
    launch.kill()


def steps_trained(folder: Path) -> int:
    """The steps that all lives of a run have trained, those trained twice counted twice."""
    notes = folder / "items_0.jsonl"
    return notes.read_bytes().count(b"\n") if notes.exists() else 0
