"""Checkpoints in the published form, which open_clip reads."""

import dataclasses
import json
from typing import Any

import open_clip
import pytest
import torch

from evaluation.encoding.encode import encode_image, encode_text
from evaluation.model import load_checkpoint
from tests.trainer.checkpoint_contents import content_of, is_same
from tests.trainer.command import QUICK, run_here
from tests.trainer.small_dataset import write_dataset
from trainer.checkpoints.checkpoint import CheckpointContent
from trainer.checkpoints.published_checkpoint import LATEST, epoch_file, save_published

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("scaler_state", [None, {"scale": 1024.0}])
def test_the_dict_is_the_published_one(tmp_path, scaler_state):
    content = content_of(1)
    content = CheckpointContent(content.model_state, content.optimizer_state, scaler_state, content.state)
    path = tmp_path / "checkpoints" / epoch_file(3)
    save_published(path, content, epoch=3, run_name="run")
    published = torch.load(path, weights_only=True)
    assert list(published) == ["epoch", "name", "state_dict", "optimizer", *(["scaler"] if scaler_state else [])]
    assert (published["epoch"], published["name"], path.name) == (3, "run", "epoch_3.pt")
    assert published.get("scaler") == scaler_state
    assert is_same(published["optimizer"], content.optimizer_state)
    detached = {name: tensor.detach() for name, tensor in content.model_state.items()}
    assert is_same(published["state_dict"], detached)


def test_facts_of_the_model_go_with_the_weights(tmp_path):
    content = content_of(1)
    facts = {"name": "tiny", "activation": "gelu", "image_mean": [0.5, 0.5, 0.5]}
    save_published(tmp_path / LATEST, dataclasses.replace(content, state={"model_facts": facts}), 1, "run")
    assert torch.load(tmp_path / LATEST, weights_only=True)["model_facts"] == facts


def test_open_clip_reads_it(tmp_path):
    model = open_clip.create_model("ViT-S-32-alt")
    optimizer = torch.optim.AdamW(model.parameters())
    save_published(tmp_path / LATEST, CheckpointContent(model.state_dict(), optimizer.state_dict()), 1, "run")
    other = open_clip.create_model("ViT-S-32-alt", pretrained=str(tmp_path / "epoch_latest.pt"), load_weights=True)
    assert is_same(dict(other.state_dict()), dict(model.state_dict()))


@pytest.mark.parametrize("activation", ["gelu", "quickgelu"])
def test_what_a_run_writes_gives_the_same_embeddings_in_open_clip(tmp_path, activation):
    manifest = write_dataset(tmp_path / "data", [8])
    line = f"{QUICK} --max-steps 2 --lr 0.1 --warmup 0 --activation {activation}"
    assert run_here(f"{line} --train-data {manifest} --logs {tmp_path} --name run --format open_clip") == 0
    checkpoints = tmp_path / "run" / "checkpoints"
    ours, facts = load_checkpoint(checkpoints / "step_000002")
    config = tmp_path / f"ours-{activation}.json"
    config.write_text(json.dumps(facts.model_config))
    open_clip.add_model_config(config)
    theirs: Any = open_clip.create_model(f"ours-{activation}", pretrained=str(checkpoints / epoch_file(1)))
    image_BCHW = torch.randn(3, 3, facts.image_size, facts.image_size, generator=torch.Generator().manual_seed(0))
    token_VL = open_clip.tokenize(["a photo of Turdus merula.", "bird"])
    with torch.no_grad():
        torch.testing.assert_close(
            theirs.eval().encode_image(image_BCHW, normalize=True), encode_image(ours.eval(), image_BCHW)
        )
        torch.testing.assert_close(theirs.encode_text(token_VL, normalize=True), encode_text(ours, token_VL))
    untrained = open_clip.create_model(f"ours-{activation}")
    assert not is_same(dict(untrained.state_dict()), dict(theirs.state_dict()))


def test_a_newer_one_replaces_it_and_nothing_else_stays(tmp_path):
    for seed in (1, 2):
        save_published(tmp_path / LATEST, content_of(seed), seed, "run")
    assert torch.load(tmp_path / LATEST, weights_only=True)["epoch"] == 2
    assert [path.name for path in tmp_path.iterdir()] == [LATEST]
