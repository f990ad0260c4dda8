"""The .pt in the published form: open_clip's own loader and this trainer read it, weights_only and without flags."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from evaluation.loading.fingerprint import model_hash
from evaluation.model import ModelRequest, build_model
from release.export.published_file import Progress, plain, read_progress, write_published_file
from release.folder.write_folder import open_clip_config
from tests.release.conftest import Released
from tests.release.export.small_checkpoints import small_checkpoint, small_model
from tests.trainer.run_here import run_here
from tests.trainer.small_runs import checkpoint_of, write_data, write_recipe
from trainer.checkpoints.checkpoint import load

pytestmark = pytest.mark.torch


@pytest.fixture
def file(released: Released) -> Path:
    (found,) = released.folder.glob("*.pt")
    return found


def states_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_it_is_the_published_dict(released: Released, file: Path) -> None:
    stored = torch.load(file, weights_only=True)
    content = load(released.checkpoint)
    assert file.name == "demo_step_000007.pt"
    assert list(stored) == ["epoch", "name", "state_dict", "optimizer", "model_facts"]
    assert (stored["epoch"], stored["name"]) == (3, "demo step_000007")
    assert states_equal(stored["state_dict"], dict(content.model_state))
    assert stored["optimizer"]["param_groups"] == content.optimizer_state["param_groups"]
    for number, state in content.optimizer_state["state"].items():
        assert states_equal(stored["optimizer"]["state"][number], state)


def test_open_clips_own_loader_reads_it(
    released: Released, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, facts = build_model(ModelRequest(str(released.checkpoint)))
    (tmp_path / "exported-dwarf.json").write_text(json.dumps(open_clip_config(facts)["model_cfg"]))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", [tmp_path])
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", {})
    open_clip.factory._rescan_model_configs()
    opened = open_clip.create_model("exported-dwarf", pretrained=str(file))
    assert states_equal(opened.state_dict(), model.state_dict())
    opened = open_clip.create_model("exported-dwarf")
    assert not states_equal(opened.state_dict(), model.state_dict())
    open_clip.load_checkpoint(opened, str(file))
    assert states_equal(opened.state_dict(), model.state_dict())


def test_the_evaluator_reads_it_without_flags(released: Released, file: Path) -> None:
    model, facts = build_model(ModelRequest(str(released.checkpoint)))
    again, known = build_model(ModelRequest(str(file)))
    assert model_hash(again, known) == model_hash(model, facts)
    for fact in ("activation", "image_mean", "image_std", "interpolation", "resize_mode", "image_size"):
        assert getattr(known, fact) == getattr(facts, fact)


def test_the_trainer_starts_from_it_without_flags(tmp_path: Path) -> None:
    model, facts = small_model(model_config=_dwarf_config(tmp_path), activation="quickgelu")
    write_published_file(tmp_path / "dwarf.pt", model, facts, Progress(), "dwarf")
    recipe = ["--recipe", str(write_recipe(tmp_path)), *write_data("synthetic", tmp_path / "data")]
    flags = ["--logs", str(tmp_path), "--name", "run", "--lr", "1e-30", "--max-steps", "1", "--workers", "0"]
    assert run_here([*recipe, *flags, "--pretrained", str(tmp_path / "dwarf.pt")]) == [1]
    content = load(checkpoint_of(tmp_path / "run", 1))
    for name, tensor in model.state_dict().items():
        assert torch.allclose(content.model_state[name], tensor, rtol=0, atol=1e-20)
    assert content.state["model_facts"]["activation"] == "quickgelu"


def _dwarf_config(folder: Path) -> dict[str, Any]:
    import tomllib

    config = tomllib.loads(write_recipe(folder).read_text())["model_config"]
    return {key: value for key, value in config.items() if key != "quick_gelu"}


def test_of_a_published_file_its_progress_goes_on(file: Path, tmp_path: Path) -> None:
    progress = read_progress(file)
    stored = torch.load(file, weights_only=True)
    assert progress.epoch == 3
    assert progress.optimizer_state["param_groups"] == stored["optimizer"]["param_groups"]
    model, facts = build_model(ModelRequest(str(file)))
    write_published_file(tmp_path / "again.pt", model, facts, progress, "again")
    again = torch.load(tmp_path / "again.pt", weights_only=True)
    assert again["epoch"] == 3
    assert all(
        states_equal(again["optimizer"]["state"][number], state)
        for number, state in stored["optimizer"]["state"].items()
    )


def test_numpy_scalars_as_in_the_published_files_become_plain(tmp_path: Path) -> None:
    published = {
        "epoch": np.int64(4),
        "state_dict": {"a": torch.zeros(1)},
        "optimizer": {"state": {}, "param_groups": [{"lr": np.float64(0.5), "betas": (np.float32(0.5), 0.9)}]},
        "scaler": {"scale": np.float64(2.0)},
    }
    torch.save(published, tmp_path / "published.pt")
    progress = read_progress(tmp_path / "published.pt")
    assert progress == Progress(4, {"state": {}, "param_groups": [{"lr": 0.5, "betas": (0.5, 0.9)}]}, {"scale": 2.0})
    assert type(progress.epoch) is int
    assert type(plain([np.float64(1.0)])[0]) is float


@pytest.mark.parametrize("content", [{"a": torch.zeros(1)}, {"state_dict": {"a": torch.zeros(1)}, "epoch": "x"}])
def test_weights_alone_have_no_progress(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "weights.pt")
    assert read_progress(tmp_path / "weights.pt") == Progress()
    assert read_progress(None) == Progress()
    model, facts = small_model()
    write_published_file(tmp_path / "out.pt", model, facts, Progress(), "dwarf")
    assert list(torch.load(tmp_path / "out.pt", weights_only=True)) == ["epoch", "name", "state_dict", "model_facts"]


def test_a_checkpoint_in_bf16_and_one_with_a_bias_load_everywhere(tmp_path: Path) -> None:
    for name, request in {"low": {"precision": "bf16_published"}, "bias": {"init_logit_bias": -10.0}}.items():
        checkpoint = small_checkpoint(tmp_path / name, **request)
        model, facts = build_model(ModelRequest(str(checkpoint)))
        write_published_file(tmp_path / f"{name}.pt", model, facts, read_progress(checkpoint), name)
        config = open_clip_config(facts)["model_cfg"]
        opened = open_clip.CLIP(**config)
        open_clip.load_checkpoint(opened, str(tmp_path / f"{name}.pt"))
        assert states_equal(opened.state_dict(), model.state_dict())
