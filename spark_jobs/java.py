"""Which Java runs Spark."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from taxonomy.errors import WorkFailedError

MIN_VERSION = 17
ADVICE = "on Debian: apt-get install openjdk-17-jre-headless"

_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def find_java() -> tuple[Path, int]:
    """The Java that Spark starts and its major version: that of JAVA_HOME where it is set, else the first on PATH.

    Raises:
        WorkFailedError: there is none, it does not run, or it is older than MIN_VERSION; the message says what to do.
    """
    java_home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(java_home, "bin"))) if java_home else shutil.which("java")
    if found is None:
        place = f"JAVA_HOME={java_home} has no bin/java" if java_home else "no java on PATH"
        raise WorkFailedError(f"Java {MIN_VERSION} or newer is missing ({place}); {ADVICE}")
    major = _major_version(found)
    if major < MIN_VERSION:
        raise WorkFailedError(f"{found} is Java {major}, {MIN_VERSION} or newer is needed; {ADVICE}")
    return Path(found), major


def _major_version(java: str) -> int:
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError) as error:
        raise WorkFailedError(f"{java} -version fails ({error}); {ADVICE}") from error
    version = _VERSION.search(said)
    if version is None:
        raise WorkFailedError(f"{java} -version names no version; {ADVICE}")
    return int(version.group(1))
