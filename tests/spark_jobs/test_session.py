"""Settings of Spark that a user adds go together with those that make sessions start quickly."""

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
