"""Shards of layout biotrove are read by open_clip's own loader with the library of its time, in its own environment."""

import io
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taxonomy.shards import sizes_bytes
from tests.trainer.small_dataset import jpeg, photo, write_dataset
from trainer.data.shard_index import checked_shards

pytestmark = [pytest.mark.torch, pytest.mark.long, pytest.mark.timeout(900)]

SIZES = (10, 8, 6)
VERSIONS = {"open_clip_torch": "3.3.0", "webdataset": "0.2.86"}
SCRIPT = Path(__file__).with_name("read_as_open_clip.py")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with webdataset 0.2.86, and with the project's packages behind its own."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", f"webdataset=={VERSIONS['webdataset']}"]
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"pip cannot install webdataset {VERSIONS['webdataset']}: {done.stderr.strip()[-300:]}")
    own = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    ).strip()
    (Path(own) / "project.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The pattern that names the shards of a dataset, counted by the sizes.json beside them."""
    folder = tmp_path_factory.mktemp("dataset") / "birds"
    listed = checked_shards(write_dataset(folder, SIZES, "biotrove"), "train")
    (folder / "train" / "sizes.json").write_bytes(sizes_bytes(listed))
    names = ",".join(Path(shard.file).stem for shard in listed)
    return f"{folder}/train/{{{names}}}.tar"


@pytest.mark.parametrize(("split", "workers"), [("train", 0), ("train", 3), ("val", 0)])
def test_every_sample_comes_with_its_caption_and_picture(python, shards, split, workers):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [python, SCRIPT, shards, "2", str(workers), split]
    environment |= {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["versions"] == VERSIONS
    if split == "train":
        assert found["num_samples"] == sum(SIZES)
    expected = [expected_pair(number) for number in range(sum(SIZES))]
    if workers < len(SIZES):
        assert sorted(found["pairs"]) == sorted(expected)
    else:  # each worker has one shard and gives as much as the others, as open_clip deals
        assert {tuple(pair) for pair in found["pairs"]} <= {tuple(pair) for pair in expected}
        assert len(found["pairs"]) == sum(SIZES)


def expected_pair(number: int) -> list:
    picture = Image.open(io.BytesIO(jpeg(number)))
    total = int(np.asarray(picture.convert("RGB")).sum())
    return [48, 40, total, f"a photo of {photo(number)['scientific_name']}."]
