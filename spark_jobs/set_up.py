"""Set-up of a virtual environment for Spark with Delta: `python -m spark_jobs.set_up`.

Writes Delta's settings into the installed Spark's own defaults, so that plain `spark-submit` has them, quietens its
log, fetches the Delta jars into the local cache, shows that a table can be written and read, and records what makes
later sessions start quickly.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from spark_jobs import quick_start
from spark_jobs.session import get_session, spark_conf_files
from taxonomy.errors import WorkFailedError


def write_spark_defaults() -> Path:
    """Write the settings files of the installed pyspark; the folder they are in."""
    folder = quick_start.spark_folder() / "conf"
    folder.mkdir(exist_ok=True)
    for name, text in spark_conf_files().items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def check_delta() -> tuple[int, list[Path]]:
    """Write and read a small Delta table by Spark, fetching the jars if need be; rows read, and the jars."""
    with tempfile.TemporaryDirectory(prefix="taxaflow-set-up-") as folder:
        spark = get_session("taxaflow set-up", Path(folder) / "spark.log")
        table = str(Path(folder) / "table")
        spark.range(3).write.format("delta").save(table)
        num_rows = spark.read.format("delta").load(table).count()
        jars = spark.sparkContext.getConf().get("spark.jars") or ""
        spark.stop()
    return num_rows, [Path(jar.removeprefix("file://")) for jar in jars.split(",") if jar]


def main() -> None:
    """Set Spark up and say so in one line."""
    folder = write_spark_defaults()
    quick_start.forget()
    num_rows, jars = check_delta()
    if num_rows != 3:
        sys.exit(f"set-up: Delta gave {num_rows} rows instead of 3")
    print(f"set-up: Spark and Delta work; settings in {folder}", flush=True)
    print("set-up: recording classes, so that later commands start a third sooner (a minute)", flush=True)
    try:
        quick_start.record(jars)
    except (OSError, subprocess.TimeoutExpired, WorkFailedError) as error:
        print(f"set-up: sessions will start slowly, as their classes could not be recorded: {error}")


if __name__ == "__main__":
    main()
