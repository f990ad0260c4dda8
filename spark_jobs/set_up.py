"""Set-up of a virtual environment for Spark with Delta: `python -m spark_jobs.set_up`.

Writes Delta's settings into the installed Spark's own defaults, so that plain `spark-submit` has them, quietens its
log, fetches the Delta jars into the local cache and shows that a table can be written and read.
"""

import sys
import tempfile
from pathlib import Path

from spark_jobs.session import delta_conf, get_session

_LOG_SETTINGS = """\
rootLogger.level = error
rootLogger.appenderRef.stdout.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n
"""


def write_spark_defaults() -> Path:
    """Write spark-defaults.conf and log4j2.properties of the installed pyspark; the folder they are in."""
    import pyspark

    folder = Path(pyspark.__file__).parent / "conf"
    folder.mkdir(exist_ok=True)
    lines = [f"{key} {value}" for key, value in delta_conf().items()]
    (folder / "spark-defaults.conf").write_text("\n".join(lines) + "\n")
    (folder / "log4j2.properties").write_text(_LOG_SETTINGS)
    return folder


def check_delta() -> int:
    """Write and read a small Delta table by Spark, fetching the jars if need be; rows read."""
    with tempfile.TemporaryDirectory(prefix="taxaflow-set-up-") as folder:
        spark = get_session("taxaflow set-up", Path(folder) / "spark.log")
        table = str(Path(folder) / "table")
        spark.range(3).write.format("delta").save(table)
        num_rows = spark.read.format("delta").load(table).count()
        spark.stop()
    return num_rows


def main() -> None:
    """Set Spark up and say so in one line."""
    folder = write_spark_defaults()
    num_rows = check_delta()
    if num_rows != 3:
        sys.exit(f"set-up: Delta gave {num_rows} rows instead of 3")
    print(f"set-up: Spark and Delta work; settings in {folder}")


if __name__ == "__main__":
    main()
