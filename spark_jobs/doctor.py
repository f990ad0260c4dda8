"""`taxaflow doctor`: is everything here that the steps need, and what to do where it is not."""

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from spark_jobs.java import find_java
from taxonomy.errors import WorkFailedError

_FEW_GB = 10.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `state` is ok, missing (a step cannot run) or optional (a later step cannot)."""

    what: str
    state: str
    detail: str


def findings(root: Path) -> list[Finding]:
    """What was found on this machine; nothing is changed and no session is started."""
    return [
        Finding("Python", "ok" if sys.version_info >= (3, 11) else "missing", sys.version.split()[0]),
        _java(),
        _package("pyspark", "4.2.0", "pip install 'taxaflow[spark]'"),
        _package("delta-spark", "4.4.0", "pip install 'taxaflow[spark]'"),
        _delta_defaults(),
        _package("deltalake", None, "pip install 'taxaflow[spark]'"),
        _package("simplejpeg", None, "pip install 'taxaflow[spark]'"),
        _package("torch", None, "pip install 'taxaflow[train]' (training only)", optional=True),
        _gpu(),
        _disk(root),
    ]


def _java() -> Finding:
    try:
        path, major = find_java()
    except WorkFailedError as error:
        return Finding("Java", "missing", str(error))
    return Finding("Java", "ok", f"{major} ({path})")


def _package(name: str, wanted: str | None, advice: str, optional: bool = False) -> Finding:
    absent = "optional" if optional else "missing"
    try:
        found = version(name)
    except PackageNotFoundError:
        return Finding(name, absent, advice)
    if wanted is not None and found != wanted:
        return Finding(name, "missing", f"{found} is installed, {wanted} is what works: pip install {name}=={wanted}")
    return Finding(name, "ok", found)


def _delta_defaults() -> Finding:
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        return Finding("Delta for spark-submit", "missing", "install pyspark first")
    defaults = Path(spec.origin).parent / "conf" / "spark-defaults.conf"
    if defaults.exists() and "delta-spark" in defaults.read_text():
        return Finding("Delta for spark-submit", "ok", str(defaults))
    return Finding("Delta for spark-submit", "optional", "python -m spark_jobs.set_up writes Spark's defaults")


def _gpu() -> Finding:
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return Finding("GPU", "optional", "none found; training runs on the CPU")
    query = [smi, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    said = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
    return Finding("GPU", "ok" if said else "optional", said or "nvidia-smi names none")


def _disk(root: Path) -> Finding:
    folder = next((path for path in (root, *root.resolve().parents) if path.exists()), Path("/"))
    free_gb = shutil.disk_usage(folder).free / 1e9
    detail = f"{free_gb:,.0f} GB free at {folder} (a million photos of 50 kB need about 52 GB)"
    return Finding("Disk", "ok" if free_gb >= _FEW_GB else "optional", detail)
