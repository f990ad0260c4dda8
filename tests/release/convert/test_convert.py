"""Published weights become a folder that open_clip loads, or are refused with what is known."""

import json
import re
from pathlib import Path
from pickle import UnpicklingError

import pytest
import torch
from open_clip import CLIP, create_model_from_pretrained
from open_clip.factory import _MODEL_CONFIG_PATHS, _rescan_model_configs, get_model_config

from release.card.card_facts import read_facts
from release.convert.cli import main
from release.convert.fitting_models import fitting_models
from tests.evaluation.small_models import SMALL, changed
from tests.release.convert import published_files
from tests.release.export.small_checkpoints import small_model as model_of_ours
from trainer.checkpoints.checkpoint import CheckpointContent
from trainer.checkpoints.published_checkpoint import save_published

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module", autouse=True)
def named(tmp_path_factory):
    known = list(_MODEL_CONFIG_PATHS)
    published_files.name_models(tmp_path_factory.mktemp("configs") / "small")
    yield
    _MODEL_CONFIG_PATHS[:] = known
    _rescan_model_configs()


@pytest.fixture(scope="module")
def model() -> CLIP:
    return published_files.small_model()


@pytest.fixture
def biotrove(tmp_path, model) -> Path:
    return published_files.write_biotrove(tmp_path / "bt-clip-o.pt", model)


@pytest.fixture
def bioclip(tmp_path, model) -> Path:
    return published_files.write_bioclip(tmp_path / "open_clip_pytorch_model.bin", model)


def convert(*words: object) -> None:
    main([str(word) for word in words])


def refused(capsys, out: Path, *words: object) -> str:
    """The one line that a conversion is refused with; nothing may have been written."""
    before = sorted(path for path in out.parent.rglob("*") if path.is_file())
    with pytest.raises(SystemExit) as caught:
        convert(*words, "--out", out)
    said = capsys.readouterr()
    assert caught.value.code == 2 and said.out == "", said
    (line,) = said.err.splitlines()
    assert not out.exists() and sorted(path for path in out.parent.rglob("*") if path.is_file()) == before
    return line.removeprefix("taxaflow: ")


def embeddings(model: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    pictures, tokens = torch.rand(3, 3, 16, 16), torch.randint(1, 1000, (3, 77))
    with torch.no_grad():
        return model.encode_image(pictures, normalize=True), model.encode_text(tokens, normalize=True)


def test_the_published_file_is_one_that_torch_refuses(biotrove):
    with pytest.raises(UnpicklingError, match="numpy"):
        torch.load(biotrove, weights_only=True)


@pytest.mark.parametrize("form", ["biotrove", "bioclip"])
def test_a_published_file_becomes_a_folder_that_open_clip_loads(form, model, tmp_path, request, capsys):
    out = tmp_path / "out"
    convert(request.getfixturevalue(form), "--model", "dwarf", "--activation", "quickgelu", "--out", out)
    loaded, _ = create_model_from_pretrained(f"local-dir:{out}")
    for found, expected in zip(embeddings(loaded.eval()), embeddings(model), strict=True):
        assert torch.allclose(found, expected, atol=1e-6)
    assert json.loads((out / "open_clip_config.json").read_text())["model_cfg"]["quick_gelu"] is True
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "dwarf" in said and "activation quickgelu (flag --activation)" in said
    assert "| activation | quickgelu, by: flag --activation |" in (out / "README.md").read_text()


def test_the_activation_matters_to_what_is_loaded(biotrove, model, tmp_path):
    convert(biotrove, "--model", "dwarf", "--activation", "gelu", "--out", tmp_path / "out")
    loaded, _ = create_model_from_pretrained(f"local-dir:{tmp_path / 'out'}")
    assert not torch.allclose(embeddings(loaded.eval())[0], embeddings(model)[0], atol=1e-3)


def test_what_the_file_says_beside_its_weights_is_in_the_card(biotrove, tmp_path):
    convert(biotrove, "--model", "dwarf", "--activation", "gelu", "--out", tmp_path / "out")
    facts = read_facts(tmp_path / "out")
    assert facts is not None and facts.run is not None and facts.label == "bt-clip-o"
    assert (facts.run.name, facts.run.epoch, facts.run.settings) == ("biotrove-clip-o", 40, {})
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| whole passes over the data | 40 |" in card and str(tmp_path) not in card


def test_weights_without_an_activation_are_refused_with_what_is_known(biotrove, tmp_path, capsys):
    line = refused(capsys, tmp_path / "out", biotrove, "--model", "dwarf")
    assert "add --activation quickgelu or gelu" in line
    assert "BT-CLIP-O and BioCLIP were trained with quickgelu" in line and "BT-CLIP-M it is not known" in line


def test_a_name_that_tells_the_activation_is_enough(biotrove, tmp_path, capsys):
    convert(biotrove, "--model", "dwarf-quickgelu", "--out", tmp_path / "out")
    assert "activation quickgelu (model dwarf-quickgelu)" in capsys.readouterr().out


def test_without_a_model_the_names_that_fit_are_said(bioclip, tmp_path, capsys):
    line = refused(capsys, tmp_path / "out", bioclip)
    assert line.endswith("add --model and --activation; --model dwarf fits its shapes")
    line = refused(capsys, tmp_path / "out", bioclip, "--activation", "gelu")
    assert "add --model; --model dwarf fits" in line


def test_another_architecture_is_refused_with_what_differs(biotrove, bioclip, tmp_path, capsys):
    line = refused(capsys, tmp_path / "out", biotrove, "--model", "gnome", "--activation", "gelu")
    assert "12 missing: visual.transformer.resblocks.2." in line and line.endswith("its shapes are those of dwarf")
    wide = published_files.write_bioclip(tmp_path / "w.bin", CLIP(**changed(SMALL, embed_dim=8)))
    line = refused(capsys, tmp_path / "out", wide, "--model", "dwarf", "--activation", "gelu")
    assert "text_projection (16, 8) instead of (16, 16)" in line and "its shapes are those of" not in line


def test_a_file_of_ours_tells_everything_itself(tmp_path, capsys):
    model, facts = model_of_ours(image_mean=(0.1, 0.2, 0.3), image_std=(0.5, 0.6, 0.7))
    file = tmp_path / "epoch_3.pt"
    save_published(file, CheckpointContent(model.state_dict(), {}, state={"model_facts": facts.to_dict()}), 3, "own")
    line = refused(capsys, tmp_path / "out", file, "--activation", "gelu")
    assert "these weights use quickgelu" in line
    convert(file, "--out", tmp_path / "out")
    stored = json.loads((tmp_path / "out" / "open_clip_config.json").read_text())
    assert stored["preprocess_cfg"]["mean"] == [0.1, 0.2, 0.3] and stored["model_cfg"]["quick_gelu"] is True


@pytest.mark.parametrize(
    ("name", "shown"),
    [("/home/jane/secret/run-x", "run-x"), ("C:\\jane\\run-x", "run-x"), ("run\x1b[2J\nx", "run [2J x")],
)
def test_names_in_a_file_are_shown_without_folders_and_on_one_line(name, shown, tmp_path, capsys):
    model, facts = model_of_ours()
    stored = facts.to_dict() | {"name": name, "pretrained": name, "activation_source": f"model {name}"}
    file = tmp_path / "epoch_3.pt"
    torch.save({"state_dict": model.state_dict(), "epoch": 3, "name": name, "model_facts": stored}, file)
    convert(file, "--out", tmp_path / "out")
    said = capsys.readouterr().out
    assert said.removesuffix("\n").isprintable() and f": {shown}, " in said and "jane" not in said
    record = read_facts(tmp_path / "out")
    assert record is not None and record.run is not None
    assert (record.model.name, record.run.name) == (shown, shown)
    for written in ("README.md", "taxaflow.json"):
        assert not re.search("jane|secret|\\x1b", (tmp_path / "out" / written).read_text())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_config": {**SMALL, "embed_dim": -1}}, "embed_dim -1"),
        ({"model_config": {**SMALL, "text_cfg": 5}}, "text_cfg 5: a dictionary"),
        ({"model_config": "x"}, "model_config 'x': a dictionary"),
        ({"image_mean": ["a", "b", "c"]}, "image_mean"),
        (
            {"model_config": {**SMALL, "vision_cfg": {**SMALL["vision_cfg"], "pool_type": "x"}}},
            "does not fit open_clip",
        ),
    ],
)
def test_a_file_with_senseless_facts_is_refused_by_name(change, named, tmp_path, capsys):
    model, facts = model_of_ours()
    torch.save({"state_dict": model.state_dict(), "model_facts": facts.to_dict() | change}, tmp_path / "w.pt")
    assert named in refused(capsys, tmp_path / "out", tmp_path / "w.pt")


def test_pixels_by_flag_reach_the_folder(bioclip, tmp_path):
    pixels = ("--image-mean", 0.485, 0.456, 0.406, "--image-std", 0.229, 0.224, 0.225, "--interpolation", "bilinear")
    convert(bioclip, "--model", "dwarf", "--activation", "gelu", *pixels, "--out", tmp_path / "out")
    stored = json.loads((tmp_path / "out" / "open_clip_config.json").read_text())["preprocess_cfg"]
    assert stored["mean"] == [0.485, 0.456, 0.406] and stored["std"] == [0.229, 0.224, 0.225]
    assert stored["interpolation"] == "bilinear"


def test_the_same_conversion_gives_the_same_bytes_and_replaces_only_its_own(bioclip, tmp_path, capsys):
    words = (bioclip, "--model", "dwarf", "--activation", "gelu", "--out", tmp_path / "out")
    convert(*words)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    convert(*words)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(SystemExit) as caught:
        convert(*words)
    assert caught.value.code == 2 and (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert "holds something else (notes.txt)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no file; taxaflow convert FILE"),
        (("a.pt", "b.pt"), "2 files: convert one at a time"),
        (("nowhere.pt",), "FILE nowhere.pt: no such file"),
        (("FILE", "--model", "hf-hub:a/b"), "brings its own weights"),
        (("FILE", "--model", "dwarv", "--activation", "gelu"), "open_clip has no such model (near it: dwarf"),
        (("FILE", "--activation", "relu"), "allowed are gelu, quickgelu"),
        (("FILE", "--image-mean", "0.5"), "--image-mean 0.5: give three numbers"),
        (("FILE", "--image-mean", "a", "b", "c"), "give three numbers"),
        (("FILE", "--image-mean", "nan", "0", "0"), "give three numbers"),
        (("FILE", "--image-std", "0", "1", "1"), "above 0"),
        (("FILE", "--interpolation", "nearest"), "allowed are bicubic, bilinear"),
        (("FILE", "--modle", "dwarf"), "did you mean --model?"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(words, said, bioclip, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = refused(capsys, tmp_path / "out", *(bioclip if word == "FILE" else word for word in words))
    assert said in line


@pytest.mark.parametrize("content", [b"", b"x", b"PK\x03\x04 no zip"])
def test_a_file_that_is_no_weights_is_refused(content, tmp_path, capsys):
    for name in ("w.pt", "w.bin", "w.safetensors"):
        (tmp_path / name).write_bytes(content)
        assert name in refused(capsys, tmp_path / "out", tmp_path / name, "--model", "dwarf", "--activation", "gelu")


@pytest.mark.parametrize("name", ["ViT-B-32", "ViT-B-16", "ViT-L-14", "ViT-L-14-336", "ViT-H-14", "ViT-S-16"])
def test_the_usual_models_are_found_by_their_shapes(name):
    with torch.device("meta"):
        state = CLIP(**get_model_config(name)).state_dict()
    assert fitting_models(state)[0] == name


def test_no_name_is_given_where_none_fits():
    assert fitting_models({}) == [] and fitting_models({"visual.conv1.weight": torch.zeros(3)}) == []
    with torch.device("meta"):
        assert fitting_models(CLIP(**changed(SMALL, embed_dim=7)).state_dict()) == []
        assert fitting_models(CLIP(**get_model_config("RN50")).state_dict()) == []
