"""Loader processes live on under SIGTERM, but never keep the trainer from ending."""

import os
import signal
import subprocess
import sys
import time
from itertools import islice

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset

from taxonomy.errors import WorkFailedError
from tests.conftest import PROJECT
from trainer.data.loader_workers import LoaderRun, outlive_signals

pytestmark = pytest.mark.torch


class ProcessIds(IterableDataset):
    """The worker's process id, without end."""

    def __iter__(self):
        while True:
            yield os.getpid()


class Broken(IterableDataset):
    def __iter__(self):
        yield os.getpid()
        raise RuntimeError("a defect in the source")


def loader(data: IterableDataset) -> DataLoader:
    return DataLoader(data, batch_size=None, num_workers=1, prefetch_factor=1, worker_init_fn=outlive_signals)


def ended(process_id: int, within_s: float = 20) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_a_worker_goes_on_after_the_signals_of_a_scheduler_and_ends_when_closed():
    run = LoaderRun(loader(ProcessIds()))
    batches = iter(run)
    worker = next(batches)
    assert worker != os.getpid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        os.kill(worker, number)
    time.sleep(0.3)
    assert list(islice(batches, 20)) == [worker] * 20
    run.close()
    assert ended(worker)


def test_a_killed_worker_stops_training_with_a_word_on_memory():
    batches = iter(LoaderRun(loader(ProcessIds())))
    os.kill(next(batches), signal.SIGKILL)
    with pytest.raises(WorkFailedError, match="a loader worker died, often for want of memory"):
        for _ in range(100):
            next(batches)


def test_an_error_of_the_source_is_not_mistaken_for_a_dead_worker():
    batches = iter(LoaderRun(loader(Broken())))
    worker = next(batches)
    with pytest.raises(RuntimeError, match="a defect in the source"):
        next(batches)
    assert ended(worker)


def test_without_workers_it_is_a_plain_loop():
    run = LoaderRun(DataLoader([torch.tensor(1), torch.tensor(2)], batch_size=None))
    assert [int(item) for item in run] == [1, 2]
    run.close()


SCRIPT = """
from tests.trainer.data.test_loader_workers import ProcessIds, loader
from trainer.data.loader_workers import LoaderRun
run = LoaderRun(loader(ProcessIds()))
print(next(iter_ := iter(run)), flush=True)
raise ValueError("not closed")
"""


def test_a_trainer_that_fails_without_closing_ends_at_once_with_its_workers():
    begun = time.monotonic()
    failed = subprocess.run([sys.executable, "-c", SCRIPT], cwd=PROJECT, capture_output=True, text=True, timeout=100)
    assert failed.returncode == 1 and "not closed" in failed.stderr
    assert ended(int(failed.stdout), within_s=1)
    assert time.monotonic() - begun < 60
