"""Weights of every form give the same model, and everything else is refused by name."""

import os
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip import CLIP, CustomTextCLIP
from safetensors.torch import save_file

from evaluation.errors import OtherArchitectureError
from evaluation.loading.weights import load_strict, read_pickled, read_weights
from taxonomy.errors import BadInputError
from tests.evaluation.small_models import SMALL, changed

pytestmark = pytest.mark.torch


def made(**changes) -> torch.nn.Module:
    torch.manual_seed(0)
    return CLIP(**changed(SMALL, **changes))


def published(state: dict, **more) -> dict:
    """As the published training code writes its checkpoints, a NumPy number among the rest."""
    return {"epoch": 3, "name": "run", "state_dict": state, "best": np.float64(0.5), **more}


def under_old_numpy(file: Path) -> None:
    """The pickle as NumPy 1 would have written it: its module had another name then."""
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    name = next(one for one in content if one.endswith("data.pkl"))
    assert b"numpy._core.multiarray" in content[name]
    content[name] = content[name].replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for one, data in content.items():
            archive.writestr(one, data)


def write(form: str, state: dict, folder: Path) -> Path:
    file = folder / ("w.safetensors" if form == "safetensors" else "w.bin" if form == "bin" else "w.pt")
    wrapped = {f"module.{name}": value for name, value in state.items()}
    compiled = {f"module._orig_mod.{name}": value for name, value in state.items()}
    if form == "safetensors":
        save_file({name: value.contiguous() for name, value in state.items()}, file)
    elif form == "legacy":
        torch.save(state, file, _use_new_zipfile_serialization=False)
    else:
        torch.save(
            {"module": published(wrapped), "compiled": compiled, "bin": state, "numpy 1": published(state)}[form], file
        )
    if form == "numpy 1":
        under_old_numpy(file)
    return file


@pytest.mark.parametrize("form", ["safetensors", "bin", "legacy", "module", "compiled", "numpy 1"])
def test_every_form_gives_the_same_weights(form, tmp_path):
    source = made()
    torch.nn.init.normal_(source.logit_scale)
    file = write(form, source.state_dict(), tmp_path)
    target = CLIP(**SMALL)
    load_strict(target, file)
    assert target.state_dict().keys() == source.state_dict().keys()
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name


class Malicious:
    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("form", ["zip", "legacy", "plain pickle"])
def test_a_file_that_would_run_code_is_refused_and_runs_none(form, tmp_path):
    victim, file = tmp_path / "created", tmp_path / "w.pt"
    content = published({"logit_scale": torch.zeros(())}, extra=Malicious(victim))
    if form == "plain pickle":
        file.write_bytes(pickle.dumps(Malicious(victim), protocol=2))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(BadInputError, match="run code"):
        read_weights(file)
    assert not victim.exists()
    pickle.loads(pickle.dumps(Malicious(victim)))  # the same object does harm when read the usual way
    assert victim.exists()


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_a_script_archive_is_refused(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "w.pt")
    with pytest.raises(BadInputError, match="TorchScript"):
        read_weights(tmp_path / "w.pt")


@pytest.mark.parametrize("form", ["safetensors", "bin", "legacy"])
@pytest.mark.parametrize("keep", [0, 1, 50, 0.5, 0.99])
def test_a_cut_file_is_refused(form, keep, tmp_path):
    file = write(form, made().state_dict(), tmp_path)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(BadInputError, match=r"w\.\w+ is (damaged|refused).*: \S+") as caught:
        read_weights(file)
    assert "\n" not in str(caught.value) and not str(caught.value).endswith(("None", ": "))


def test_other_contents_are_refused(tmp_path):
    for content in ({}, [torch.zeros(1)], {"state_dict": {}}, {"epoch": 3, "w": torch.zeros(1)}):
        torch.save(content, tmp_path / "w.pt")
        with pytest.raises(BadInputError, match=r"w\.pt holds"):
            read_weights(tmp_path / "w.pt")
    with pytest.raises(BadInputError, match="no weights file"):
        read_weights(tmp_path / "nowhere.pt")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"vision_cfg": {"layers": 2}}, "visual.transformer.resblocks.1"),
        ({"text_cfg": {"layers": 2}}, "1 unknown|12 unknown"),
        ({"vision_cfg": {"width": 32}}, "of another shape"),
        ({"embed_dim": 32}, r"text_projection \(16, 32\) instead of \(16, 16\)"),
        ({"text_cfg": {"width": 32}}, "positional_embedding|of another shape"),
        ({"init_logit_bias": -10.0}, "1 unknown: logit_bias"),
    ],
)
def test_another_architecture_is_refused_by_name_and_leaves_the_model_alone(changes, named, tmp_path):
    file = write("bin", made(**changes).state_dict(), tmp_path)
    target = CLIP(**SMALL)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(BadInputError, match="another architecture") as caught:
        load_strict(target, file)
    assert re.search(named, str(caught.value)), caught.value
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_a_missing_tensor_is_refused_by_name(tmp_path):
    state = made().state_dict()
    del state["ln_final.weight"]
    with pytest.raises(BadInputError, match=r"1 missing: ln_final\.weight"):
        load_strict(CLIP(**SMALL), write("bin", state, tmp_path))


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, torch.bool, torch.uint8])
def test_values_of_another_kind_are_refused_by_name(dtype, tmp_path):
    state = made().state_dict()
    state["ln_final.weight"] = torch.ones(16).to(dtype)
    kind = str(dtype).removeprefix("torch.")
    with pytest.raises(BadInputError, match=rf"1 tensors of another kind than the model's: ln_final\.weight {kind}"):
        load_strict(CLIP(**SMALL), write("bin", state, tmp_path))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_floating_kind_is_loaded(dtype, tmp_path):
    state = {name: value.to(dtype) for name, value in made().state_dict().items()}
    target = CLIP(**SMALL)
    load_strict(target, write("bin", state, tmp_path))
    assert torch.equal(target.ln_final.weight, state["ln_final.weight"].float())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300])
@pytest.mark.parametrize("form", ["bin", "safetensors"])
def test_weights_that_are_not_finite_are_refused_by_name_and_leave_the_model_alone(value, form, tmp_path):
    state = {name: tensor.double() for name, tensor in made().state_dict().items()}
    state["text_projection"][3, 4] = value
    target = CLIP(**SMALL)
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    with pytest.raises(BadInputError, match=r"NaN or infinite weights.* in 1 of 38 tensors: text_projection;"):
        load_strict(target, write(form, state, tmp_path))
    assert all(torch.equal(tensor, before[name]) for name, tensor in target.state_dict().items())


@pytest.mark.parametrize("name", [1, (1, 2), None, "a\x1b[2J"])
def test_names_that_are_no_plain_texts_are_refused(name, tmp_path):
    torch.save({name: torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(BadInputError, match="their names are texts, not ") as caught:
        read_weights(tmp_path / "w.pt")
    assert str(caught.value).isprintable()


@pytest.mark.filterwarnings("ignore:Validating sparse:UserWarning")
def test_sparse_tensors_are_refused(tmp_path):
    state = made().state_dict()
    state["text_projection"] = state["text_projection"].to_sparse()
    with pytest.raises(BadInputError, match="other things than plain tensors: text_projection"):
        load_strict(CLIP(**SMALL), write("bin", state, tmp_path))


@pytest.mark.parametrize(
    ("name", "positions"),
    [("visual.positional_embedding", 7), ("visual.positional_embedding", 1), ("positional_embedding", 0)],
)
def test_positions_that_no_picture_or_text_has_are_refused(name, positions, tmp_path):
    state = made().state_dict()
    state[name] = torch.zeros(positions, 16)
    with pytest.raises(OtherArchitectureError, match=rf"of another shape: {re.escape(name)} \({positions}, 16\)"):
        load_strict(CLIP(**SMALL), write("bin", state, tmp_path))


def test_names_of_other_publishers_that_are_not_whole_are_another_architecture(tmp_path):
    torch.save({"image_encoder.model.patch_emb.0.block.conv.weight": torch.zeros(1)}, tmp_path / "w.bin")
    with pytest.raises(OtherArchitectureError, match="another architecture"):
        load_strict(CLIP(**SMALL), tmp_path / "w.bin")


def test_positions_are_resized_as_open_clip_does_and_it_is_said(tmp_path, caplog):
    from open_clip.factory import load_checkpoint

    file = write("bin", made().state_dict(), tmp_path)
    ours, theirs = made(vision_cfg={"image_size": 32}), made(vision_cfg={"image_size": 32})
    load_strict(ours, file)
    load_checkpoint(theirs, str(file))
    assert torch.equal(ours.visual.positional_embedding, theirs.visual.positional_embedding)
    assert "resized from 5 to 17" in caplog.text


def test_weights_of_one_form_of_open_clip_fit_the_other(tmp_path):
    source = made()
    target = CustomTextCLIP(**SMALL)
    load_strict(target, write("bin", source.state_dict(), tmp_path))
    assert torch.equal(target.text.ln_final.weight, source.ln_final.weight)
    assert torch.equal(target.text.token_embedding.weight, source.token_embedding.weight)


def test_softmax_weights_start_a_sigmoid_model_as_in_open_clip(tmp_path):
    target = made(init_logit_bias=-10.0)
    load_strict(target, write("bin", made().state_dict(), tmp_path))
    assert target.logit_bias.item() == 0


def test_a_published_checkpoint_gives_its_other_parts_as_well(tmp_path):
    content = published(made().state_dict(), optimizer={"state": {0: {"exp_avg": torch.ones(3)}}})
    torch.save(content, tmp_path / "w.pt")
    assert read_weights(tmp_path / "w.pt").keys() == made().state_dict().keys()
    found = read_pickled(tmp_path / "w.pt")
    assert (found["epoch"], found["best"]) == (3, 0.5)
    assert torch.equal(found["optimizer"]["state"][0]["exp_avg"], torch.ones(3))
