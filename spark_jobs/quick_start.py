"""Starts Spark a third sooner: its classes come from an archive that set-up made, and Delta's jars from a folder.

A JVM spends its first seconds reading, checking and linking some 20,000 classes. It takes them from a class data
sharing archive instead where Java is that of the recording and the class path begins as it did then, and otherwise,
without a word, from the jars. Hence the jars stand in front of Spark's own class path, which begins with its settings.

Source: JEP 310, Application Class-Data Sharing.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from spark_jobs.java import find_java
from taxonomy.errors import WorkFailedError
from taxonomy.whole_file import write_whole

_RECORD_S = 300
_QUICK_COMPILER = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_SAMPLE_CSV = """\
photo_id,scientificName,kingdom,phylum,class,order,family,genus,species,common_name,photo_url
1,Exempla rubra,Animalia,Arthropoda,Arachnida,Araneae,Testidae,Exempla,rubra,,https://example.org/photos/1/medium.jpg
2,Exempla alba,Animalia,Arthropoda,Arachnida,Araneae,Testidae,Exempla,alba,,https://example.org/photos/2/medium.jpg
"""


def folder() -> Path:
    """Where jars and archive are, or would be, in this virtual environment: another Spark needs others."""
    return Path(sys.prefix) / "share" / "taxaflow" / f"spark-{version('pyspark')}"


def is_there() -> bool:
    """Whether set-up made the archive and all of it is there: on one cut short the JVM ends."""
    try:
        return _archive().stat().st_size == int(_size_file().read_text())
    except (FileNotFoundError, ValueError):
        return False


def settings(part: str) -> dict[str, str]:
    """The settings of Spark that use it, before the JVM starts; harmless where it is missing.

    Args:
        part: driver or executor.
    """
    options = f'"-XX:SharedArchiveFile={_archive()}" -XX:+VerifySharedSpaces -Xlog:cds*=off'
    return {f"spark.{part}.extraClassPath": _class_path(), f"spark.{part}.extraJavaOptions": options}


def spark_folder() -> Path:
    """The folder of the installed Spark."""
    spec = importlib.util.find_spec("pyspark")
    assert spec is not None and spec.origin is not None, "pyspark is installed"
    return Path(spec.origin).parent


def _archive() -> Path:
    return folder() / "classes.jsa"


def _size_file() -> Path:
    """Says how many bytes the archive has."""
    return folder() / "classes.size"


def _class_path() -> str:
    return f"{spark_folder() / 'jars'}/*:{folder() / 'jars'}/*"


def forget() -> None:
    """Remove what was recorded."""
    shutil.rmtree(folder(), ignore_errors=True)


def record(jars: Sequence[Path]) -> None:
    """Keep Delta's jars and archive the classes that an ingest, a count and a selection load; takes a minute.

    Replaces what was recorded before.

    Raises:
        OSError, subprocess.TimeoutExpired, WorkFailedError: no room, or a step failed; nothing is left then.
    """
    forget()
    (folder() / "jars").mkdir(parents=True)
    try:
        for jar in jars:
            shutil.copy(jar, folder() / "jars" / jar.name)
        with tempfile.TemporaryDirectory(prefix="taxaflow-set-up-") as scratch:
            names = Path(scratch, "classes.txt")
            options = f'{_QUICK_COMPILER} "-XX:DumpLoadedClassList={names}"'
            conf = {"spark.driver.extraClassPath": _class_path(), "spark.driver.extraJavaOptions": options}
            environment = {"TAXAFLOW_SPARK_CONF": ";".join(f"{key}={value}" for key, value in conf.items())}
            _run([sys.executable, "-m", "spark_jobs.quick_start"], environment)
            _dump(names)
    except BaseException:
        forget()
        raise


def _dump(names: Path) -> None:
    """Write the archive of the classes named, complete or not at all."""
    unfinished = _archive().with_suffix(".unfinished")
    options = [f"-XX:SharedClassListFile={names}", f"-XX:SharedArchiveFile={unfinished}", *_QUICK_COMPILER.split()]
    _run([str(find_java()[0]), "-Xshare:dump", *options, "-Xlog:cds*=off", "-Xmx1g", "-cp", _class_path()], {})
    unfinished.replace(_archive())
    write_whole(_size_file(), str(_archive().stat().st_size).encode())


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, env=os.environ | environment, check=False, capture_output=True, text=True, timeout=_RECORD_S
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-500:]
        raise WorkFailedError(f"{Path(command[0]).name} ended with {done.returncode}: {said}")


def _use_classes() -> None:
    """Run the three jobs on two photos."""
    from spark_jobs import count_taxa, ingest_photos, select_photos
    from spark_jobs.config import CountConfig, IngestConfig, SelectConfig
    from spark_jobs.locks import check_root
    from spark_jobs.session import get_session

    with tempfile.TemporaryDirectory(prefix="taxaflow-set-up-") as scratch:
        root, source = Path(scratch, "root"), Path(scratch, "photos.csv")
        source.write_text(_SAMPLE_CSV, encoding="utf-8")
        check_root(root)
        spark = get_session("taxaflow set-up", Path(scratch, "spark.log"))
        ingest_photos.run(spark, IngestConfig(source="biotrove", input=source, root=root, snapshot="2026-10"))
        count_taxa.run(spark, CountConfig(root=root))
        select_photos.run(spark, SelectConfig(root=root, dataset="set-up", min_photos=1))
        spark.stop()


if __name__ == "__main__":
    _use_classes()
