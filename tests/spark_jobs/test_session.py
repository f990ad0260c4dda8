"""Settings of Spark that a user adds go together with those that make sessions start quickly."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spark_jobs import quick_start, session

JAVA_OPTIONS = "spark.driver.extraJavaOptions"


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment in which set-up has left an archive."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    for name in ("PYSPARK_GATEWAY_PORT", "JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS"):
        monkeypatch.delenv(name, raising=False)
    quick_start.folder().mkdir(parents=True)
    (quick_start.folder() / "classes.jsa").write_bytes(b"classes")
    (quick_start.folder() / "classes.size").write_text("7")
    return quick_start.folder()


def settings(monkeypatch: pytest.MonkeyPatch, extra: str) -> dict[str, str]:
    monkeypatch.setenv("TAXAFLOW_SPARK_CONF", extra)
    return session._settings()


def test_class_paths_and_java_options_are_joined(recorded: Path, monkeypatch: pytest.MonkeyPatch):
    found = settings(monkeypatch, f"spark.driver.extraClassPath=/mine.jar;{JAVA_OPTIONS}=-Dmine=1")
    assert found["spark.driver.extraClassPath"].endswith(f"{recorded}/jars/*:/mine.jar")
    assert f"{recorded}/classes.jsa" in found[JAVA_OPTIONS]
    assert found[JAVA_OPTIONS].endswith("-XX:+UseParallelGC -Dmine=1")


@pytest.mark.parametrize("option", ["-XX:+UseG1GC", "-XX:+UseSerialGC -Xss4m", "-XX:+UseZGC"])
def test_a_jvm_is_told_one_collector(recorded: Path, monkeypatch: pytest.MonkeyPatch, option: str):
    assert settings(monkeypatch, f"{JAVA_OPTIONS}={option}")[JAVA_OPTIONS].count("GC") == 1
    monkeypatch.setenv("JDK_JAVA_OPTIONS", option)
    assert "GC" not in settings(monkeypatch, "")[JAVA_OPTIONS]


def test_only_sessions_elsewhere_are_sent_delta(recorded: Path, monkeypatch: pytest.MonkeyPatch):
    assert settings(monkeypatch, "")["spark.jars.packages"] == ""
    assert settings(monkeypatch, "spark.master=spark://host:7077")["spark.jars.packages"] == session.DELTA_PACKAGE


def test_an_archive_cut_short_counts_as_none(recorded: Path, monkeypatch: pytest.MonkeyPatch):
    (recorded / "classes.jsa").write_bytes(b"class")
    assert "spark.driver.extraClassPath" not in settings(monkeypatch, "")


def test_without_a_recording_delta_comes_from_the_jar_cache(recorded: Path, monkeypatch: pytest.MonkeyPatch):
    quick_start.forget()
    found = settings(monkeypatch, f"{JAVA_OPTIONS}=-Dmine=1")
    assert found["spark.jars.packages"] == session.DELTA_PACKAGE
    assert found[JAVA_OPTIONS] == "-XX:+UseParallelGC -Dmine=1"
    assert "spark.driver.extraClassPath" not in found


def test_workers_of_a_local_session_start_from_our_daemon(recorded: Path, monkeypatch: pytest.MonkeyPatch):
    found = settings(monkeypatch, "spark.executorEnv.PYTHONPATH=/mine")
    assert found["spark.python.daemon.module"] == "taxaflow_daemon"
    assert found["spark.executorEnv.PYTHONPATH"] == f"{Path(session.__file__).parent}:/mine"
    assert "spark.python.daemon.module" not in settings(monkeypatch, "spark.master=spark://host:7077")
    assert "spark.executorEnv.PYTHONPATH" not in settings(monkeypatch, "spark.python.daemon.module=mine")


def test_our_daemon_takes_the_installed_pyspark_and_leaves_its_folder(tmp_path: Path):
    folder = Path(session.__file__).parent
    (tmp_path / "pyspark.zip").touch()
    lines = "import sys, taxaflow_daemon, pyspark; print(sys.path[-1], pyspark.__file__, *sys.path, sep='\\n')"
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}/pyspark.zip:{folder}"}
    done = subprocess.run([sys.executable, "-c", lines], env=environment, cwd=tmp_path, capture_output=True, text=True)
    last, origin, *path = done.stdout.splitlines()
    assert last == f"{tmp_path}/pyspark.zip", done.stderr
    assert Path(origin).parent == quick_start.spark_folder()
    assert str(folder) not in path


@pytest.mark.spark
def test_a_worker_runs_the_installed_pyspark(spark):
    def origin(batches):
        import pyarrow as pa
        import pyspark

        for _ in batches:
            yield pa.RecordBatch.from_pydict({"origin": [pyspark.__file__]})

    [row] = spark.range(1).coalesce(1).mapInArrow(origin, "origin string").collect()
    assert Path(row["origin"]).parent == quick_start.spark_folder()
