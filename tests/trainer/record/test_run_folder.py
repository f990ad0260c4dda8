"""A run's folder is claimed once, by a name of its own, and held by one process."""

import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from taxonomy.errors import BadInputError
from tests.conftest import PROJECT
from trainer.record.run_folder import RunFolder, default_name


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_claimed_run_has_its_configuration_and_folders(tmp_path):
    run = RunFolder(tmp_path / "logs", "run")
    assert not run.has_begun
    run.claim(None, "lr = 0.1\n")
    assert run.path == tmp_path / "logs" / "run"
    assert run.config.read_text() == "lr = 0.1\n"
    assert run.checkpoints.is_dir()
    assert run.has_begun
    assert everything(run.path) == [".lock", "checkpoints", "config.toml"]


def test_a_check_writes_nothing(tmp_path):
    RunFolder(tmp_path / "logs" / "deep", "run").check(None)
    RunFolder(tmp_path / "logs", "run").check("latest")
    assert everything(tmp_path) == []


def test_a_name_is_used_once_unless_resumed(tmp_path):
    first = RunFolder(tmp_path, "run")
    first.claim(None, "first")
    first.release()
    before = everything(tmp_path)
    for method in (lambda run: run.check(None), lambda run: run.claim(None, "second")):
        with pytest.raises(BadInputError, match=r"--name run: there is such a run.*--resume latest"):
            method(RunFolder(tmp_path, "run"))
    assert everything(tmp_path) == before
    assert first.config.read_text() == "first"
    again = RunFolder(tmp_path, "run")
    again.claim("latest", "second")
    assert again.config.read_text() == "second"


@pytest.mark.parametrize("trace", ["train.jsonl", "checkpoints", "config.toml"])
def test_any_trace_of_a_run_makes_its_name_taken(tmp_path, trace):
    (tmp_path / "run" / trace).mkdir(parents=True)
    with pytest.raises(BadInputError, match="there is such a run"):
        RunFolder(tmp_path, "run").check(None)


def test_an_empty_folder_is_no_run(tmp_path):
    (tmp_path / "run").mkdir()
    RunFolder(tmp_path, "run").claim(None, "")


def test_a_checkpoint_of_its_own_goes_on_and_one_of_another_run_begins(tmp_path, monkeypatch):
    own = tmp_path / "logs" / "run" / "checkpoints" / "step_000010"
    own.mkdir(parents=True)
    run = RunFolder(tmp_path / "logs", "run")
    assert run.goes_on(str(own))
    assert run.goes_on("latest")
    assert not run.goes_on(None)
    assert not run.goes_on(str(tmp_path / "logs" / "other" / "checkpoints" / "step_000010"))
    assert not run.goes_on(str(tmp_path / "logs" / "run_2" / "checkpoints" / "step_000010"))
    monkeypatch.chdir(tmp_path / "logs")
    assert RunFolder(Path(), "run").goes_on("run/checkpoints/step_000010")
    run.check(str(own))
    with pytest.raises(BadInputError, match="there is such a run"):
        run.check(str(tmp_path / "elsewhere.pt"))


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "/a", "a/", "a\0b"])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path, name):
    with pytest.raises(BadInputError, match="plain name of a folder"):
        RunFolder(tmp_path, name).claim(None, "")
    assert everything(tmp_path) == []


def test_logs_that_are_no_folder_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for logs in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadInputError, match=r"--logs .*cannot be written"):
            RunFolder(logs, "run").check(None)


HOLD = """
import os, sys, time
from pathlib import Path
from trainer.record.run_folder import RunFolder
RunFolder_ = RunFolder(Path(sys.argv[1]), "run")
RunFolder_.claim(None, "theirs")
if os.fork() == 0:  # a loader worker
    time.sleep(60)
print(os.getpid(), flush=True)
time.sleep(60)
"""


def test_a_live_process_holds_its_run_and_a_killed_one_does_not(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as holder:
        try:
            assert holder.stdout is not None
            pid = int(holder.stdout.readline())
            run = RunFolder(tmp_path, "run")
            with pytest.raises(BadInputError, match=rf"--name run: process {pid} on .* since 20.* trains in"):
                run.claim("latest", "ours")
            assert run.config.read_text() == "theirs"
            holder.send_signal(signal.SIGKILL)  # not its worker
            holder.wait()
            time.sleep(0.05)
            run.claim("latest", "ours")
            assert run.config.read_text() == "ours"
        finally:
            os.killpg(holder.pid, signal.SIGKILL)


def test_a_run_can_be_claimed_once_in_a_process_and_again_when_released(tmp_path):
    first, second = RunFolder(tmp_path, "run"), RunFolder(tmp_path, "run")
    first.claim(None, "1")
    with pytest.raises(BadInputError, match=str(os.getpid())):
        second.claim("latest", "2")
    first.release()
    second.claim("latest", "2")


def test_a_disk_that_refuses_is_bad_input_and_not_held(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".config.toml.tmp").mkdir()  # in the way of the temporary file
    with pytest.raises(BadInputError, match=r"--logs .*cannot be written: "):
        RunFolder(tmp_path, "run").claim(None, "")
    (tmp_path / "run" / ".config.toml.tmp").rmdir()
    RunFolder(tmp_path, "run").claim(None, "")


def test_the_default_name_is_the_published_one_but_shorter():
    name = default_name("hf-hub:org/ViT", 1e-4, 4096, datetime(2026, 1, 31, 12, 5, 9))
    assert name == "2026_01_31-12_05_09-model_hf-hub:org-ViT-lr_0.0001-b_4096"
    RunFolder(Path(), name).check(None)
