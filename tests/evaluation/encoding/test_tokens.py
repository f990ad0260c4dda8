"""Tokens are those of the tokenizer, each word looked up once."""

import pytest
import torch
from open_clip import SimpleTokenizer

from evaluation.encoding.tokens import tokenize

pytestmark = pytest.mark.torch

TEXTS = [
    "a photo of a Turdus merula.",
    "Bird's-foot  trefoil (Lotus corniculatus L.), 1753; it's they'll",
    " led by a space and ended by one ",
    "",
    "!",
    "Pterocarpus &amp; soyauxii",
    "Echium pl\u00e4ntagineum \u2019tis",
    "caf\u00c3\u00a9",
    "Abies R.\u00c2 Br.",
    "a &amp;amp;amp;lt; b <c>",
    "tab\tand\nline",
    "<start_of_text> <end_of_text>x",
    "Sp. 123abc-45 x_y A.B",
    "word " * 75,
    "word " * 76,
    "<i>Rosa</i> \\u00e9",
]


@pytest.mark.parametrize("context_length", [77, 20])
def test_tokens_are_the_tokenizers_own(context_length):
    tokenizer = SimpleTokenizer(context_length=context_length)
    expected_VL = SimpleTokenizer(context_length=context_length)(TEXTS)
    for _ in ("looked up", "remembered"):
        made_VL = tokenize(tokenizer, TEXTS)
        assert made_VL.dtype == torch.int64 and torch.equal(made_VL, expected_VL)
    assert tokenize(tokenizer, []).shape == (0, context_length)


def test_a_word_is_looked_up_once(monkeypatch):
    tokenizer, asked = SimpleTokenizer(), []
    monkeypatch.setattr(SimpleTokenizer, "encode", lambda self, text: (asked.append(text), [len(text)])[1])
    assert tokenize(tokenizer, ["a bird", "a plain bird"])[1, 1:4].tolist() == [1, 5, 4]
    assert asked == ["a", "bird", "plain"]


def test_other_tokenizers_are_asked_themselves():
    assert tokenize(lambda texts: torch.tensor([len(texts)]), ["a", "b"]).tolist() == [2]
    masked = SimpleTokenizer(reduction_mask="shuffle")
    torch.manual_seed(0)
    expected = masked(["a b c d e f"])
    torch.manual_seed(0)
    assert torch.equal(tokenize(masked, ["a b c d e f"]), expected)
