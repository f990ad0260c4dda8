"""What a session ships to Python workers: sources, and their compiled forms as long as these fit."""

import os
import py_compile
import subprocess
import sys
from pathlib import Path

from spark_jobs.session import pack_code


def imported_from(archive: Path) -> tuple[str, str]:
    """(the file that a fresh process imports the module from, its VALUE)."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import taxonomy.one as m; print(m.__file__, m.VALUE)"
    done = subprocess.run([sys.executable, "-c", code, str(archive)], capture_output=True, text=True, check=True)
    file, value = done.stdout.split()
    return Path(file).name, value


def test_compiled_code_is_used_and_a_stale_one_is_not(tmp_path: Path):
    source = tmp_path / "taxonomy" / "one.py"
    source.parent.mkdir()
    (tmp_path / "spark_jobs").mkdir()
    (source.parent / "__init__.py").touch()
    source.write_text("VALUE = 1\n")
    pack_code(tmp_path / "plain.zip", tmp_path)
    assert imported_from(tmp_path / "plain.zip") == ("one.py", "1")
    py_compile.compile(str(source))
    pack_code(tmp_path / "compiled.zip", tmp_path)
    assert imported_from(tmp_path / "compiled.zip") == ("one.pyc", "1")
    source.write_text("VALUE = 23\n")
    os.utime(source, (1_000_000_000, 1_000_000_000))
    pack_code(tmp_path / "stale.zip", tmp_path)
    assert imported_from(tmp_path / "stale.zip") == ("one.py", "23")
