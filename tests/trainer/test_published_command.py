"""The command of the published README trains as it is printed; only the size of the job is another."""

import json
import shlex
from pathlib import Path

import pytest
import torch

from tests.trainer.command import run_here
from tests.trainer.settings.test_config import STANDARD
from tests.trainer.small_dataset import jpeg
from tests.trainer.tar_shards import taxaflow_sample, write_shards
from trainer.data.caption_choice import PUBLISHED_KINDS
from trainer.settings.recipe import FOLDER

pytestmark = pytest.mark.torch

STEPS = 3
SMALLER = {
    "'/loc/{000000..000010}.tar'": "'train/{000000..000001}.tar'",
    "'/loc/{000000..000002}.tar'": "'val/{000000..000001}.tar'",
    "--batch-size=4096": "--batch-size=6",
    "--workers=8": "--workers=2",
    "--model ViT-B-16": "--model tiny",
    "--pretrained openai": "",  # cannot be downloaded here
    "--report-to wandb": "--report-to tensorboard",  # needs an account
    "--imagenet-val CLASSES": "--imagenet-val classes",
}
"""Of the printed command -> what a test can do. Everything else is passed as printed."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run."""
    folder = tmp_path_factory.mktemp("published")
    for name, first in (("train", 0), ("val", 100)):
        write_shards(folder / name, [12, 12], lambda number: taxaflow_sample(number, "biotrove"), first)
        for number in range(2):
            (folder / name / f"{number:03d}.tar").rename(folder / name / f"{number:06d}.tar")
        (folder / name / "sizes.json").unlink()
        (folder / name / "__len__").write_text("24")
    for number in range(6):
        path = folder / "classes" / f"Turdus_{'ab'[number % 2]}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number))
    _, table, model = (FOLDER / "tiny.toml").read_text().partition("\n[model_config]\n")
    (folder / "small_model.toml").write_text(f'model = "tiny"{table}{model}')
    line = STANDARD
    for printed, smaller in SMALLER.items():
        assert line.count(printed) == 1
        line = line.replace(printed, smaller)
    with pytest.MonkeyPatch.context() as context:
        context.chdir(folder)
        assert run_here(f"--recipe small_model.toml --max-steps {STEPS} {shlex.join(shlex.split(line))}") == 0
    return folder / "LOGS" / "X"


def records(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "train.jsonl").read_text().splitlines()]


def test_it_trains_so_many_steps(run):
    steps = [record for record in records(run) if "lr" in record]
    assert [record["step"] for record in steps] == [1, 2, 3]
    assert all(0 < record["loss"] < 10 for record in steps)
    assert [record["lr"] for record in steps] == pytest.approx([5e-4 * step / 5000 for step in (1, 2, 3)])


def test_each_step_has_one_of_the_published_kinds(run):
    captions = [record["captions"] for record in records(run) if "lr" in record]
    assert [list(counts.values()) for counts in captions] == [[6]] * STEPS
    kinds = {kind for counts in captions for kind in counts}
    assert len(kinds) > 1
    assert kinds <= set(PUBLISHED_KINDS)


def test_the_weights_have_moved_and_are_stored_in_fp32(run):
    from safetensors.torch import load_file

    checkpoint = run / "checkpoints" / f"step_{STEPS:06d}"
    weights = load_file(checkpoint / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    optimizer = torch.load(checkpoint / "optimizer.pt", weights_only=True)
    moments = [state["exp_avg"].abs().max() for state in optimizer["state"].values()]
    assert len(moments) == len(list(weights))
    assert all(moment > 0 for moment in moments)
    groups = optimizer["param_groups"]
    assert {group["weight_decay"] for group in groups} == {0, 4e-4}
    assert {(tuple(group["betas"]), group["eps"]) for group in groups} == {((0.98, 0.99), 1e-6)}


def test_validation_loss_classes_and_tensorboard_are_there(run):
    (evaluation,) = [record for record in records(run) if record.get("event") == "evaluation"]
    assert (evaluation["step"], evaluation["imagenet-images"]) == (STEPS, 6)
    assert 0 < evaluation["loss"] < 10
    assert list((run / "tensorboard").glob("events*"))
