"""Sessions start from the recorded classes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spark_jobs import quick_start


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the recording in a virtual environment that has none."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    return quick_start.folder()


def test_nothing_stays_of_a_recording_that_failed(environment: Path, tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        quick_start.record([tmp_path / "missing.jar"])
    assert not environment.exists()
    assert not quick_start.is_there()


def test_the_classes_come_first_and_from_the_environment(environment: Path):
    found = quick_start.settings("executor")
    assert found["spark.executor.extraClassPath"].endswith(f"pyspark/jars/*:{environment}/jars/*")
    assert str(environment / "classes.jsa") in found["spark.executor.extraJavaOptions"]


def read_a_table(folder: Path, java_options: str) -> str:
    """What a process of its own prints that writes and counts three rows in a session with these options."""
    code = (
        "from pathlib import Path\n"
        "from spark_jobs.session import get_session\n"
        f"spark = get_session('test', Path({str(folder / 'spark.log')!r}))\n"
        f"spark.range(3).write.format('delta').save({str(folder / 'table')!r})\n"
        f"print(spark.read.format('delta').load({str(folder / 'table')!r}).count())\n"
    )
    settings = {"TAXAFLOW_SPARK_CONF": f"spark.driver.extraJavaOptions={java_options}"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=True).stdout


@pytest.mark.process
@pytest.mark.timeout(120)
@pytest.mark.skipif(" " in sys.prefix, reason="Java takes no recorded class of a jar whose path has a space")
def test_a_session_takes_its_classes_from_the_recording(tmp_path: Path):
    assert quick_start.is_there(), "set-up did not record the classes: run make setup"
    loaded = tmp_path / "classes.log"
    assert read_a_table(tmp_path, f"-Xlog:class+load:file={loaded}") == "3\n"
    lines = [line for line in loaded.read_text().splitlines() if " org.apache.spark." in line]
    shared = [line for line in lines if "shared objects file" in line]
    assert len(shared) > 0.8 * sum("$$Lambda" not in line for line in lines)
    assert any(" org.apache.spark.sql.delta." in line for line in shared), "Delta's own classes too"


@pytest.mark.process
@pytest.mark.timeout(120)
def test_a_damaged_archive_is_not_used(tmp_path: Path):
    damaged = tmp_path / "classes.jsa"
    shutil.copyfile(quick_start.folder() / "classes.jsa", damaged)
    with damaged.open("r+b") as file:
        for start in range(2**20, damaged.stat().st_size, 2**20):
            file.seek(start)
            file.write(b"damage")
    assert read_a_table(tmp_path, f"-XX:SharedArchiveFile={damaged}") == "3\n"
