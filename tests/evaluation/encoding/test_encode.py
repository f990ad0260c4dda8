"""Trimmed texts and batches of pictures: the embeddings and gradients of plain encoding."""

import pickle
import random

import numpy as np
import open_clip
import pytest
import torch
from open_clip import CLIP, CustomTextCLIP
from torchvision.transforms.functional import normalize, to_tensor

from evaluation.encoding.encode import can_trim, encode_image, encode_text, encode_texts, to_input, used_lengths
from evaluation.loading.facts import ModelFacts
from evaluation.model import instantiate
from tests.evaluation.small_models import TINY, changed

pytestmark = pytest.mark.torch

START, END = 49406, 49407
EOS_POOLED = changed(TINY, text_cfg={"pool_type": "eos", "eos_id": END})


def facts(**changes) -> ModelFacts:
    values = {
        "name": "tiny",
        "pretrained": None,
        "activation": "gelu",
        "activation_source": "test",
        "image_mean": (0.48145466, 0.4578275, 0.40821073),
        "image_std": (0.26862954, 0.26130258, 0.27577711),
        "interpolation": "bicubic",
        "image_size": 32,
        "context_length": 77,
        "embed_dim": 64,
        "model_config": TINY,
    }
    return ModelFacts(**(values | changes))


def texts_of(lengths: list[int]) -> torch.Tensor:
    """Random texts of so many tokens, start and end included, padded to 77; some hold token 0 ("!") inside."""
    rng = random.Random(1)
    token_VL = torch.zeros(len(lengths), 77, dtype=torch.int64)
    for row, length in enumerate(lengths):
        words = [rng.choice([0, rng.randrange(1, START)]) for _ in range(length - 2)]
        token_VL[row, :length] = torch.tensor([START, *words, END])
    return token_VL


@pytest.mark.parametrize("make", [CLIP, CustomTextCLIP])
@pytest.mark.parametrize("config", [TINY, TINY | {"quick_gelu": True}, EOS_POOLED], ids=["gelu", "quickgelu", "eos"])
def test_trimmed_texts_have_the_embeddings_of_full_ones(make, config):
    torch.manual_seed(2)
    model = make(**config).eval()
    for parameter in model.parameters():  # larger weights than at the start: attention is far from uniform
        parameter.data *= 3
    rng = random.Random(7)
    differences = []
    with torch.no_grad():
        for longest in [2, 3, 76, 77, *(rng.randint(4, 75) for _ in range(12))]:
            token_VL = texts_of([longest, *(rng.randint(2, longest) for _ in range(7))])
            full_VD = model.encode_text(token_VL, normalize=True)
            cut_VD = encode_text(model, token_VL[:, :longest].int())
            differences.append((full_VD - cut_VD).abs())
            assert torch.allclose(cut_VD.norm(dim=1), torch.ones(8), atol=1e-6)
    flat = torch.cat([one.flatten() for one in differences])
    assert flat.max() < 3e-6 and flat.mean() < 3e-7


def test_trimmed_texts_have_the_gradients_of_full_ones():
    torch.manual_seed(3)
    model = CLIP(**TINY).double()
    token_VL = texts_of([5, 9, 12])
    weight_VD = torch.randn(3, 64, dtype=torch.float64)

    def gradients(embedding_VD: torch.Tensor) -> list[torch.Tensor]:
        model.zero_grad()
        (embedding_VD * weight_VD).sum().backward()
        return [p.grad.clone() for n, p in model.named_parameters() if p.grad is not None and "visual" not in n]

    full = gradients(model.encode_text(token_VL, normalize=True))
    cut = gradients(encode_text(model, token_VL[:, :12]))
    assert len(full) == len(cut) > 20
    for one, other in zip(full, cut, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "text_cfg",
    [
        {"pool_type": "last", "no_causal_mask": True},
        {"pool_type": "first", "no_causal_mask": True},
        {"embed_cls": True},
        {"pool_type": "last"},
        {"no_causal_mask": True},
    ],
)
def test_towers_that_see_the_padding_get_it(text_cfg):
    torch.manual_seed(4)
    model = CustomTextCLIP(**changed(TINY, text_cfg=text_cfg)).eval()
    assert not can_trim(model)
    token_VL = texts_of([5, 8])
    with torch.no_grad():
        torch.testing.assert_close(encode_text(model, token_VL[:, :8]), model.encode_text(token_VL, normalize=True))


def test_texts_beyond_the_context_are_refused():
    with pytest.raises(ValueError, match="context is 77"):
        encode_text(CLIP(**TINY), torch.ones(1, 78, dtype=torch.int64))


@pytest.mark.parametrize("is_shared", [True, False])
def test_texts_come_in_their_order_encoded_once_each(is_shared, monkeypatch):
    if not is_shared:
        monkeypatch.setattr("evaluation.encoding.encode.can_share", lambda tower: False)
    torch.manual_seed(5)
    model = CLIP(**TINY).eval()
    tokenizer = pickle.loads(pickle.dumps(open_clip.SimpleTokenizer()))
    words = ["merula", "philomelos", "viscivorus", "pilaris", "iliacus", "!!a", "torquatus"]
    rng = random.Random(2)
    distinct = sorted({" ".join(rng.choices(words, k=rng.randint(0, 30))) for _ in range(40)})
    texts = rng.choices(distinct, k=90)
    with torch.no_grad():
        expected_VD = model.encode_text(tokenizer(texts), normalize=True)
        made_VD = encode_texts(model, tokenizer, texts, "cpu", batch_size=7)
    assert (made_VD - expected_VD).abs().max() < 3e-6
    encoded = []
    model.token_embedding.register_forward_hook(lambda module, inputs, output: encoded.append(inputs[0].shape))
    with torch.no_grad():
        encode_texts(model, tokenizer, texts, "cpu", batch_size=7)
    if is_shared:
        used = int(used_lengths(tokenizer(list(set(texts)))).sum())
        assert 0 < sum(shape[0] for shape in encoded) < used - len(set(texts)), "not even the start token of each"
        return
    assert sum(shape[0] for shape in encoded) == len(set(texts))
    assert max(shape[1] for shape in encoded) == used_lengths(tokenizer(texts)).max()
    assert min(shape[1] for shape in encoded) < 20


def test_used_lengths_count_up_to_the_end_token():
    lengths = [2, 77, 5, 40]
    assert used_lengths(texts_of(lengths)).tolist() == lengths


@pytest.mark.parametrize("batch", [1, 5])
def test_input_is_to_tensor_and_normalize(batch):
    pixels_NHWC = np.random.default_rng(0).integers(0, 256, (batch, 20, 20, 3), dtype=np.uint8)
    image_NHWC = torch.from_numpy(pixels_NHWC)
    known = facts()
    made_NCHW = to_input(image_NHWC, known, "cpu")
    mean, std = list(known.image_mean), list(known.image_std)
    expected_NCHW = torch.stack([normalize(to_tensor(one), mean, std) for one in pixels_NHWC])
    assert made_NCHW.dtype == torch.float32
    assert (made_NCHW - expected_NCHW).abs().max() < 1e-6
    assert torch.equal(image_NHWC, torch.from_numpy(pixels_NHWC))
    other = to_input(image_NHWC, facts(image_mean=(0, 0, 0), image_std=(1, 1, 1)), "cpu")
    assert other.min() >= 0 and other.max() <= 1 and not torch.equal(other, made_NCHW)


def test_images_are_unit_rows_whatever_the_batch():
    torch.manual_seed(6)
    model = CLIP(**TINY).eval()
    image_NHWC = torch.randint(0, 256, (64, 32, 32, 3), dtype=torch.uint8)
    with torch.no_grad():
        whole_ND = encode_image(model, to_input(image_NHWC, facts(), "cpu"))
        single_ND = torch.cat([encode_image(model, to_input(one[None], facts(), "cpu")) for one in image_NHWC])
    assert torch.allclose(whole_ND.norm(dim=1), torch.ones(64), atol=1e-6)
    assert (whole_ND - single_ND).abs().max() < 1e-5
    assert (whole_ND[0] - whole_ND[1]).abs().max() > 1e-3


def test_models_stored_in_bf16_take_the_same_inputs():
    torch.manual_seed(6)
    known = facts()
    low, full = instantiate(known, "bf16_published").eval(), CLIP(**TINY).eval()
    full.load_state_dict(low.state_dict())
    token_VL = texts_of([5, 9, 12])[:, :12]
    image_NCHW = to_input(torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8), known, "cpu")
    with torch.no_grad():
        for encode, given in ((encode_text, token_VL), (encode_image, image_NCHW)):
            low_ND, full_ND = encode(low, given), encode(full, given)
            assert low_ND.dtype == torch.bfloat16
            assert torch.nn.functional.cosine_similarity(low_ND.float(), full_ND).min() > 0.999
