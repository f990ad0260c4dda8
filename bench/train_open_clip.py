"""Reads shards with open_clip_train 3.3.0's own transform and loader; started by bench/train.py.

Runs in an environment with webdataset 0.2.86: with 1.0.2, open_clip_train's get_wds_dataset fails.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import open_clip
from open_clip.transform import PreprocessCfg, image_transform_v2
from open_clip_train.data import get_wds_dataset

from bench.train_window import Window, read

MODEL, IMAGE_SIZE = "ViT-B-16", 224


def read_open_clip(train_data: str, batch_size: int, workers: int, warm_up: int, num_batches: int) -> Window:
    """What the loader does that open_clip_train makes; pictures are float32, as its model takes them."""
    batches = _batches(train_data, batch_size, workers, warm_up + num_batches + workers)
    return read(batches, batch_size, warm_up, num_batches)


def _batches(train_data: str, batch_size: int, workers: int, num_batches: int) -> Iterator[Any]:
    arguments = SimpleNamespace(
        train_data=train_data,
        train_data_upsampling_factors=None,
        train_num_samples=num_batches * batch_size,  # one epoch: its loader begins the shards again within it
        dataset_resampled=False,
        batch_size=batch_size,
        workers=workers,
        world_size=1,
        seed=0,
    )
    transform = image_transform_v2(PreprocessCfg(size=IMAGE_SIZE), is_train=True)
    info = get_wds_dataset(arguments, transform, is_train=True, tokenizer=open_clip.get_tokenizer(MODEL))
    return iter(info.dataloader)


def main() -> None:
    """Measure and print a Window as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.train_open_clip", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--train-data", required=True)
    for name in ("batch-size", "workers", "warm-up", "num-batches"):
        parser.add_argument(f"--{name}", type=int, required=True)
    print(json.dumps(asdict(read_open_clip(**vars(parser.parse_args())))))


if __name__ == "__main__":
    main()
