"""The only place that configures Spark and Delta."""

import atexit
import importlib.util
import logging
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from spark_jobs import quick_start
from spark_jobs.java import find_java
from taxonomy.errors import WorkFailedError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DELTA_PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"
DELTA_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"
DELTA_CATALOG = "org.apache.spark.sql.delta.catalog.DeltaCatalog"

_IN_SPARK_ALREADY = (
    "com.fasterxml.jackson.core:jackson-annotations",
    "com.fasterxml.jackson.core:jackson-core",
    "com.fasterxml.jackson.core:jackson-databind",
    "com.fasterxml.jackson.datatype:jackson-datatype-jdk8",
    "com.github.luben:zstd-jni",
    "com.google.code.findbugs:jsr305",
    "commons-logging:commons-logging",
    "commons-pool:commons-pool",
    "io.airlift:aircompressor",
    "javax.annotation:javax.annotation-api",
    "org.apache.hadoop:hadoop-client-api",
    "org.apache.hadoop:hadoop-client-runtime",
    "org.apache.logging.log4j:log4j-api",
    "org.apache.logging.log4j:log4j-core",
    "org.apache.logging.log4j:log4j-slf4j2-impl",
    "org.apache.parquet:parquet-column",
    "org.apache.parquet:parquet-common",
    "org.apache.parquet:parquet-encoding",
    "org.apache.parquet:parquet-format-structures",
    "org.apache.parquet:parquet-hadoop",
    "org.apache.parquet:parquet-jackson",
    "org.roaringbitmap:RoaringBitmap",
    "org.roaringbitmap:shims",
    "org.slf4j:slf4j-api",
    "org.xerial.snappy:snappy-java",
)
"""Dependencies of Delta that Spark brings itself; without them there is a tenth to fetch and sessions start sooner."""

_CLASS_PATH = "spark.driver.extraClassPath"
_JAVA_OPTIONS = "spark.driver.extraJavaOptions"
_DAEMON = "spark.python.daemon.module"
_WORKER_PATH = "spark.executorEnv.PYTHONPATH"
EXTRA_CONF_VARIABLE = "TAXAFLOW_SPARK_CONF"
"""Further Spark settings as `key=value;key=value`, for measurements and unusual machines."""

_PROJECT = Path(__file__).resolve().parent.parent


_LOG_SETTINGS = """\
rootLogger.level = error
rootLogger.appenderRef.stdout.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n
"""

_DELTA_CONF = {"spark.sql.extensions": DELTA_EXTENSION, "spark.sql.catalog.spark_catalog": DELTA_CATALOG}
_DELTA_JARS = {"spark.jars.packages": DELTA_PACKAGE, "spark.jars.excludes": ",".join(_IN_SPARK_ALREADY)}


def spark_conf_files() -> dict[str, str]:
    """Name -> text of the files in Spark's settings folder that set-up writes: for spark-submit, and a quiet log."""
    settings = _DELTA_JARS | _DELTA_CONF | quick_start.settings("driver") | quick_start.settings("executor")
    lines = [f"{key} {value}\n" for key, value in settings.items()]
    return {"spark-defaults.conf": "".join(lines), "log4j2.properties": _LOG_SETTINGS}


def get_session(app_name: str, log: Path | None = None) -> "SparkSession":
    """The session of this process, made on first call.

    Args:
        app_name: shown in Spark's own tools.
        log: a file that receives what the JVM prints; None leaves it on stderr. Under spark-submit the JVM is
            older than this process and keeps its own stderr.

    Raises:
        WorkFailedError: no Java, or one that is too old, or spark-submit did not get Delta.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.sql import SparkSession

    if not under_spark_submit():
        find_java()
    logging.getLogger("py4j").setLevel(logging.WARNING)  # else --debug shows every call to the JVM
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.appName(app_name)
    for key, value in _settings().items():
        builder = builder.config(key, value)
    with _output_to(log):
        session = builder.getOrCreate()
    context = session.sparkContext
    context.setLogLevel(os.environ.get("TAXAFLOW_LOG_LEVEL", "ERROR"))
    try:
        context._jvm.java.lang.Thread.currentThread().getContextClassLoader().loadClass(DELTA_CATALOG)  # pyright: ignore
    except Py4JJavaError as error:
        raise WorkFailedError(f"Spark has no Delta; use: spark-submit --packages {DELTA_PACKAGE} ...") from error
    _ship_code(session)
    return session


@contextmanager
def _output_to(log: Path | None) -> Iterator[None]:
    """Let processes started in the block print into `log`, by lending them our stdout and stderr."""
    if log is None:
        yield
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    saved = os.dup(1), os.dup(2)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        os.close(saved[0])
        os.close(saved[1])


def under_spark_submit() -> bool:
    """Whether spark-submit started this process, so that the JVM is already configured."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _settings() -> dict[str, str]:
    settings = {
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.databricks.delta.properties.defaults.enableDeletionVectors": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.shuffle.reduceLocality.enabled": "false",  # a free slot takes the next shard, wherever its plan lies
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
    }
    pairs = (pair.split("=", 1) for pair in os.environ.get(EXTRA_CONF_VARIABLE, "").split(";") if "=" in pair)
    extra = dict(pairs)
    if under_spark_submit():
        return settings | extra
    settings |= _DELTA_CONF | _local_settings() | extra
    is_local = settings["spark.master"].startswith("local")
    if is_local:
        settings |= _daemon_settings(extra)
    options = [*_collector(extra.get(_JAVA_OPTIONS, "")), extra.get(_JAVA_OPTIONS, "")]
    if not quick_start.is_there():
        return _DELTA_JARS | settings | {_JAVA_OPTIONS: " ".join(options).strip()}
    quick = quick_start.settings("driver")
    options.insert(0, quick.pop(_JAVA_OPTIONS))
    class_path = [quick.pop(_CLASS_PATH), extra.get(_CLASS_PATH, "")]
    jars = {"spark.jars.packages": ""} if is_local else _DELTA_JARS  # executors elsewhere are sent them
    joined = {_JAVA_OPTIONS: " ".join(options).strip(), _CLASS_PATH: ":".join(filter(None, class_path))}
    return jars | quick | settings | joined


def _daemon_settings(extra: Mapping[str, str]) -> dict[str, str]:
    """Python workers start from spark_jobs/taxaflow_daemon.py, unless the user chose another daemon."""
    if _DAEMON in extra:
        return {}
    path = os.pathsep.join(filter(None, (str(Path(__file__).parent), extra.get(_WORKER_PATH))))
    return {_DAEMON: "taxaflow_daemon", _WORKER_PATH: path}


def _collector(options: str) -> list[str]:
    """The option for the garbage collector that suits few cores, where nobody chose another (a JVM takes only one)."""
    chosen = " ".join((options, *(os.environ.get(name, "") for name in ("JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS"))))
    return [] if re.search(r"-XX:\+Use\w*GC\b", chosen) else ["-XX:+UseParallelGC"]


def _local_settings() -> dict[str, str]:
    num_cores = os.cpu_count() or 2
    return {
        "spark.master": f"local[{num_cores}]",
        "spark.driver.memory": os.environ.get("TAXAFLOW_DRIVER_MEMORY", "3g"),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": str(2 * num_cores),
        "spark.ui.enabled": "false",
    }


def _ship_code(session: "SparkSession") -> None:
    """Make `taxonomy` and `spark_jobs` importable in Python workers, whatever folder they start in."""
    context = session.sparkContext
    if getattr(context, "_taxaflow_shipped", False):
        return
    folder = Path(tempfile.mkdtemp(prefix="taxaflow-code-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    archive = folder / "taxaflow_code.zip"
    pack_code(archive, _PROJECT)
    context.addPyFile(str(archive))
    context._taxaflow_shipped = True  # pyright: ignore[reportAttributeAccessIssue]


def pack_code(archive: Path, project: Path) -> None:
    """Write the packages that workers need into a zip file, with their compiled forms where Python has kept them.

    A worker takes the compiled form if it fits its version and the source, and else compiles the source at each start.
    """
    with zipfile.ZipFile(archive, "w") as code:
        for package in ("taxonomy", "spark_jobs"):
            for path in sorted((project / package).rglob("*.py")):
                name = path.relative_to(project)
                code.write(path, name)
                compiled = Path(importlib.util.cache_from_source(str(path)))
                if compiled.is_file():
                    code.write(compiled, name.with_suffix(".pyc"))
