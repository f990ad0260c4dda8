"""What a killed search leaves is removed by the next one: its own, and nothing else."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.tuning.ray_search.leftovers import (
    SESSION,
    STORAGE,
    core_processes,
    has_ended,
    make_temporary,
    processes_in,
    remove_leftovers,
    temporary_parent,
)


@pytest.fixture
def temporary(tmp_path):
    """Ray's temporary folder of a search in tmp_path/out, with a file in it."""
    (tmp_path / "out" / STORAGE).mkdir(parents=True)
    temporary = make_temporary(tmp_path / "out", tmp_path)
    (temporary / "file").touch()
    return temporary


def test_folders_are_removed(tmp_path, temporary):
    (tmp_path / "out" / "tune.toml").touch()
    remove_leftovers(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tune.toml"]
    assert not temporary.exists()
    remove_leftovers(tmp_path / "out")


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere open files cannot be seen")
def test_processes_with_files_in_the_folder_are_ended_and_no_others(tmp_path, temporary):
    other = tmp_path / f"{temporary.name}-other"
    other.mkdir()
    (other / "file").touch()
    code = "import sys, time; file = open(sys.argv[1]); print(flush=True); time.sleep(600)"
    processes = []
    try:
        for folder in (temporary, other):
            command = [sys.executable, "-S", "-c", code, str(folder / "file")]
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))
            assert processes[-1].stdout.readline() == b"\n"
        assert processes_in(temporary) == [processes[0].pid]
        with (temporary / "file").open():
            remove_leftovers(tmp_path / "out")
        assert processes[0].wait(60) == -9
        assert processes[1].poll() is None
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere open files cannot be seen")
def test_the_end_of_a_process_that_ray_needs_is_seen_before_anybody_waited_for_it(tmp_path, temporary):
    processes = []
    try:
        for name in ("raylet", "dashboard"):
            program = shutil.copy("/bin/sleep", tmp_path / name)
            with (temporary / name).open("w") as log:
                processes.append(subprocess.Popen([program, "600"], stdout=log))
        (needed,) = core_processes(tmp_path / "out")
        assert needed == processes[0].pid
        assert not has_ended(needed)
        processes[0].kill()
        until = time.monotonic() + 60
        while not has_ended(needed):
            assert time.monotonic() < until
        processes[0].wait()
        assert has_ended(needed)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    (tmp_path / "out" / SESSION).unlink()
    assert core_processes(tmp_path / "out") == []


@pytest.mark.parametrize("name", ["precious", "taxaflow-tune-link"])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path, temporary, name):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    if name != "precious":
        (tmp_path / name).symlink_to(precious)
    (tmp_path / "out" / SESSION).write_text(str(tmp_path / name))
    remove_leftovers(tmp_path / "out")
    assert (precious / "file").exists()


def test_a_folder_that_could_not_be_made_any_more_is_noted_and_its_note_removed(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(FileNotFoundError):
        make_temporary(tmp_path / "out", tmp_path / "full")
    assert (tmp_path / "out" / SESSION).is_file()
    remove_leftovers(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("usual", "parent"), [("/var/tmp", "/var/tmp"), (f"/scratch/{'job' * 9}", "/tmp")])
def test_sockets_have_a_short_path_whatever_tmpdir_is(monkeypatch, usual, parent):
    monkeypatch.setattr("tempfile.tempdir", usual)
    assert temporary_parent() == Path(parent)
