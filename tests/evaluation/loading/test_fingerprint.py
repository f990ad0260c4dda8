"""The hash of a model: of its weights and architecture, whatever file they came from."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from evaluation.loading.fingerprint import model_hash
from evaluation.model import ModelRequest, build_model
from tests.evaluation.small_models import SMALL, changed

pytestmark = pytest.mark.torch


def build(**request):
    torch.manual_seed(request.pop("seed", 3))
    return build_model(ModelRequest("small", **({"model_config": SMALL} | request)))


def hash_of(**request) -> str:
    return model_hash(*build(**request))


def test_the_same_weights_have_one_hash_whatever_file_they_came_from(tmp_path):
    model, facts = build()
    expected = model_hash(model, facts)
    assert len(expected) == 64 and int(expected, 16) >= 0
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": {f"module.{name}": one for name, one in state.items()}}, tmp_path / "a.pt")
    save_file(state, tmp_path / "b.safetensors")
    for file in ("a.pt", "b.safetensors"):
        for activation in ("gelu", "quickgelu"):
            assert hash_of(pretrained=str(tmp_path / file), activation=activation, seed=9) == expected
    own = changed(SMALL, custom_text=True, init_logit_scale=1.0, vision_cfg={"patch_dropout": 0.5, "mlp_ratio": 4.0})
    assert hash_of(pretrained=str(tmp_path / "a.pt"), activation="gelu", model_config=own) == expected


def test_one_changed_weight_is_another_model():
    model, facts = build()
    before = model_hash(model, facts)
    assert model_hash(model, facts) == before
    with torch.no_grad():
        model.visual.class_embedding[3] += 1e-6
    assert model_hash(model, facts) != before


def test_names_types_shapes_and_architecture_count():
    model, facts = build()
    before = model_hash(model, facts)
    heads = changed(SMALL, vision_cfg={"head_width": 4})
    assert model_hash(model, replace(facts, model_config=heads)) != before
    lower = {name: tensor.bfloat16().float() for name, tensor in model.state_dict().items()}
    model.load_state_dict(lower)
    rounded = model_hash(model, facts)
    assert len({rounded, model_hash(model.bfloat16(), facts), before, hash_of(seed=4)}) == 4


def test_a_view_of_other_strides_is_hashed_by_its_values():
    model, facts = build()
    before = model_hash(model, facts)
    weight = model.visual.proj.data
    model.visual.proj.data = weight.T.contiguous().T
    assert not model.visual.proj.is_contiguous() and model_hash(model, facts) == before
