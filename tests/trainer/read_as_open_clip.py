"""Reads tar shards with open_clip's own loader and prints what came: a script for another environment.

python read_as_open_clip.py SHARDS BATCH_SIZE WORKERS train|val -> one JSON line.
"""

import json
import sys
from argparse import Namespace
from importlib.metadata import version

import numpy as np
import torch


def facts_of(picture) -> torch.Tensor:
    """Width, height and sum of a picture, by which the test knows it."""
    return torch.tensor([*picture.size, int(np.asarray(picture).sum())])


def main(shards: str, batch_size: int, workers: int, is_train: bool) -> None:
    from open_clip_train.data import get_wds_dataset

    args = Namespace(
        train_data=shards,
        val_data=shards,
        dataset_resampled=False,
        train_num_samples=None,  # sizes.json tells
        val_num_samples=None,
        train_data_upsampling_factors=None,
        batch_size=batch_size,
        workers=workers,
        world_size=1,
        seed=0,
    )
    data = get_wds_dataset(args, facts_of, is_train, tokenizer=lambda text: [text])
    pairs = [
        [*facts.tolist(), text] for images, texts in data.dataloader for facts, text in zip(images, texts, strict=True)
    ]
    versions = {name: version(name) for name in ("open_clip_torch", "webdataset")}
    num_samples = vars(data.dataloader)["num_samples"]
    print(json.dumps({"versions": versions, "num_samples": num_samples, "pairs": pairs}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "train")
