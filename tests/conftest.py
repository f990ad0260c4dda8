"""What the lanes share: one Spark session, where shared data lies, and a fresh data root."""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PROJECT = Path(__file__).resolve().parent.parent

os.environ.setdefault("OMP_NUM_THREADS", "1")  # more threads wait for each other busily where the tests are many

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a script's background: processes would not hear Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

SMALL_SPARK = {
    "spark.master": "local[2]",
    "spark.sql.shuffle.partitions": "2",
    "spark.buffer.pageSize": "1m",  # else every small join and sort takes, and zeroes, 16 MB and more
    # tiny data: compile little, and keep it (the space for that compiler alone is 48 MB)
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC",
}
"""Settings of Spark for small data, for the session of the tests and for processes they start."""

INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
"""Settings of the session of the tests: to compile a plan takes longer than to run it over a few rows.

The commands that tests start compile theirs, as users' do; only those of the standalone cluster do not.
"""


TORCH_FOLDERS = ("trainer", "evaluation", "inference", "release", "bench")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the tests that import torch unread where the lane has none of them."""
    folders = {folder.name for folder in collection_path.parents}
    if "not torch" in config.option.markexpr and folders & set(TORCH_FOLDERS):
        return "pytest.mark.torch" in collection_path.read_text("utf-8") if collection_path.is_file() else None
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: the end of a run, where one process waits for the other, stays short."""
    sizes = Counter(item.path for item in items if item.get_closest_marker("spark"))

    def order(item: pytest.Item) -> tuple[bool, int, Path]:
        starts_processes = item.get_closest_marker("process") is not None
        return not starts_processes, -sizes[item.path], item.path

    items.sort(key=order)


@pytest.fixture(scope="session")
def spark() -> "Iterator[SparkSession]":
    """The one Spark session of a test run: local[2], few partitions."""
    from spark_jobs.session import get_session

    settings = ";".join(f"{key}={value}" for key, value in (SMALL_SPARK | INTERPRETED).items())
    own = {"TAXAFLOW_DRIVER_MEMORY": "1g", "TAXAFLOW_SPARK_CONF": settings}
    with pytest.MonkeyPatch.context() as environment:  # commands that tests start have a session as users have
        for name in own.keys() - os.environ.keys():
            environment.setenv(name, own[name])
        session = get_session("taxaflow tests")
    yield session
    session.stop()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty data root."""
    from spark_jobs.locks import check_root

    folder = tmp_path / "root"
    check_root(folder)
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared real data; tests that need it skip, saying so, where it is absent."""
    folder = Path(os.environ.get("TAXAFLOW_SHARED", PROJECT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared data at {folder} (set TAXAFLOW_SHARED)")
    return folder


@pytest.fixture
def torchrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the script that plays torchrun; its arguments and OMP_NUM_THREADS are two lines of the file `arguments`."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    script = tmp_path / "torchrun"

    def play(lines: str) -> None:
        notes = f'echo "$@" > {tmp_path}/arguments; echo $OMP_NUM_THREADS >> {tmp_path}/arguments'
        script.write_text("\n".join(("#!/bin/sh", notes, lines)))
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))

    yield play
    for number, handler in handlers.items():
        signal.signal(number, handler)
