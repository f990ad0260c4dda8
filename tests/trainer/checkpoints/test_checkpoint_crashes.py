"""Saving processes that are killed at every point, and disks that fill up: the checkpoints before are as they were."""

import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from taxonomy.errors import WorkFailedError
from tests import small_disk as disks
from tests.forked import forking
from tests.trainer.checkpoint_contents import content_of, is_same
from trainer.checkpoints import checkpoint
from trainer.checkpoints.checkpoint import CheckpointContent
from trainer.checkpoints.published_checkpoint import save_published

pytestmark = pytest.mark.torch

_FILE_EVENTS = ("os.rename", "os.mkdir", "os.rmdir", "os.remove", "shutil.rmtree")


@pytest.fixture(scope="module")
def processes():
    """Processes of a server that has imported torch already."""
    return forking()


def die_before(num_events: int, folder: Path) -> None:
    """Kill this process, as kill -9 does, when it is about to change something in the folder for the nth time."""
    seen = 0

    def hook(event: str, arguments: tuple) -> None:
        nonlocal seen
        writes = event in _FILE_EVENTS or (event == "open" and "w" in str(arguments[1]))
        if writes and str(arguments[0]).startswith(str(folder)):
            if seen == num_events:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

    sys.addaudithook(hook)


def save_and_die(folders: list[Path], step: int) -> None:
    """Save in a process for each folder, which is killed before the nth event in the nth of them."""
    content = content_of(41)
    os.fsync = lambda _: None  # it takes long, and a kill, unlike a power cut, loses nothing that is written
    for num_events, folder in enumerate(folders):
        child = os.fork()
        if child == 0:
            die_before(num_events, folder)
            checkpoint.save(folder, step, content, keep_last=2)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            (folder / "finished").touch()


def save_for_ever(folder: Path, saves: Event) -> None:
    """Save step after step; `saves` is set once the first stands."""
    for step in range(1, 1_000_000):
        checkpoint.save(folder, step, content_of(step, width=64), keep_last=2)
        saves.set()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("new_step", [30, 40])
def test_a_process_killed_at_any_point_leaves_the_last_checkpoint_or_the_new_one(tmp_path, processes, new_step):
    before = tmp_path / "before"
    for step in (10, 30):
        checkpoint.save(before, step, content_of(step))
    folders = [tmp_path / str(num_events) for num_events in range(40)]
    for folder in folders:
        shutil.copytree(before, folder)
    child = processes.Process(target=save_and_die, args=(folders, new_step))
    child.start()
    child.join()
    assert child.exitcode == 0
    old, new = content_of(30), content_of(41)
    outcomes = [outcome_in(folder, old, new) for folder in folders]
    num_old = outcomes.count("old")
    num_new = outcomes.count("new")
    assert num_old >= 8
    assert num_new >= 1
    assert outcomes == ["old"] * num_old + ["new"] * num_new + ["finished"] * (len(folders) - num_old - num_new)
    assert outcomes[-1] == "finished"


def outcome_in(folder: Path, old: CheckpointContent, new: CheckpointContent) -> str:
    """Which checkpoint a next start finds, having checked all that are there."""
    is_finished = (folder / "finished").exists()
    (folder / "finished").unlink(missing_ok=True)
    checkpoint.remove_leftovers(folder)
    path, warnings = checkpoint.newest_valid(folder)
    assert path is not None
    assert warnings == []
    assert all(checkpoint.damage(other) is None for other in folder.iterdir())
    found = checkpoint.load(path)
    if is_same(found, old):
        assert names(folder) == ["step_000010", "step_000030"]
        return "old"
    assert is_same(found, new)
    return "finished" if is_finished else "new"


def test_a_process_killed_at_any_time_leaves_good_checkpoints(tmp_path, processes):
    for round_ in range(5):
        checkpoint.remove_leftovers(tmp_path)
        saves = processes.Event()
        child = processes.Process(target=save_for_ever, args=(tmp_path, saves))
        child.start()
        assert saves.wait(timeout=60)
        time.sleep(0.0317 * round_)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        path, warnings = checkpoint.newest_valid(tmp_path)
        assert warnings == []
        assert path is not None
        step = checkpoint.step_of(path)
        assert is_same(checkpoint.load(path), content_of(step, width=64))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    with disks.small_disk(tmp_path / "disk", "1m") as folder:
        yield folder


def test_a_full_disk_fails_with_one_line_and_harms_nothing(small_disk):
    folder = small_disk / "checkpoints"
    first = checkpoint.save(folder, 1, content_of(1))
    used = sum(file.stat().st_size for file in first.iterdir())
    ballast = small_disk / "ballast"
    failures = 0
    for free in range(0, used + 60_000, 12_000):  # it fills up in each file in turn
        ballast.write_bytes(bytes(max(0, 1_048_576 - 2 * 4096 - used - 7 * 4096 - free)))
        before = names(folder)
        try:
            checkpoint.save(folder, 2, content_of(2))
        except WorkFailedError as error:
            failures += 1
            assert "\n" not in str(error)
            assert "No space left on device" in str(error)
            assert "step_000002" in str(error)
            assert "the last checkpoint is step_000001" in str(error) or "step_000002" in before
            assert names(folder) == before
        ballast.unlink()
    assert failures > 3
    assert is_same(checkpoint.load(first), content_of(1))
    checkpoint.save(folder, 2, content_of(2), keep_last=1)
    assert names(folder) == ["step_000002"]


def save_with_small_files(folder: Path, max_bytes: int, answer) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, max_bytes))
    messages = []
    for write in (
        lambda: checkpoint.save(folder, 2, content_of(2)),
        lambda: save_published(folder / "epoch_latest.pt", content_of(2), 2, "run"),
    ):
        try:
            write()
            messages.append("")
        except WorkFailedError as error:
            messages.append(str(error))
    answer.put(messages)


@pytest.mark.parametrize("max_bytes", [0, 100, 2000, 8000])
def test_a_write_that_fails_leaves_what_was_there(tmp_path, processes, max_bytes):
    first = checkpoint.save(tmp_path, 1, content_of(1))
    save_published(tmp_path / "epoch_latest.pt", content_of(1), 1, "run")
    published = (tmp_path / "epoch_latest.pt").read_bytes()
    answer = processes.SimpleQueue()
    child = processes.Process(target=save_with_small_files, args=(tmp_path, max_bytes, answer))
    child.start()
    messages = answer.get()
    child.join()
    assert ["could not be written: File too large" in message for message in messages] == [True, True], messages
    assert all("\n" not in message for message in messages)
    assert names(tmp_path) == ["epoch_latest.pt", "step_000001"]
    assert (tmp_path / "epoch_latest.pt").read_bytes() == published
    assert is_same(checkpoint.load(first), content_of(1))
