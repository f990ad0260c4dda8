"""Which Java is found: scripts that say what a Java says stand at JAVA_HOME and on PATH."""

import pytest

from spark_jobs.java import find_java
from taxonomy.errors import WorkFailedError


@pytest.fixture
def install(tmp_path):
    """Make a `java` that says it is of a version; returns its home."""

    def make(name: str, says: str, code: int = 0):
        path = tmp_path / name / "bin" / "java"
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\necho 'Picked up JAVA_TOOL_OPTIONS: -Da=1' >&2\necho '{says}' >&2\nexit {code}\n")
        path.chmod(0o755)
        return tmp_path / name

    return make


def test_java_home_wins_over_path(install, monkeypatch):
    home = install("home", 'openjdk version "21.0.2" 2024-01-16')
    path = install("path", 'openjdk version "17" 2021-09-14')
    monkeypatch.setenv("PATH", str(path / "bin"))
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert find_java() == (home / "bin" / "java", 21)
    monkeypatch.delenv("JAVA_HOME")
    assert find_java() == (path / "bin" / "java", 17)


@pytest.mark.parametrize(
    ("says", "code", "message"),
    [
        ('java version "1.8.0_402"', 0, "is Java 8, 17 or newer"),
        ('openjdk version "11.0.1"', 0, "is Java 11"),
        ("hello", 0, "names no version"),
        ("broken", 1, "fails"),
    ],
)
def test_an_old_or_broken_java_is_told_in_one_line(install, monkeypatch, says, code, message):
    monkeypatch.setenv("JAVA_HOME", str(install("home", says, code)))
    with pytest.raises(WorkFailedError, match=message) as refused:
        find_java()
    assert "apt-get install openjdk-17" in str(refused.value) and len(str(refused.value).splitlines()) == 1


def test_no_java(tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(WorkFailedError, match=r"has no bin/java.*apt-get"):
        find_java()
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WorkFailedError, match=r"no java on PATH.*apt-get"):
        find_java()
