"""Intermediate results of a job, kept as parquet below the data root while it runs."""

import shutil
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from spark_jobs.table_io import spark_path

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class Scratch:
    """A folder that is empty at the start of the block and gone after it; one job at a time may use a name.

    Frames kept here are computed once, whatever is then made of them, and may be larger than memory.
    """

    def __init__(self, spark: "SparkSession", root: Path, name: str) -> None:
        self._spark = spark
        self._folder = root / f"scratch-{name}"

    def __enter__(self) -> "Scratch":
        """Remove what a killed run left behind."""
        if self._folder.exists():
            shutil.rmtree(self._folder)
        self._folder.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def keep(self, name: str, frame: "DataFrame") -> "DataFrame":
        """Compute the frame now; returns the same rows, read from disk."""
        path = str(self._folder / name)
        frame.write.parquet(path)
        return self._spark.read.schema(frame.schema).parquet(spark_path(path))
