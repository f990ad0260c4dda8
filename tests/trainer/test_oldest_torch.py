"""The oldest torch that pyproject.toml allows trains, resumes and computes the losses as the pinned one does.

Its environment (some gigabytes) is made in OLDEST_TORCH_ENVIRONMENT where that is set, and found there the next time.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import PROJECT

pytestmark = [pytest.mark.torch, pytest.mark.long, pytest.mark.timeout(2400)]

PINS = ("torch==2.11.0", "torchvision==0.26.0")
FILES = (
    "tests/trainer/steps",
    "tests/trainer/checkpoints",
    "tests/trainer/test_resume_settings.py",
    "tests/trainer/test_resume_ranks.py",
    "tests/trainer/test_stop.py",
    "tests/evaluation",
)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the oldest torch, and with the project's packages behind its own."""
    kept = os.environ.get("OLDEST_TORCH_ENVIRONMENT")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("oldest")
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", *PINS]
        done = subprocess.run(install, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"pip cannot install {', '.join(PINS)}: {done.stderr.strip()[-300:]}")
        own = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        (own / "project.pth").write_text(sysconfig.get_path("purelib") + "\n")
        (folder / "done").touch()
    return python


def test_training_works(python: Path):
    version = subprocess.check_output([python, "-c", "import torch; print(torch.__version__)"], text=True)
    assert version.startswith("2.11.")
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "torch and not long and not gpu", *FILES]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
