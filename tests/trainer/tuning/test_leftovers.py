"""What a killed search leaves is removed by the next one: its own, and nothing else."""

import subprocess
import sys

import pytest

from trainer.tuning.leftovers import SESSION, STORAGE, make_temporary, processes_in, remove_leftovers


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Ray's temporary folder of a search in tmp_path/out, with a file in it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "out" / STORAGE).mkdir(parents=True)
    temporary = make_temporary(tmp_path / "out")
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
