from dataclasses import replace

import pytest
import torch

from evaluation.encoding.encoder import OpenClipEncoder, with_preprocess
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
    other = with_preprocess(encoder, half)
    assert (other.preprocess, other.hash, other.model) == (half, encoder.hash, encoder.model)
    small_NHWC = image_NHWC // 2
    assert torch.allclose(other.encode_images(small_NHWC), encoder.encode_images(small_NHWC * 2), atol=1e-6)
    assert not torch.allclose(other.encode_images(image_NHWC), encoder.encode_images(image_NHWC), atol=1e-3)
    by_settings = with_preprocess(encoder, {"interpolation": "bicubic", "image_mean": mean, "image_std": std})
    assert by_settings.preprocess == half
    assert encoder.preprocess == own and with_preprocess(encoder, own) is encoder


def test_another_size_is_refused(encoder):
    with pytest.raises(BadInputError, match=r"32.*16 px.*--image-size"):
        with_preprocess(encoder, replace(encoder.preprocess, image_size=32))


def test_any_other_encoder_gets_its_pictures_resized_so():
    class Planted:
        preprocess = Preprocess(8, "bicubic", "shortest", (0, 0, 0), (1, 1, 1))
        hash, logit_scale = "ab", 10.0

        def encode_images(self, image_NHWC):
            return image_NHWC[:, 0, 0].float()

        def encode_texts(self, texts):
            return torch.ones(len(texts), 3)

    bilinear = replace(Planted.preprocess, interpolation="bilinear")
    made = with_preprocess(Planted(), bilinear)
    assert (made.preprocess, made.hash, made.logit_scale) == (bilinear, "ab", 10.0)
    assert made.encode_images(torch.ones(2, 8, 8, 3)).shape == made.encode_texts(["a", "b"]).shape == (2, 3)


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
