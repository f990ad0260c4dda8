"""Reads shards with the trainer's own data path and prints what it measured; started by bench/train.py."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

import torch

from bench.train_window import Window, read
from evaluation.model import get_tokenizer
from trainer.data.open_data import data_settings, open_data
from trainer.distributed import Ranks
from trainer.settings.config import load
from trainer.steps.model import model_facts

MODEL = "ViT-B-16"
"""For its picture size, normalisation and tokenizer."""


def read_ours(flags: list[str], warm_up: int, num_batches: int) -> Window:
    """What the data path does that the trainer opens for these flags."""
    device = torch.device("cpu")
    config = load([*flags, "--model", MODEL, "--text-type", "sci", "--device", "cpu"])
    facts = model_facts(config)
    settings = data_settings(config, facts, get_tokenizer(facts), device)
    data = open_data(config, settings, Ranks(0, 1, 0, device), None)
    try:
        return read(data.batches(), config.batch_size, warm_up, num_batches)
    finally:
        data.close()


def main() -> None:
    """Measure and print a Window as JSON; flags that are not its own are the trainer's."""
    parser = argparse.ArgumentParser(prog="python -m bench.train_ours", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--warm-up", type=int, required=True, metavar="BATCHES")
    parser.add_argument("--num-batches", type=int, required=True)
    given, flags = parser.parse_known_args()
    print(json.dumps(asdict(read_ours(flags, given.warm_up, given.num_batches))))


if __name__ == "__main__":
    main()
