"""Texts -> tokens of CLIP's own tokenizer, each word looked up once: most prompts are made of the same words.

Shapes: V texts, L tokens of the full context.
"""

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

_WORDS: "WeakKeyDictionary[Any, dict[str, list[int]]]" = WeakKeyDictionary()
"""Tokenizer -> word -> its tokens."""


def tokenize(tokenizer: Callable[[list[str]], torch.Tensor], texts: Sequence[str]) -> torch.Tensor:
    """What `tokenizer(texts)` returns, int64 [V, L]."""
    from open_clip import SimpleTokenizer

    if type(tokenizer) is not SimpleTokenizer or tokenizer.reduction_fn is not None or not tokenizer.context_length:
        return tokenizer(list(texts))
    words = _WORDS.setdefault(tokenizer, {})
    token_VL = np.zeros((len(texts), tokenizer.context_length), np.int64)
    for row_L, text in zip(token_VL, texts, strict=True):
        tokens = [tokenizer.sot_token_id, *_tokens(tokenizer, text, words)][: len(row_L) - 1]
        row_L[: len(tokens)] = tokens
        row_L[len(tokens)] = tokenizer.eot_token_id
    return torch.from_numpy(token_VL)


def _tokens(tokenizer: Any, text: str, words: dict[str, list[int]]) -> list[int]:
    """Tokens of the text without its ends."""
    if not (text.isascii() and text.isprintable()) or "&" in text:
        return tokenizer.encode(text)  # such characters may be repaired or replaced with their neighbours in view
    tokens: list[int] = []
    for word in text.split(" "):
        known = words.get(word)
        if known is None:
            known = words[word] = tokenizer.encode(word)
        tokens += known
    return tokens
