import open_clip
import pytest
import torch

from tests.trainer.checkpoint_contents import content_of, is_same
from trainer.checkpoint import CheckpointContent
from trainer.published_checkpoint import LATEST, epoch_file, save_published

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


def test_open_clip_reads_it(tmp_path):
    model = open_clip.create_model("ViT-S-32-alt")
    optimizer = torch.optim.AdamW(model.parameters())
    save_published(tmp_path / LATEST, CheckpointContent(model.state_dict(), optimizer.state_dict()), 1, "run")
    other = open_clip.create_model("ViT-S-32-alt", pretrained=str(tmp_path / "epoch_latest.pt"), load_weights=True)
    assert is_same(dict(other.state_dict()), dict(model.state_dict()))


def test_a_newer_one_replaces_it_and_nothing_else_stays(tmp_path):
    for seed in (1, 2):
        save_published(tmp_path / LATEST, content_of(seed), seed, "run")
    assert torch.load(tmp_path / LATEST, weights_only=True)["epoch"] == 2
    assert [path.name for path in tmp_path.iterdir()] == [LATEST]
