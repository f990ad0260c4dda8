"""The ONNX image tower: what it computes, what its description is enough for, and that a wrong one is found."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from evaluation.encoding.encoder import OpenClipEncoder
from evaluation.encoding.pictures import eval_picture
from evaluation.model import ModelRequest, build_model
from release.export import image_encoder
from release.export.image_encoder import describe, largest_difference, write_image_encoder
from taxonomy.errors import WorkFailedError
from tests.evaluation.small_models import SMALL, changed
from tests.release.conftest import Released
from tests.release.export.small_checkpoints import photos, small_model

pytestmark = pytest.mark.torch


def encoder_of(released: Released, activation: str | None = None) -> OpenClipEncoder:
    request = ModelRequest(str(released.checkpoint), activation=activation, force=activation is not None)
    model, facts = build_model(request)
    return OpenClipEncoder(model.eval(), facts, lambda texts: torch.zeros(len(texts), 77), torch.device("cpu"))


def as_described(file: Path, about: dict[str, Any]) -> np.ndarray:
    """A picture made by the steps of the description, with Pillow and NumPy alone."""
    how = about["preprocessing"]
    size = how["image_size"]
    picture = Image.open(file)
    short, long = sorted(picture.size)
    scaled = int(size * long / short)
    wide = picture.width > picture.height
    filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    picture = picture.resize((scaled, size) if wide else (size, scaled), filters[how["interpolation"]])
    left, top = round((picture.width - size) / 2), round((picture.height - size) / 2)
    picture = picture.crop((left, top, left + size, top + size)).convert("RGB")
    pixels_HWC = np.asarray(picture, dtype=np.float32) / 255
    return ((pixels_HWC - np.array(how["mean"])) / np.array(how["std"])).transpose(2, 0, 1).astype(np.float32)


def test_from_a_file_to_an_embedding_by_the_description_alone(released: Released, tmp_path: Path) -> None:
    about = json.loads((released.folder / "image_encoder.json").read_text())
    session = onnxruntime.InferenceSession(released.folder / about["file"])
    encoder = encoder_of(released)
    for number, photo in enumerate(photos()):
        file = tmp_path / f"{number}.png"
        file.write_bytes(photo)
        image_BCHW = as_described(file, about)[None]
        assert list(image_BCHW.shape[1:]) == about["input"]["shape"][1:]
        (onnx_BD,) = session.run([about["output"]["name"]], {about["input"]["name"]: image_BCHW})
        pixels = encoder.preprocess
        picture = eval_picture(file, pixels.image_size, pixels.interpolation, pixels.resize_mode)
        own_BD = encoder.encode_images(torch.from_numpy(picture)[None]).numpy()
        assert np.abs(onnx_BD - own_BD).max() <= 1e-5
        assert np.linalg.norm(onnx_BD) == pytest.approx(about["output"]["l2_norm"], abs=1e-6)
    assert about["logit_scale"] == pytest.approx(encoder.logit_scale, rel=1e-6)
    assert about["model_hash"] == encoder.hash


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_any_batch_gives_what_its_pictures_give_alone(released: Released, batch: int) -> None:
    session = onnxruntime.InferenceSession(released.folder / "image_encoder.onnx")
    image_BCHW = np.random.default_rng(0).standard_normal((batch, 3, 16, 16)).astype(np.float32)
    (together,) = session.run(None, {"image": image_BCHW})
    alone = [session.run(None, {"image": image_BCHW[number : number + 1]})[0] for number in range(batch)]
    assert np.abs(together - np.concatenate(alone)).max() <= 1e-6


def test_quick_gelu_and_attention_are_in_the_graph(released: Released) -> None:
    kinds = [node.op_type for node in onnx.load(released.folder / "image_encoder.onnx").graph.node]
    assert kinds.count("Softmax") == SMALL["vision_cfg"]["layers"]
    assert "Sigmoid" in kinds
    assert "Erf" not in kinds


def test_another_activation_or_other_weights_are_found(released: Released) -> None:
    path = released.folder / "image_encoder.onnx"
    for other in (encoder_of(released, "gelu"), None):
        model, facts = (other.model, other.facts) if other else small_model(5)
        wrapped = image_encoder._UnitImageEncoder(model)
        assert largest_difference(wrapped, facts, path) > image_encoder.TOLERANCE


def test_nothing_of_this_machine_is_in_the_file(released: Released) -> None:
    every = (released.folder / "image_encoder.onnx").read_bytes()
    for place in (b"site-packages", str(Path(__file__).parents[3]).encode(), str(released.folder).encode()):
        assert place not in every


def test_a_resnet_with_gelu_text_and_large_files_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = changed(SMALL, vision_cfg={"layers": [1, 1, 1, 1], "width": 8, "head_width": 8, "image_size": 32})
    model, facts = small_model(model_config=config, activation="gelu")
    monkeypatch.setattr(image_encoder, "_LARGEST_MESSAGE", 1000)
    assert write_image_encoder(model, facts, "abc", 100.0, tmp_path) <= 1e-5
    assert {path.name for path in tmp_path.iterdir()} == {
        "image_encoder.onnx",
        "image_encoder.onnx.data",
        "image_encoder.json",
    }
    (tmp_path / "image_encoder.onnx.data").rename(tmp_path / "image_encoder.onnx.other")
    with pytest.raises(WorkFailedError, match=r"^image_encoder.onnx does not run: "):
        largest_difference(image_encoder._UnitImageEncoder(model), facts, tmp_path / "image_encoder.onnx")


def test_a_model_with_numbers_that_are_none_is_found(released: Released) -> None:
    model, facts = small_model(**{"image_mean": (0.1, 0.2, 0.3), "image_std": (0.5, 0.6, 0.7)})
    with torch.no_grad():
        next(model.visual.parameters()).fill_(float("nan"))
    wrapped = image_encoder._UnitImageEncoder(model)
    assert largest_difference(wrapped, facts, released.folder / "image_encoder.onnx") == float("inf")


@pytest.mark.parametrize("resize_mode", ["shortest", "squash", "longest"])
def test_every_way_to_resize_is_described(resize_mode: str) -> None:
    _, facts = small_model()
    facts = type(facts)(**(vars(facts) | {"resize_mode": resize_mode}))
    how = describe(facts, "abc", 1.0)["preprocessing"]
    assert how["resize_mode"] == resize_mode
    assert any("16" in step and "bicubic" in step for step in how["steps"])


def test_the_exporters_remarks_are_silent_and_its_loggers_as_before(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("onnxscript")
    before = logger.level
    with image_encoder._quiet():
        logger.warning("about its code")
    assert (logger.level, caplog.records) == (before, [])
