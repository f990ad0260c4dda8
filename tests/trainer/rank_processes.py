"""Ranks of a run as processes of their own, which a test can hold at a step, kill, and ask to stop.

They are forked from a process that has imported torch, so that a launch takes a fraction of a second; from there on
they do what `torchrun -m trainer` has its processes do.
"""

import atexit
import json
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from tests.forked import forking
from trainer import cli, loop
from trainer.record.run_log import RunLog
from trainer.record.step_record import StepRecord

PATIENCE_S = 150
"""How long anything may take, seconds: machines with more tests than processors are slow."""


@dataclass(frozen=True)
class RankPlan:
    """What the processes of a launch are told.

    Attributes:
        arguments: of `python -m trainer`.
        folder: for what they print and which items they train on.
        num_ranks: how many they are.
        hold_after: rank 0 stops as by Ctrl-Z when this step stands in train.jsonl; None never.
        largest_file: bytes that rank 0 may write into a file after the step `limit_after`; None for any.
        limit_after: see there.
    """

    arguments: Sequence[str]
    folder: Path
    num_ranks: int
    hold_after: int | None = None
    largest_file: int | None = None
    limit_after: int = 0


class Launch:
    """The processes of one launch."""

    def __init__(self, plan: RankPlan) -> None:
        self.folder = plan.folder
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "meeting").unlink(missing_ok=True)
        context = forking()
        self.ranks: list[BaseProcess] = [
            context.Process(target=_be_rank, args=(rank, plan)) for rank in range(plan.num_ranks)
        ]
        for process in self.ranks:
            process.start()
            atexit.register(process.kill)  # a test that failed may leave it held, and Python would wait for it

    def wait_until_held(self) -> None:
        """Return when rank 0 has stopped at its step."""
        stat = Path(f"/proc/{self.ranks[0].pid}/stat")
        wait_for(lambda: not self.is_running or stat.read_text().rpartition(")")[2].split()[0] == "T", "a held rank")
        assert self.is_running, self.said()

    @property
    def is_running(self) -> bool:
        """Whether all ranks are."""
        return all(process.is_alive() for process in self.ranks)

    def kill(self) -> None:
        """As kill -9, all ranks; their loader workers find out themselves."""
        for process in self.ranks:
            process.kill()
        self.exit_codes()

    def ask_to_stop(self, number: int = signal.SIGTERM, only_rank: int | None = None) -> None:
        """Send a signal to the ranks, and let those go on that are held."""
        for rank, process in enumerate(self.ranks):
            assert process.pid is not None
            if only_rank in (None, rank):
                os.kill(process.pid, number)
            os.kill(process.pid, signal.SIGCONT)

    def exit_codes(self) -> list[int | None]:
        """Of the ranks, when all have ended."""
        for process in self.ranks:
            process.join(PATIENCE_S)
        codes = [process.exitcode for process in self.ranks]
        if None in codes:
            for process in self.ranks:
                process.kill()
        assert None not in codes, f"still running, having said {self.said()}"
        return codes

    def said(self) -> list[str]:
        """What each rank wrote to stdout and stderr."""
        return [(self.folder / f"said_{rank}.txt").read_text("utf-8") for rank in range(len(self.ranks))]


def finish(plan: RankPlan) -> Launch:
    """Run to the end, which must be a good one."""
    launch = Launch(plan)
    codes = launch.exit_codes()
    assert set(codes) == {0}, launch.said()
    return launch


def trained_items(folder: Path, rank: int) -> dict[int, list[list[int]]]:
    """Step -> the items of each micro-batch of a rank, as the last process knows that trained on it."""
    lines = (folder / f"items_{rank}.jsonl").read_text("utf-8").splitlines()
    return dict(json.loads(line) for line in lines)


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Return when the condition holds, soon after it does.

    Raises:
        TimeoutError: it did not within PATIENCE_S.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_S} s for {what}")
        time.sleep(0.002)


def _be_rank(rank: int, plan: RankPlan) -> None:
    with (plan.folder / f"said_{rank}.txt").open("wb") as said:
        os.dup2(said.fileno(), sys.stdout.fileno())
        os.dup2(said.fileno(), sys.stderr.fileno())
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    multiprocessing.set_start_method("fork", force=True)  # of loader workers, as where no forkserver made this
    if plan.num_ranks > 1:
        place = {"RANK": rank, "WORLD_SIZE": plan.num_ranks, "LOCAL_RANK": rank}
        os.environ.update({name: str(value) for name, value in place.items()})
    _note_items(plan.folder / f"items_{rank}.jsonl")
    if rank == 0:
        _act_on_steps(plan)
    cli.main([*plan.arguments, "--dist-url", f"file://{plan.folder / 'meeting'}"])


def _note_items(file: Path) -> None:
    train = loop.one_step

    def one_step(run: loop.Run, batches, inputs) -> None:
        train(run, batches, inputs)
        line = json.dumps([run.step, [batch.item_B.tolist() for batch in batches]]) + "\n"
        with file.open("a", encoding="utf-8") as notes:
            notes.write(line)

    loop.one_step = one_step


def _act_on_steps(plan: RankPlan) -> None:
    write = RunLog.step

    def step(self: RunLog, record: StepRecord) -> None:
        write(self, record)
        if record.step == plan.hold_after:
            os.kill(os.getpid(), signal.SIGSTOP)
        if record.step == plan.limit_after and plan.largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (plan.largest_file, plan.largest_file))

    RunLog.step = step
