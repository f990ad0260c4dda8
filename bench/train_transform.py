"""One JPEG to one crop, alone in one process, and how far `fast` is from `exact`; started by bench/train.py."""

from __future__ import annotations

import argparse
import io
import json
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from trainer.data.batch import DataSettings
from trainer.data.draws import generator
from trainer.data.pictures import train_picture

IMAGE_SIZE = 224
BLOCK = 50
"""Photos in a row by one transform; the transforms take turns, so that what else the machine does hits all alike."""

Transform = Callable[[int, bytes], Any]


@dataclass(frozen=True)
class TransformRun:
    """What was measured.

    Attributes:
        cpu_ms: by transform, per photo.
        num_photos: that each transform was measured on.
        difference: mean over photos of the mean absolute difference of fast to exact crops, levels of 255.
        largest_difference: of one photo.
    """

    cpu_ms: dict[str, float]
    num_photos: int
    difference: float
    largest_difference: float


def transforms() -> dict[str, Transform]:
    """By name: (number, JPEG) -> crop; ours to uint8 [S, S, 3], open_clip's to normalised float32 [3, S, S]."""
    whole: Any = image_transform_v2(PreprocessCfg(size=IMAGE_SIZE), is_train=True)
    return {
        "taxaflow exact": partial(crop, _settings("exact")),
        "taxaflow fast": partial(crop, _settings("fast")),
        "open_clip": lambda number, jpeg: whole(Image.open(io.BytesIO(jpeg))),
    }


def crop(settings: DataSettings, number: int, jpeg: bytes) -> np.ndarray:
    """The trainer's crop; the same box for the same number."""
    return train_picture(jpeg, settings, generator(0, 0, number, "crop"))


def measure(jpegs: Sequence[bytes]) -> TransformRun:
    """All transforms on all photos but the first block, which warms up."""
    measured = transforms()
    spent = dict.fromkeys(measured, 0.0)
    num_photos = 0
    for start in range(0, len(jpegs), BLOCK):
        block = list(enumerate(jpegs[start : start + BLOCK], start))
        warming_up = start == 0 and len(jpegs) > BLOCK
        num_photos += 0 if warming_up else len(block)
        for name, transform in measured.items():
            cpu_s = time.process_time()
            for number, jpeg in block:
                transform(number, jpeg)
            spent[name] += 0 if warming_up else time.process_time() - cpu_s
    differences = [_difference(number, jpeg) for number, jpeg in enumerate(jpegs)]
    cpu_ms = {name: 1e3 * cpu_s / num_photos for name, cpu_s in spent.items()}
    return TransformRun(cpu_ms, num_photos, float(np.mean(differences)), max(differences))


def _difference(number: int, jpeg: bytes) -> float:
    exact, fast = (crop(_settings(resize), number, jpeg).astype(np.int16) for resize in ("exact", "fast"))
    return float(np.abs(fast - exact).mean())


def _settings(resize: str) -> DataSettings:
    return DataSettings(
        batch_size=1,
        accum_freq=1,
        num_workers=0,
        seed=0,
        image_size=IMAGE_SIZE,
        tokens_of_texts=_no_texts,
        resize=resize,
    )


def _no_texts(texts: list[str]) -> np.ndarray:
    raise AssertionError(texts)


def read_jpegs(tars: Sequence[Path], most: int) -> list[bytes]:
    """The pictures of the first samples."""
    found: list[bytes] = []
    for path in tars:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".jpg") and len(found) < most:
                    stream = tar.extractfile(member)
                    assert stream is not None
                    found.append(stream.read())
    return found


def main() -> None:
    """Measure and print a TransformRun as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.train_transform", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tars", type=Path, nargs="+", required=True)
    parser.add_argument("--most", type=int, required=True, help="photos")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(asdict(measure(read_jpegs(given.tars, given.most)))))


if __name__ == "__main__":
    main()
