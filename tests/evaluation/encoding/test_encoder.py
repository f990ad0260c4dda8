"""The encoder: its pixels, sizes and hash, and unit rows without gradient."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.benchmarks.benchmark import Rows
from evaluation.encoding.encode import encode_image, to_input
from evaluation.encoding.encode_pictures import image_features
from evaluation.encoding.encoder import OpenClipEncoder, evaluation_mode, with_preprocess
from evaluation.encoding.pictures import eval_picture
from evaluation.encoding.preprocess import Preprocess
from evaluation.loading.fingerprint import model_hash
from evaluation.model import ModelRequest, build_model, get_tokenizer
from taxonomy.errors import BadInputError
from tests.evaluation.small_models import SMALL

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def encoder() -> OpenClipEncoder:
    torch.manual_seed(2)
    model, facts = build_model(ModelRequest("small", model_config=SMALL, interpolation="bilinear"))
    return OpenClipEncoder(model.eval(), facts, get_tokenizer(facts), torch.device("cpu"))


def test_an_encoder_says_what_it_does_to_pictures_and_which_weights_it_has(encoder):
    assert encoder.preprocess == Preprocess.of(encoder.facts)
    assert encoder.preprocess.interpolation == "bilinear" and encoder.preprocess.image_size == 16
    assert encoder.hash == model_hash(encoder.model, encoder.facts)
    assert encoder.variant == "gelu fp32"
    low = replace(encoder, autocast=lambda: torch.autocast("cpu", torch.bfloat16))
    assert low.variant == "gelu bf16" and encoder.variant == "gelu fp32"


def test_another_mean_and_std_reach_the_model(encoder):
    image_NHWC = torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8)
    own = encoder.preprocess
    # mean and std such that pixels come out as those of the doubled picture under the own ones
    mean, std = (tuple(value / 2 for value in values) for values in (own.image_mean, own.image_std))
    half = Preprocess(16, "bicubic", "shortest", mean, std)
    other = with_preprocess(encoder, {"interpolation": "bicubic", "image_mean": mean, "image_std": std})
    assert (other.preprocess, other.hash, other.model) == (half, encoder.hash, encoder.model)
    small_NHWC = image_NHWC // 2
    assert torch.allclose(other.encode_images(small_NHWC), encoder.encode_images(small_NHWC * 2), atol=1e-6)
    assert not torch.allclose(other.encode_images(image_NHWC), encoder.encode_images(image_NHWC), atol=1e-3)
    assert encoder.preprocess == own and with_preprocess(encoder, {}) is encoder
    assert with_preprocess(encoder, own.to_dict()) is encoder


def test_another_size_is_refused(encoder):
    with pytest.raises(BadInputError, match=r"32.*16 px.*--image-size"):
        with_preprocess(encoder, {"image_size": 32})


class AnyEncoder:
    """Its embedding of a picture is the picture itself."""

    preprocess = Preprocess(8, "bicubic", "shortest", (0, 0, 0), (1, 1, 1))
    hash, variant, logit_scale = "ab", "own", 10.0

    def encode_images(self, image_NHWC):
        return image_NHWC.flatten(1).float()

    def encode_texts(self, texts):
        return torch.ones(len(texts), 8 * 8 * 3)


def test_any_other_encoder_gets_its_pictures_resized_so(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    rows = Rows(["a"], [path], {})
    made = with_preprocess(AnyEncoder(), {"interpolation": "bilinear", "resize_mode": "squash"})
    shown = [image_features(rows, one).image_ND.reshape(8, 8, 3) for one in (AnyEncoder(), made)]
    assert np.array_equal(shown[0], eval_picture(path, 8)) and not np.array_equal(shown[0], shown[1])
    assert np.array_equal(shown[1], eval_picture(path, 8, "bilinear", "squash"))
    assert (made.hash, made.variant, made.logit_scale) == ("ab", "own", 10.0)
    assert made.preprocess == replace(AnyEncoder.preprocess, interpolation="bilinear", resize_mode="squash")


def test_impossible_pixels_are_refused():
    good = Preprocess(8, "bicubic", "shortest", (0, 0, 0), (1, 1, 1))
    assert Preprocess(**good.to_dict()) == good
    for change, named in (
        ({"image_mean": (0, 0)}, "image_mean"),
        ({"image_std": (1, 0, 1)}, "image_std"),
        ({"image_size": 0}, "image_size"),
        ({"interpolation": "nearest"}, "nearest.*bicubic"),
        ({"resize_mode": "fill"}, "fill.*squash"),
    ):
        with pytest.raises(BadInputError, match=named):
            replace(good, **change)


def test_rows_are_unit_and_without_gradient_also_under_autocast(encoder):
    image_NHWC = torch.randint(0, 256, (5, 16, 16, 3), dtype=torch.uint8)
    image_ND, text_VD = encoder.encode_images(image_NHWC), encoder.encode_texts(["a", "b c"])
    assert not image_ND.requires_grad and encoder.logit_scale == pytest.approx(1 / 0.07)
    own_ND = encode_image(encoder.model, to_input(image_NHWC, encoder.facts, "cpu"))
    assert torch.allclose(image_ND, own_ND, atol=1e-6)
    low = replace(encoder, autocast=lambda: torch.autocast("cpu", torch.bfloat16))
    for made, exact in ((low.encode_images(image_NHWC), image_ND), (low.encode_texts(["a", "b c"]), text_VD)):
        assert made.dtype == torch.float32
        assert torch.allclose(made.norm(dim=1), torch.ones(len(made)), atol=1e-6)
        assert 0 < (made - exact).abs().max() < 0.03


def test_a_model_is_put_back_into_the_mode_it_was_in(encoder):
    model = encoder.model
    for was_training in (True, False):
        model.train(was_training)
        with evaluation_mode(model):
            assert not model.visual.training
        assert model.visual.training == was_training
