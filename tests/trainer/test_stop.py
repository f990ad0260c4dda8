"""Asked to stop as users and schedulers do it: `python -m trainer` on its own, its own launcher, bare torchrun."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.trainer.rank_processes import PATIENCE_S, wait_for
from tests.trainer.small_runs import events, last_step, saved_steps, write_data, write_recipe
from tests.trainer.two_ranks import ONE_RANK
from trainer.checkpoints.checkpoint import damage
from trainer.stop import StopSignals

pytestmark = [pytest.mark.torch, pytest.mark.process, pytest.mark.timeout(600)]

TRAINER = ("-m", "trainer")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "trainer", "--")


@dataclass(frozen=True)
class Command:
    """A training command that was started, in a process group of its own, as a shell does.

    Attributes:
        process: the command's.
        run: the folder of its run.
        said: the file of its stdout and stderr.
    """

    process: subprocess.Popen
    run: Path
    said: Path

    def wait_for_steps(self) -> None:
        """Return when it has trained for some steps."""
        wait_for(lambda: last_step(self.run) >= 3 or self.process.poll() is not None, "three steps")
        assert self.process.poll() is None, self.said.read_text("utf-8")

    def exit_code(self) -> int:
        """Of the command, when it has ended."""
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def start(tmp_path: Path) -> Iterator:
    """Starts a run of very many steps by a command, over made-up pairs; ends it after the test."""
    started: list[Command] = []
    flags = ["--recipe", str(write_recipe(tmp_path)), *write_data("synthetic", tmp_path)]
    flags += ["--max-steps", "1000000", "--save-steps", "1000000", "--logs", str(tmp_path), "--name", "run"]

    def start(how: Sequence[str], *more: str) -> Command:
        said = tmp_path / "said.txt"
        with said.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, *how, *flags, *more],
                cwd=PROJECT,
                stdout=file,
                stderr=file,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
        started.append(Command(process, tmp_path / "run", said))
        return started[-1]

    yield start
    for command in started:
        if command.process.poll() is None:
            os.killpg(command.process.pid, signal.SIGKILL)


def assert_saved_at_its_last_step(run: Path) -> None:
    steps = saved_steps(run)
    assert steps == [last_step(run)] == events(run, "stopped")
    assert damage(run / "checkpoints" / f"step_{steps[0]:06d}") is None


def test_the_launcher_told_to_end_saves_and_ends_well(start):
    command = start(TRAINER, "--nproc", "2")
    command.wait_for_steps()
    command.process.send_signal(signal.SIGTERM)
    assert command.exit_code() == 0, command.said.read_text("utf-8")
    assert_saved_at_its_last_step(command.run)
    assert f"stopped at step {last_step(command.run):,}, saved" in command.said.read_text("utf-8")


def test_bare_torchrun_told_to_end_saves_and_ends_by_its_own_rule(start):
    command = start(TORCHRUN)
    command.wait_for_steps()
    command.process.send_signal(signal.SIGTERM)
    assert command.exit_code() == 1
    assert_saved_at_its_last_step(command.run)


@pytest.mark.parametrize("num_processes", [1, 2])
def test_ctrl_c_saves_and_says_that_it_was_interrupted(start, num_processes):
    command = start(TRAINER, "--nproc", str(num_processes))
    command.wait_for_steps()
    os.killpg(command.process.pid, signal.SIGINT)  # a terminal sends it to all of them
    assert command.exit_code() == 130, command.said.read_text("utf-8")
    assert_saved_at_its_last_step(command.run)
    assert command.said.read_text("utf-8").splitlines()[-1].startswith("taxaflow: interrupted")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_first_signal_is_noted_and_a_second_ends_the_process(number):
    before = {asking: signal.getsignal(asking) for asking in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)}
    try:
        stop = StopSignals()
        assert not stop.on_any_rank(ONE_RANK)
        signal.raise_signal(number)
        assert stop.on_any_rank(ONE_RANK)
        assert stop.was_interrupted == (number == signal.SIGINT)
        expected = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        assert signal.getsignal(number) == expected
    finally:
        for asking, handler in before.items():
            signal.signal(asking, handler)
