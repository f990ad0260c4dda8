"""A disk that fills up while a run saves: one line that says so, and nothing lost that was saved before."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import small_disk as disks
from tests.trainer.rank_processes import Launch, RankPlan, finish
from tests.trainer.small_runs import assert_as_never_stopped, events, saved_steps, write_data, write_recipe
from trainer.checkpoints.checkpoint import newest_valid

pytestmark = [pytest.mark.torch, pytest.mark.process, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """The folder of the run that nothing happened to, and the flags of its like."""
    folder = tmp_path_factory.mktemp("undisturbed")
    flags = ["--recipe", str(write_recipe(folder)), *write_data("csv", folder / "data"), "--name", "run"]
    finish(RankPlan([*flags, "--logs", str(folder)], folder / "said", 2))
    yield folder / "run", flags


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB: two checkpoints and a half."""
    with disks.small_disk(tmp_path / "disk", "24m") as folder:
        yield folder


def test_a_full_disk_ends_a_run_that_goes_on_when_there_is_room(tmp_path, undisturbed, small_disk):
    expected, flags = undisturbed
    flags = [*flags, "--logs", str(small_disk), "--resume", "latest"]
    launch = Launch(RankPlan(flags, tmp_path / "said", 2))
    assert launch.exit_codes() == [1, 1]
    assert_one_line_says(launch, "step_000015 could not be written: No space left on device")
    run = small_disk / "run"
    assert newest_valid(run / "checkpoints") == (run / "checkpoints/step_000010", [])
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    finish(RankPlan(flags, tmp_path / "said", 2))
    assert events(run, "resume") == [10]
    assert_as_never_stopped(run, expected)


def test_a_checkpoint_that_cannot_be_written_ends_a_run_that_goes_on_when_it_can(tmp_path, undisturbed):
    expected, flags = undisturbed
    flags = [*flags, "--logs", str(tmp_path), "--resume", "latest"]
    launch = Launch(RankPlan(flags, tmp_path / "said", 2, largest_file=1_000_000, limit_after=6))
    assert launch.exit_codes() == [1, 1]
    assert_one_line_says(launch, "step_000010 could not be written: File too large")
    run = tmp_path / "run"
    assert newest_valid(run / "checkpoints") == (run / "checkpoints/step_000005", [])
    finish(RankPlan(flags, tmp_path / "said", 2))
    assert saved_steps(run) == saved_steps(expected)
    assert_as_never_stopped(run, expected)


def assert_one_line_says(launch: Launch, reason: str) -> None:
    """Assert that each rank ends with one line on the checkpoint and what to do, and no trace."""
    lines = launch.said()[0].splitlines()
    assert "Traceback" not in launch.said()[0]
    assert launch.said()[1].splitlines() == lines[-1:]
    assert lines[-1].startswith("taxaflow: checkpoint ") and reason in lines[-1]
    assert "the last checkpoint is step_0000" in lines[-1] and "run with --resume latest" in lines[-1]
    assert sum("could not be written" in line for line in lines) == 1
