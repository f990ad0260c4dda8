"""Models built from names, tags, files, folders and configs: activation, weights and pixels that belong together."""

import dataclasses
import json
import logging
from pathlib import Path

import open_clip
import open_clip.pretrained
import pytest
import torch
from open_clip.constants import IMAGENET_MEAN, IMAGENET_STD
from open_clip.factory import get_model_config
from open_clip.transformer import LayerNormFp32, QuickGELU
from safetensors.torch import save_file

from evaluation.loading.facts import ModelFacts
from evaluation.model import ModelRequest, build_model, get_tokenizer, instantiate, load_checkpoint, resolve
from taxonomy.errors import BadInputError, WorkFailedError
from tests.evaluation.small_models import SMALL, TINY, changed

pytestmark = pytest.mark.torch

OWN_PIXELS = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "interpolation": "bilinear"}


def activations(model: torch.nn.Module) -> set[str]:
    """Names of the activation in every block of both towers."""
    classes = {type(module) for name, module in model.named_modules() if name.endswith("mlp.gelu")}
    return {"quickgelu" if one is QuickGELU else "gelu" for one in classes}


def small_weights(**changes) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return open_clip.CLIP(**changed(SMALL, **changes)).state_dict()


def same(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """open_clip with a small architecture `ViT-small` and its own way to weights, the hub client alone replaced.

    Gives the folder that the hub serves, as ORG/MODEL/FILE.
    """
    import open_clip.factory as factory

    configs, hub = tmp_path / "configs", tmp_path / "hub"
    configs.mkdir()
    for name, quick in (("ViT-small", {}), ("ViT-small-quickgelu", {"quick_gelu": True})):
        (configs / f"{name}.json").write_text(json.dumps(SMALL | quick))
    monkeypatch.setattr(factory, "_MODEL_CONFIG_PATHS", list(factory._MODEL_CONFIG_PATHS))
    monkeypatch.setattr(factory, "_MODEL_CONFIGS", dict(factory._MODEL_CONFIGS))
    open_clip.add_model_config(configs)
    tags = {
        "openai": open_clip.pretrained._pcfg(hf_hub="org/openai/", quick_gelu=True),
        "laion": open_clip.pretrained._apcfg(hf_hub="org/laion/weights.pt"),
    }
    for name in ("ViT-small", "ViT-small-quickgelu"):
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, name, tags)

    def download(repo_id: str, filename: str, **_) -> str:
        file = hub / repo_id / filename
        if not file.is_file():
            raise FileNotFoundError(f"{repo_id} has no {filename}")
        return str(file)

    monkeypatch.setattr(open_clip.pretrained, "hf_hub_download", download)
    return hub


def serve(folder: Path, weights: dict[str, torch.Tensor], config: dict | None = None, file: str = "") -> None:
    folder.mkdir(parents=True)
    if file.endswith(".pt"):
        torch.save({"state_dict": weights}, folder / file)
    else:
        save_file(weights, folder / "open_clip_model.safetensors")
    if config is not None:
        (folder / "open_clip_config.json").write_text(json.dumps(config))


def checkpoint(folder: Path, model: torch.nn.Module, facts: ModelFacts) -> Path:
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "state.json").write_text(json.dumps({"step": 3, "model_facts": facts.to_dict()}))
    return folder


@pytest.mark.parametrize(
    ("name", "tag", "activation"),
    [
        ("ViT-B-16", "openai", "quickgelu"),
        ("ViT-B-16-quickgelu", "openai", "quickgelu"),
        ("ViT-B-16", "laion2b_s34b_b88k", "gelu"),
        ("ViT-L-14", "metaclip_fullcc", "quickgelu"),
        ("ViT-B-16", None, "gelu"),
        ("ViT-B-16-quickgelu", None, "quickgelu"),
    ],
)
def test_the_published_models_get_the_activation_they_were_trained_with(name, tag, activation, caplog):
    caplog.set_level(logging.INFO, "evaluation")
    facts = resolve(ModelRequest(name, tag))
    assert facts.activation == activation
    with torch.device("meta"):
        model = instantiate(facts)
    assert activations(model) == {activation}
    is_remarkable = tag is not None and activation == "quickgelu" and not name.endswith("quickgelu")
    assert ("open_clip 3 alone would build gelu" in caplog.text) == is_remarkable
    assert facts.image_mean == open_clip.OPENAI_DATASET_MEAN and facts.interpolation == "bicubic"
    assert facts.image_size == 224 and facts.context_length == 77


@pytest.mark.parametrize("name", ["ViT-B-16", "RN50", "ViT-B-16-SigLIP", "ViT-L-14-quickgelu", "EVA02-B-16"])
def test_the_architecture_is_that_of_open_clips_factory(name):
    with torch.device("meta"):
        ours = instantiate(resolve(ModelRequest(name)))
        theirs = open_clip.create_model(name, device="meta")
    assert type(ours) is type(theirs)
    assert str(ours) == str(theirs)
    shapes = [{key: value.shape for key, value in model.state_dict().items()} for model in (ours, theirs)]
    assert shapes[0] == shapes[1]


def test_recipe_tiny_is_an_own_config():
    model, facts = build_model(ModelRequest("tiny", model_config=TINY))
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_388_993
    assert (facts.image_size, facts.embed_dim, facts.context_length) == (32, 64, 77)
    assert facts.activation == "gelu" and activations(model) == {"gelu"} and facts.pretrained is None
    quick, facts = build_model(ModelRequest("tiny", model_config=TINY, activation="quickgelu"))
    assert activations(quick) == {"quickgelu"} and facts.model_config["quick_gelu"] is True
    assert "quick_gelu" not in TINY


@pytest.mark.parametrize("name", ["ViT-small", "ViT-small-quickgelu"])
def test_a_tag_brings_weights_activation_and_pixels(registered, name):
    weights = small_weights()
    serve(registered / "org/openai", weights)
    serve(registered / "org/laion", weights, file="weights.pt")
    model, facts = build_model(ModelRequest(name, "openai"))
    assert same(model, weights) and activations(model) == {"quickgelu"}
    assert facts.activation_source == "tag openai" and facts.pretrained == "openai"
    model, facts = build_model(ModelRequest(name, "laion"))
    assert same(model, weights) and activations(model) == {"gelu"}
    assert facts.image_mean == IMAGENET_MEAN and facts.image_std == IMAGENET_STD
    assert facts.interpolation == "bilinear" and facts.resize_mode == "squash"
    with pytest.raises(BadInputError, match="--force"):
        build_model(ModelRequest(name, "openai", activation="gelu"))
    model, _ = build_model(ModelRequest(name, "openai", activation="gelu", force=True))
    assert activations(model) == {"gelu"} and same(model, weights)


def test_a_tag_of_another_architecture_is_refused(registered):
    serve(registered / "org/openai", small_weights(embed_dim=32))
    with pytest.raises(BadInputError, match="another architecture"):
        build_model(ModelRequest("ViT-small", "openai"))


def test_a_download_that_fails_is_failed_work_not_bad_input(registered):
    with pytest.raises(WorkFailedError, match="openai"):
        build_model(ModelRequest("ViT-small", "openai"))
    with pytest.raises(WorkFailedError, match="hf-hub:org/none"):
        resolve(ModelRequest("hf-hub:org/none"))


@pytest.mark.parametrize("place", ["local-dir", "hf-hub", "pretrained"])
@pytest.mark.parametrize("key", [{}, {"quick_gelu": True}, {"quick_gelu": False}])
def test_a_config_brings_architecture_activation_and_pixels(registered, place, key, caplog):
    caplog.set_level(logging.INFO, "evaluation")
    weights = small_weights()
    folder = registered / "org/model"
    serve(folder, weights, {"model_cfg": SMALL | key, "preprocess_cfg": OWN_PIXELS})
    requests = {
        "local-dir": ModelRequest(f"local-dir:{folder}"),
        "hf-hub": ModelRequest("hf-hub:org/model"),
        "pretrained": ModelRequest("ViT-small", f"local-dir:{folder}"),
    }
    model, facts = build_model(requests[place])
    expected = "quickgelu" if key.get("quick_gelu") else "gelu"
    assert activations(model) == {facts.activation} == {expected}
    assert same(model, weights)
    assert (list(facts.image_mean), list(facts.image_std)) == (OWN_PIXELS["mean"], OWN_PIXELS["std"])
    assert facts.interpolation == "bilinear"
    assert ("no quick_gelu key" in caplog.text) == (not key)
    peer = open_clip.create_model(f"local-dir:{folder}").eval()
    picture_NCHW = torch.randn(2, 3, 16, 16)
    assert torch.equal(model.eval().encode_image(picture_NCHW), peer.encode_image(picture_NCHW))
    with pytest.raises(BadInputError, match="--force"):
        resolve(dataclasses.replace(requests[place], activation="gelu" if key.get("quick_gelu") else "quickgelu"))


def test_pixels_by_flag_win(registered):
    serve(registered / "org/model", small_weights(), {"model_cfg": SMALL, "preprocess_cfg": OWN_PIXELS})
    flags = {"image_mean": (0.1, 0.2, 0.3), "image_std": (1.0, 2.0, 3.0), "interpolation": "bicubic"}
    facts = resolve(ModelRequest("hf-hub:org/model", **flags))
    assert {name: getattr(facts, name) for name in flags} == flags


def test_weights_of_other_settings_than_the_named_model_are_refused(registered):
    """The heads leave no trace in names or shapes of weights."""
    folder = registered / "org/model"
    serve(folder, small_weights(), {"model_cfg": changed(SMALL, text_cfg={"heads": 4})})
    with pytest.raises(BadInputError, match=r"text_cfg\.heads 4 instead of 2"):
        resolve(ModelRequest("ViT-small", f"local-dir:{folder}"))


def test_a_bare_file_needs_the_activation(registered, tmp_path):
    weights = small_weights()
    file = tmp_path / "epoch_1.pt"
    torch.save({"epoch": 1, "state_dict": {f"module.{name}": value for name, value in weights.items()}}, file)
    with pytest.raises(BadInputError, match="--activation"):
        resolve(ModelRequest("ViT-small", str(file)))
    model, facts = build_model(ModelRequest("ViT-small", str(file), activation="quickgelu"))
    assert same(model, weights) and activations(model) == {"quickgelu"}
    assert facts.activation_source == "flag --activation"
    assert activations(build_model(ModelRequest("ViT-small-quickgelu", str(file)))[0]) == {"quickgelu"}


@pytest.mark.parametrize("as_model", [True, False])
def test_a_published_file_of_the_trainer_here_tells_its_activation(registered, tmp_path, as_model):
    model, facts = build_model(ModelRequest("ViT-small", activation="quickgelu", image_mean=(0.5, 0.5, 0.5)))
    file = tmp_path / "epoch_1.pt"
    torch.save({"epoch": 1, "state_dict": model.state_dict(), "model_facts": facts.to_dict()}, file)
    request = ModelRequest(str(file)) if as_model else ModelRequest("ViT-small", str(file))
    loaded, found = build_model(request)
    assert same(loaded, model.state_dict()) and activations(loaded) == {"quickgelu"}
    assert found.image_mean == (0.5, 0.5, 0.5)
    with pytest.raises(BadInputError, match="--force"):
        resolve(dataclasses.replace(request, activation="gelu"))
    with pytest.raises(BadInputError, match="another architecture"):
        resolve(ModelRequest("ViT-B-32", str(file)))


@pytest.mark.parametrize("activation", ["gelu", "quickgelu"])
def test_a_checkpoint_is_all_that_is_needed(tmp_path, activation):
    request = ModelRequest(
        "tiny", model_config=TINY, activation=activation, image_mean=(0.5, 0.5, 0.5), interpolation="bilinear"
    )
    model, facts = build_model(request)
    folder = checkpoint(tmp_path / "checkpoints/step_000123", model, facts)
    loaded, found = load_checkpoint(folder)
    assert same(loaded, model.state_dict()) and activations(loaded) == {activation}
    assert found == dataclasses.replace(facts, activation_source="state.json of the checkpoint (flag --activation)")
    assert found.image_mean == (0.5, 0.5, 0.5) and found.interpolation == "bilinear"
    other = {"gelu": "quickgelu", "quickgelu": "gelu"}[activation]
    with pytest.raises(BadInputError, match="--force"):
        load_checkpoint(folder, activation=other)
    forced, found = load_checkpoint(folder, activation=other, force=True)
    assert activations(forced) == {other} == {found.activation} and found.model_config["quick_gelu"] == (
        other != "gelu"
    )
    assert resolve(ModelRequest(str(folder), image_mean=(0.1, 0.2, 0.3))).image_mean == (0.1, 0.2, 0.3)
    for pretrained in (folder, folder / "model.safetensors"):
        again, found = build_model(ModelRequest("tiny", str(pretrained), model_config=TINY))
        assert same(again, model.state_dict()) and found.activation == activation


def test_what_is_no_checkpoint_is_refused(tmp_path):
    model, facts = build_model(ModelRequest("small", model_config=SMALL))
    with pytest.raises(BadInputError, match=r"state\.json"):
        load_checkpoint(tmp_path)
    folder = checkpoint(tmp_path / "step_000001", model, facts)
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadInputError, match=r"model\.safetensors"):
        load_checkpoint(folder)
    state = json.loads((folder / "state.json").read_text())
    del state["model_facts"]["activation"]
    (folder / "state.json").write_text(json.dumps(state))
    with pytest.raises(BadInputError, match="lack activation"):
        load_checkpoint(folder)
    (folder / "state.json").write_text("{")
    with pytest.raises(BadInputError, match="not readable"):
        load_checkpoint(folder)


def test_facts_survive_json():
    facts = resolve(ModelRequest("tiny", model_config=TINY))
    assert ModelFacts.from_dict(json.loads(json.dumps(facts.to_dict()))) == facts
    assert ModelFacts.from_dict(facts.to_dict() | {"of_a_later_version": 1}) == facts


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (ModelRequest("ViT-B-61"), "no such model"),
        (ModelRequest("ViT-B-16", "opanai"), "openai"),
        (ModelRequest("ViT-B-16", "openai", activation="relu"), "gelu, quickgelu"),
        (ModelRequest("local-dir:/nowhere"), "open_clip_config.json"),
        (ModelRequest("own", model_config={"embed_dim": 3}), "vision_cfg, text_cfg"),
        (ModelRequest("own", model_config=changed(SMALL, text_cfg={"depth": 3})), "depth"),
        (ModelRequest("own", model_config=changed(SMALL, vision_cfg={"image_size": [16, 32]})), "square"),
        (ModelRequest("own", model_config=SMALL, interpolation="nearest"), "bicubic or bilinear"),
        (ModelRequest("own", model_config=SMALL, image_mean=(0.5,)), "three"),
        (ModelRequest("coca_ViT-B-32"), "CoCa"),
    ],
)
def test_bad_requests_say_what_is_allowed(request_, named):
    with pytest.raises(BadInputError, match=named):
        build_model(request_)


def test_settings_reach_the_model_and_its_checkpoint(registered, tmp_path):
    serve(registered / "org/openai", small_weights())
    request = ModelRequest(
        "ViT-small",
        "openai",
        image_size=32,
        patch_dropout=0.5,
        custom_text=True,
        init_logit_scale=2.0,
        init_logit_bias=-10.0,
    )
    model, facts = build_model(request)
    assert isinstance(model, open_clip.CustomTextCLIP)
    assert facts.image_size == 32 and model.visual.positional_embedding.shape[0] == 17
    assert model.visual.patch_dropout.prob == 0.5
    scratch, _ = build_model(dataclasses.replace(request, pretrained=None))
    assert (scratch.logit_scale.item(), scratch.logit_bias.item()) == (2.0, -10.0)
    loaded, found = load_checkpoint(checkpoint(tmp_path / "step_000001", scratch, facts))
    assert same(loaded, scratch.state_dict()) and found.image_size == 32


def test_low_precision_is_stored_as_open_clip_stores_it():
    model, facts = build_model(ModelRequest("tiny", model_config=TINY), precision="bf16_published")
    dtypes = {name: value.dtype for name, value in model.state_dict().items()}
    assert dtypes["visual.conv1.weight"] == dtypes["text_projection"] == dtypes["visual.proj"] == torch.bfloat16
    assert dtypes["token_embedding.weight"] == dtypes["ln_final.weight"] == dtypes["logit_scale"] == torch.float32
    assert isinstance(model.ln_final, LayerNormFp32) and not isinstance(instantiate(facts).ln_final, LayerNormFp32)
    assert {value.dtype for value in instantiate(facts).state_dict().values()} == {torch.float32}
    assert model.encode_text(get_tokenizer(facts)(["a photo"])).dtype == torch.bfloat16


def test_a_folder_called_like_a_model_or_tag_does_not_shadow_it(registered, tmp_path, monkeypatch):
    weights = small_weights()
    serve(registered / "org/openai", weights)
    for name in ("ViT-small", "openai"):
        serve(tmp_path / "here" / name, small_weights(), {"model_cfg": SMALL})
    monkeypatch.chdir(tmp_path / "here")
    _, facts = build_model(ModelRequest("ViT-small", "openai"))
    assert facts.activation_source == "tag openai"
    assert resolve(ModelRequest("openai", model_config=SMALL)).pretrained is None


def test_tokenizers():
    tiny = get_tokenizer(resolve(ModelRequest("tiny", model_config=TINY)))
    named = open_clip.get_tokenizer("ViT-B-16")
    texts = ["a photo of Turdus merula.", ""]
    assert torch.equal(tiny(texts), named(texts))
    short = resolve(ModelRequest("own", model_config=changed(SMALL, text_cfg={"context_length": 8})))
    assert get_tokenizer(short)(["one two three four five six seven eight nine"]).shape == (1, 8)
    assert get_model_config("ViT-B-16")["text_cfg"]["context_length"] == 77
