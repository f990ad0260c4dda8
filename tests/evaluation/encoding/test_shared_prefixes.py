"""Texts encoded by their shared beginnings have the embeddings of the texts alone."""

import pytest
import torch

from evaluation.encoding.encode import can_trim, encode_texts
from evaluation.encoding.shared_prefixes import can_share, tree_of
from evaluation.model import ModelRequest, build_model, get_tokenizer
from tests.evaluation.small_models import SMALL, changed

pytestmark = pytest.mark.torch

TEXTS = [
    "a photo of a Turdus merula.",
    "a photo of a Turdus merula",
    "a photo of a Turdus philomelos.",
    "a photo of Turdus merula!",
    "!",
    "",
    "A photo of a  Turdus merula.",
    "!!",
    "word " * 90,
    "word " * 90 + "more",
]


@pytest.mark.parametrize("activation", ["gelu", "quickgelu"])
@pytest.mark.parametrize("custom_text", [False, True])
def test_embeddings_are_those_of_the_texts_alone(activation, custom_text):
    torch.manual_seed(4)
    config = changed(SMALL, text_cfg={"layers": 3, "ls_init_value": 0.5})
    model, facts = build_model(
        ModelRequest("small", model_config=config, activation=activation, custom_text=custom_text)
    )
    tokenizer = get_tokenizer(facts)
    assert can_trim(model) and can_share(getattr(model, "text", model))
    with torch.no_grad():
        expected = torch.cat([model.eval().encode_text(tokenizer([text]), normalize=True) for text in TEXTS])
        for batch_size in (1024, 3, 1):
            assert (encode_texts(model, tokenizer, TEXTS, "cpu", batch_size) - expected).abs().max() < 2e-6
        with torch.autocast("cpu", torch.bfloat16):
            low = encode_texts(model, tokenizer, TEXTS, "cpu")
    assert low.dtype == torch.float32 and 0 < (low - expected).abs().max() < 0.05


def test_every_beginning_is_one_node():
    rows = [[9, 5, 0, 7, 0], [9, 5, 0, 7, 0], [9, 5, 0, 7, 8], [9, 5, 7, 0, 0], [9, 5, 7, 0, 0], [9, 6, 0, 7, 8]]
    token_VL = torch.tensor([*rows, [9, 7, 0, 7, 8]])
    length_V = torch.tensor([4, 5, 5, 3, 3, 5, 5])
    tree = tree_of(token_VL, length_V)
    beginnings = {tuple(row[: n + 1].tolist()) for row, end in zip(token_VL, length_V, strict=True) for n in range(end)}
    assert len(tree.token_M) == len(beginnings) == 15
    for text, length in enumerate(length_V.tolist()):
        path_L = tree.path_VL[text, :length]
        assert torch.equal(tree.token_M[path_L], token_VL[text, :length])
        assert torch.equal(tree.depth_M[path_L], torch.arange(length))
        shown = tree.path_VL[tree.text_M[path_L], tree.depth_M[path_L]]
        assert torch.equal(shown, path_L), "a node's text goes through it"
    assert torch.equal(tree.path_VL[3], tree.path_VL[4])


def test_other_towers_are_left_to_the_usual_way():
    model, _ = build_model(ModelRequest("small", model_config=SMALL))
    assert can_share(model)
    model.transformer.resblocks[0].ln_1_kv = torch.nn.Identity()
    assert not can_share(model)
    assert not can_share(torch.nn.Linear(2, 2))
