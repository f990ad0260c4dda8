"""Two models side by side: the same function of their weights or refused, in one form, exact at both ends."""

import json
import logging

import pytest
import torch
from safetensors.torch import load_file, save_file

from evaluation.loading.fingerprint import model_hash
from evaluation.model import ModelRequest, build_model
from release.interpolate.config import InterpolateConfig
from release.interpolate.ends import open_ends
from taxonomy.errors import BadInputError
from tests.evaluation.small_models import SMALL, changed
from tests.release.interpolate.small_world import write_model

pytestmark = pytest.mark.torch


def ends(first, last, **more):
    return open_ends(InterpolateConfig(from_model=f"local-dir:{first}", to_model=f"local-dir:{last}", **more))


def hash_of(folder):
    return model_hash(*build_model(ModelRequest(f"local-dir:{folder}")))


def test_both_ends_are_the_models_as_every_command_opens_them(tmp_path):
    first, last = write_model(tmp_path / "a", 1), write_model(tmp_path / "b", 2)
    between = ends(first, last)
    hashes = [model_hash(between.load(alpha), between.facts) for alpha in (0.0, 0.5, 1.0, 0.0)]
    assert [hashes[0], hashes[2], hashes[3]] == [hash_of(first), hash_of(last), hash_of(first)]
    assert len(set(hashes)) == 3
    assert not between.load(0.5).training


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (changed(SMALL, vision_cfg={"width": 32}), "1 settings differ: vision_cfg.width 16 against 32"),
        (changed(SMALL, vision_cfg={"head_width": 4}), "vision_cfg.head_width 8 against 4"),  # the same shapes
        (changed(SMALL, text_cfg={"layers": 2}, embed_dim=8), "embed_dim 16 against 8, text_cfg.layers 1 against 2"),
    ],
)
def test_another_architecture_is_refused_with_what_differs(tmp_path, config, expected):
    first, last = write_model(tmp_path / "a", 1), write_model(tmp_path / "b", 2, config)
    with pytest.raises(BadInputError, match=expected):
        ends(first, last)


def test_settings_left_to_their_defaults_are_no_difference(tmp_path):
    first = write_model(tmp_path / "a", 1)
    last = write_model(tmp_path / "b", 2, changed(SMALL, vision_cfg={"mlp_ratio": 4.0, "patch_dropout": 0.5}))
    assert ends(first, last).from_state


def test_activations_must_agree_unless_forced(tmp_path):
    first, last = write_model(tmp_path / "a", 1), write_model(tmp_path / "b", 2, {"quick_gelu": True})
    with pytest.raises(BadInputError) as refused:
        ends(first, last)
    for word in ("--from uses gelu", "--to quickgelu", "--force"):
        assert word in str(refused.value)
    with pytest.raises(BadInputError, match="--activation gelu, but these weights use quickgelu"):
        ends(first, last, activation="gelu")
    assert ends(first, last, activation="gelu", force=True).facts.activation == "gelu"


def test_other_pixels_are_said(tmp_path, caplog):
    first = write_model(tmp_path / "a", 1, std=[0.2] * 3, interpolation="bilinear")
    made = ends(first, write_model(tmp_path / "b", 2))
    said = [record.message.split()[0] for record in caplog.records if record.levelno == logging.WARNING]
    assert said == ["image_std", "interpolation"]
    assert made.facts.interpolation == "bicubic"


@pytest.mark.parametrize("which", [0, 1])
def test_a_text_tower_in_a_module_of_its_own_is_the_same_tower(tmp_path, which):
    configs: list[dict] = [{}, {}]
    configs[which] = {"custom_text": True}
    first, last = (write_model(tmp_path / str(seed), seed, config) for seed, config in enumerate(configs))
    made = ends(first, last)
    assert [model_hash(made.load(alpha), made.facts) for alpha in (0.0, 1.0)] == [hash_of(first), hash_of(last)]


def test_sigmoid_biases_are_averaged_and_a_missing_one_is_0(tmp_path, caplog):
    with_bias = [write_model(tmp_path / str(bias), bias, {"init_logit_bias": float(-bias)}) for bias in (4, 8)]
    stored = [load_file(folder / "open_clip_model.safetensors")["logit_bias"] for folder in with_bias]
    made = ends(*with_bias).load(0.5)
    torch.testing.assert_close(made.logit_bias.detach(), (stored[0] + stored[1]) / 2)
    assert not caplog.records
    made = ends(write_model(tmp_path / "none", 3), with_bias[1])
    torch.testing.assert_close(made.load(0.25).logit_bias.detach(), stored[1] / 4)
    assert made.facts.model_config["init_logit_bias"] is not None
    assert "--from has no logit_bias" in caplog.text


def test_scales_of_either_shape_fit(tmp_path):
    first, last = write_model(tmp_path / "a", 1), write_model(tmp_path / "b", 2)
    state = load_file(last / "open_clip_model.safetensors")
    save_file(state | {"logit_scale": state["logit_scale"].reshape(1)}, last / "open_clip_model.safetensors")
    assert ends(first, last).load(0.5).logit_scale.shape == ()


def test_a_checkpoint_with_weights_that_are_not_finite_is_refused(tmp_path):
    first, last = write_model(tmp_path / "a", 1), write_model(tmp_path / "b", 2)
    state = load_file(last / "open_clip_model.safetensors")
    state["ln_final.weight"][3] = float("nan")
    save_file(state, last / "open_clip_model.safetensors")
    with pytest.raises(BadInputError, match=r"tensors.*ln_final.weight"):
        ends(first, last)


def test_a_run_and_bare_weights_of_its_model_have_an_average(tmp_path):
    first, last = write_model(tmp_path / "a", 1), write_model(tmp_path / "b", 2)
    facts = build_model(ModelRequest(f"local-dir:{first}"))[1]
    step = tmp_path / "run" / "checkpoints" / "step_000004"
    step.mkdir(parents=True)
    (step / "state.json").write_text(json.dumps({"model_facts": facts.to_dict()}))
    (step / "model.safetensors").write_bytes((first / "open_clip_model.safetensors").read_bytes())
    config = InterpolateConfig(from_model=str(tmp_path / "run"), to_model=f"local-dir:{last}")
    assert config.label == "run step_000004..b"
    made = open_ends(config)
    assert model_hash(made.load(0.0), made.facts) == hash_of(first)
