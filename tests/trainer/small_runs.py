"""Runs of a model of a few thousand weights over a hundred pictures of every kind of data, and what they leave."""

import csv
import json
from pathlib import Path
from typing import Any

from tests.trainer import small_dataset, tar_shards

NUM_ITEMS = 120
DATASET_TYPES = ("shards", "webdataset", "csv", "synthetic")
SAME_IN_EVERY_LIFE = ("step", "loss", "lr", "logit_scale", "captions", "bad_samples")
"""The fields of a logged step that a stop and a resume must not change; the others are times."""

_SPOILT = (7, 40, 77)
"""Pictures that cannot be decoded."""

_RECIPE = """
model = "dwarf"
loss = "multi_positive"
gather_with_grad = true
batch_size = 4
accum_freq = 2
epochs = 1000
max_steps = 24
warmup = 6
lr = 1e-2
seed = 5
precision = "fp32"
device = "cpu"
workers = 1
shuffle_window = 9
save_frequency = 0
save_steps = 5
zeroshot_frequency = 0
log_every_n_steps = 1
report_to = "none"
image_mean = [0.5, 0.5, 0.5]
image_std = [0.25, 0.25, 0.25]

[model_config]
embed_dim = 8
quick_gelu = false

[model_config.vision_cfg]
image_size = 16
patch_size = 8
width = 16
layers = 1
head_width = 8

[model_config.text_cfg]
context_length = 77
vocab_size = 49408
width = 16
heads = 2
layers = 1
"""


def write_recipe(folder: Path) -> Path:
    """A recipe of a run of 24 steps of 16 pairs on two ranks: 7 or 8 steps are an epoch, every fifth is saved."""
    path = folder / "dwarf.toml"
    path.write_text(_RECIPE, encoding="utf-8")
    return path


def write_data(dataset_type: str, folder: Path) -> list[str]:
    """A training set of NUM_ITEMS pairs, a few of them useless; the flags that name it."""
    flags = ["--dataset-type", dataset_type]
    if dataset_type == "synthetic":
        return [*flags, "--train-num-samples", str(NUM_ITEMS)]
    if dataset_type == "csv":
        return [*flags, "--train-data", str(_write_table(folder)), "--csv-separator", ","]
    if dataset_type == "webdataset":
        return [*flags, "--train-data", tar_shards.write_shards(folder, [31, 22, 40, 27], _tar_sample)]
    return [*flags, "--train-data", str(small_dataset.write_dataset(folder, [31, 22, 40, 27], change=_spoilt))]


def _spoilt(number: int, members: small_dataset.Members) -> small_dataset.Members:
    """The members of a sample, its picture cut short where the number is one of _SPOILT."""
    if number not in _SPOILT:
        return members
    return [(name, content[:60] if name.endswith(".jpg") else content) for name, content in members]


def _tar_sample(number: int) -> tar_shards.Members:
    return _spoilt(number, tar_shards.taxaflow_sample(number))


def _write_table(folder: Path) -> Path:
    folder.mkdir()
    table = folder / "pairs.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["filepath", "title", "taxon_id"])
        for number in range(NUM_ITEMS):
            if number not in _SPOILT:
                (folder / f"{number}.jpg").write_bytes(small_dataset.jpeg(number))
            rows.writerow([f"{number}.jpg", f"Genus{number // 4} epithet{number // 4}", number // 4])
    return table


def logged(run: Path) -> list[dict[str, Any]]:
    """The whole lines of a run's train.jsonl; none where there is no file yet."""
    log = run / "train.jsonl"
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def last_step(run: Path) -> int:
    """The last logged step; 0 before the first."""
    return max((line["step"] for line in logged(run) if "event" not in line), default=0)


def events(run: Path, name: str) -> list[int]:
    """At which steps an event was logged."""
    return [line["step"] for line in logged(run) if line.get("event") == name]


def trajectory(run: Path) -> list[tuple]:
    """What every logged step says of SAME_IN_EVERY_LIFE, in the file's order."""
    lines = [line for line in logged(run) if "event" not in line]
    return [tuple(line[field] for field in SAME_IN_EVERY_LIFE) for line in lines]


def saved_steps(run: Path) -> list[int]:
    """The steps of the checkpoints there are, whole or damaged."""
    return sorted(int(path.name.removeprefix("step_")) for path in (run / "checkpoints").glob("step_*"))


def checkpoint_of(run: Path, step: int) -> Path:
    """The folder of a step's checkpoint."""
    return run / "checkpoints" / f"step_{step:06d}"


def assert_as_never_stopped(run: Path, undisturbed: Path, log_every: int = 1) -> None:
    """Assert that two runs logged the same, bit for bit, and ended with the same model.

    Args:
        run: the folder of one.
        undisturbed: that of the other.
        log_every: steps from one logged step to the next; the last is logged in any case.
    """
    expected, found = trajectory(undisturbed), trajectory(run)
    last = saved_steps(undisturbed)[-1]
    assert [line[0] for line in found] == [step for step in range(1, last + 1) if step % log_every == 0 or step == last]
    assert found == expected
    assert saved_steps(run)[-1] == last
    models = [(checkpoint_of(folder, last) / "model.safetensors").read_bytes() for folder in (run, undisturbed)]
    assert models[0] == models[1]
