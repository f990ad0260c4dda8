"""An exported folder against the model it was made from: open_clip alone, without network, computes the same."""

import functools
import io
import json
import socket
import sys
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from evaluation.encoding.encode import to_input
from evaluation.encoding.encoder import OpenClipEncoder
from evaluation.encoding.pictures import eval_picture
from evaluation.encoding.preprocess import Preprocess
from evaluation.loading.facts import ModelFacts
from evaluation.loading.fingerprint import model_hash
from evaluation.model import ModelRequest, build_model, get_tokenizer, instantiate
from release.card.card_facts import CardFacts
from release.export.published_file import Progress, write_published_file
from release.folder.released_folder import released_folder
from release.folder.whole_folder import check_out
from release.folder.write_folder import check_can_be_exported, public_facts
from taxonomy.errors import BadInputError, WorkFailedError
from tests.evaluation.small_models import SMALL, changed
from tests.release.export.small_checkpoints import OWN_PIXELS, TEXTS, photos, small_checkpoint, small_model

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
RESNET = changed(SMALL, vision_cfg={"layers": [1, 1, 1, 1], "width": 8, "head_width": 8, "image_size": 32})
del RESNET["vision_cfg"]["patch_size"]
TIMM = changed(SMALL) | {
    "vision_cfg": {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear", "image_size": 160}
}

MODELS: dict[str, dict[str, Any]] = {
    "quickgelu": {},
    "gelu": {"activation": "gelu"},
    "own pixels": OWN_PIXELS,
    "text tower of its own": {"custom_text": True, "activation": "gelu"},
    "bias and scale of sigmoid losses": {"init_logit_bias": -10.0, "init_logit_scale": 2.3},
    "short texts": {"model_config": changed(SMALL, text_cfg={"context_length": 24})},
    "patch dropout": {"patch_dropout": 0.5},
    "resnet": {"model_config": RESNET},
    "timm": {"model_config": TIMM},
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*address: object) -> None:
        raise AssertionError(f"asks the network for {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def write_folder(model: torch.nn.Module, facts: ModelFacts, out: Path) -> None:
    """The folder of a model of which nothing else is known."""
    check_out("--out", out)
    with released_folder(model, facts, CardFacts("small", public_facts(facts), model_hash(model, facts)), out):
        pass


def normalised_like(pixels: Preprocess, encoded: bytes) -> torch.Tensor:
    picture = eval_picture(encoded, pixels.image_size, pixels.interpolation, pixels.resize_mode)
    return to_input(torch.from_numpy(picture)[None], pixels, CPU)[0]


@functools.cache
def tokenizer_for(context_length: int) -> Any:
    return open_clip.SimpleTokenizer(context_length=context_length)


def opened(folder: Path) -> tuple[Any, Any]:
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    return model.eval(), preprocess


def assert_open_clip_computes_the_same(folder: Path, encoder: OpenClipEncoder) -> None:
    model, preprocess = opened(folder)
    tokenizer = tokenizer_for(encoder.facts.context_length)
    pictures = [Image.open(io.BytesIO(photo)) for photo in photos()]
    pixels = encoder.preprocess
    own = [
        encoder.encode_images(
            torch.from_numpy(eval_picture(one, pixels.image_size, pixels.interpolation, pixels.resize_mode))[None]
        )
        for one in photos()
    ]
    with torch.no_grad():
        image_ND = model.encode_image(torch.stack([preprocess(one) for one in pictures]), normalize=True)
        text_VD = model.encode_text(tokenizer(TEXTS), normalize=True)
    assert torch.allclose(image_ND, torch.cat(own), rtol=0, atol=1e-6)
    assert torch.allclose(text_VD, encoder.encode_texts(TEXTS), rtol=0, atol=1e-6)
    assert model.logit_scale.detach().exp().item() == pytest.approx(encoder.logit_scale, abs=1e-6)


def encoder_of(model: Any, facts: Any) -> OpenClipEncoder:
    return OpenClipEncoder(model, facts, tokenizer_for(facts.context_length), CPU)


@pytest.mark.parametrize("name", MODELS)
def test_open_clip_computes_the_same_without_network_and_it_is_read_back_here(tmp_path: Path, name: str) -> None:
    model, facts = small_model(**MODELS[name])
    write_folder(model, facts, tmp_path / "out")
    encoder = encoder_of(model, facts)
    assert encoder.encode_images(torch.zeros(1, facts.image_size, facts.image_size, 3, dtype=torch.uint8)).std() > 0
    assert_open_clip_computes_the_same(tmp_path / "out", encoder)
    again, known = build_model(ModelRequest(f"local-dir:{tmp_path / 'out'}"))
    assert model_hash(again, known) == model_hash(model, facts)
    assert known.activation == facts.activation
    assert Preprocess.of(known) == Preprocess.of(facts)
    assert known.context_length == facts.context_length
    record = json.loads((tmp_path / "out" / "taxaflow.json").read_text())
    assert record["model_hash"] == model_hash(model, facts)


@pytest.mark.parametrize("context_length", [77, 24])
def test_the_tokenizer_comes_with_the_folder(tmp_path: Path, context_length: int) -> None:
    model, facts = small_model(model_config=changed(SMALL, text_cfg={"context_length": context_length}))
    write_folder(model, facts, tmp_path / "out")
    token_NT = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'out'}")(TEXTS)
    assert token_NT.shape == (len(TEXTS), context_length)
    assert torch.equal(token_NT, get_tokenizer(facts)(TEXTS))


def test_the_other_activation_computes_something_else(tmp_path: Path) -> None:
    """The check above would see a lost activation."""
    model, facts = small_model()
    write_folder(model, facts, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "open_clip_config.json").read_text())
    assert config["model_cfg"]["quick_gelu"] is True
    (tmp_path / "out" / "open_clip_config.json").write_text(json.dumps(config).replace("true", "false"))
    with pytest.raises(AssertionError):
        assert_open_clip_computes_the_same(tmp_path / "out", encoder_of(model, facts))


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("resize_mode", ["shortest", "squash", "longest"])
def test_open_clip_makes_the_same_pixels(tmp_path: Path, interpolation: str, resize_mode: str) -> None:
    model, facts = small_model(**(OWN_PIXELS | {"interpolation": interpolation}))
    facts = type(facts)(**(vars(facts) | {"resize_mode": resize_mode}))
    write_folder(model, facts, tmp_path / "out")
    _, preprocess = opened(tmp_path / "out")
    pixels = Preprocess.of(facts)
    seen = []
    for photo in photos():
        own = normalised_like(pixels, photo)
        assert torch.allclose(preprocess(Image.open(io.BytesIO(photo))), own, rtol=0, atol=2e-6)
        seen.append(own)
    other = Preprocess.of(facts).to_dict() | {"resize_mode": "squash" if resize_mode != "squash" else "shortest"}
    assert not torch.allclose(normalised_like(Preprocess(**other), photos()[0]), seen[0], rtol=0, atol=1e-2)


def test_a_checkpoint_stored_in_bf16_is_exported_as_it_is_evaluated(tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "run", precision="bf16_published")
    model, facts = build_model(ModelRequest(str(checkpoint)))
    write_folder(model.eval(), facts, tmp_path / "out")
    assert_open_clip_computes_the_same(tmp_path / "out", encoder_of(model, facts))
    low, _ = build_model(ModelRequest(str(checkpoint)), precision="bf16_published")
    write_folder(low, facts, tmp_path / "low")
    stored = load_file(tmp_path / "low" / "open_clip_model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}
    assert_open_clip_computes_the_same(tmp_path / "low", encoder_of(model, facts))


def test_a_model_for_larger_pictures_than_its_weights_were_trained_with(tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "run")
    model, facts = build_model(ModelRequest(str(checkpoint), image_size=32))
    write_folder(model.eval(), facts, tmp_path / "out")
    assert_open_clip_computes_the_same(tmp_path / "out", encoder_of(model, facts))


def test_others_may_read_the_files(tmp_path: Path) -> None:
    write_folder(*small_model(), tmp_path / "out")
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()}
    assert len(modes) == 1


def test_a_text_tower_that_needs_the_network_is_refused(tmp_path: Path) -> None:
    model, facts = small_model()
    config = changed(dict(facts.model_config), text_cfg={"hf_model_name": "org/roberta"})
    facts = type(facts)(**(vars(facts) | {"model_config": config}))
    with pytest.raises(BadInputError, match=r"^the text tower org/roberta .* own text towers are exported$"):
        check_can_be_exported(facts)
    with pytest.raises(BadInputError):
        write_folder(model, facts, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(BadInputError, match="holds something else"):
        write_folder(*small_model(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_weights_that_cannot_be_written_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors import SafetensorError

    from release.folder import write_folder as module

    def full(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(WorkFailedError, match="No space left on device"):
        write_folder(*small_model(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_no_path_of_this_machine_gets_out(tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "private" / "demo")
    fine_tuned = small_checkpoint(tmp_path / "next", model_config=SMALL, pretrained=str(checkpoint), activation=None)
    model, facts = build_model(ModelRequest(str(fine_tuned)))
    assert str(tmp_path) in str(facts.to_dict())
    write_folder(model, facts, tmp_path / "out")
    every = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    assert str(tmp_path).encode() not in every
    assert public_facts(facts).pretrained == "demo step_000007"


@pytest.mark.parametrize("name", ["ViT-B-16", "ViT-B/16", "hf-hub:org/model", "tiny"])
def test_names_that_are_no_paths_stay(name: str) -> None:
    _, facts = small_model()
    assert public_facts(type(facts)(**(vars(facts) | {"name": name}))).name == name


def test_random_weights_are_no_part_of_what_is_compared() -> None:
    """Two models of one config differ, so that equal embeddings come from the weights."""
    model, facts = small_model(0)
    torch.manual_seed(1)
    assert model_hash(instantiate(facts), facts) != model_hash(model, facts)


def with_own_tokenizer(name: str) -> tuple[torch.nn.Module, Any]:
    model, facts = small_model()
    config = changed(dict(facts.model_config), text_cfg={"hf_tokenizer_name": "org/words"})
    return model, type(facts)(**(vars(facts) | {"name": name, "model_config": config}))


def test_a_tokenizer_of_its_own_is_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Words:
        def save_pretrained(self, folder: Path) -> None:
            (folder / "tokenizer.json").write_text("{}")

    monkeypatch.setattr("release.folder.write_folder.get_tokenizer", lambda facts: Words())
    write_folder(*with_own_tokenizer("ViT-B-16-SigLIP"), tmp_path / "out")
    assert "tokenizer.json" in json.loads((tmp_path / "out" / "taxaflow.json").read_text())["files"]


def test_a_tokenizer_that_cannot_be_had_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(BadInputError, match=r"^the tokenizer org/words needs a package: pip install transformers$"):
        write_folder(*with_own_tokenizer("ViT-B-16-SigLIP"), tmp_path / "out")
    model, facts = with_own_tokenizer(f"local-dir:{tmp_path}/words")
    with pytest.raises(BadInputError, match=r"^--format pt: a .pt file cannot hold the tokenizer org/words of words"):
        write_published_file(tmp_path / "out.pt", model, facts, Progress(), "words")
    assert list(tmp_path.iterdir()) == []
