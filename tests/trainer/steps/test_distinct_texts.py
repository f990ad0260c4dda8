"""Equal texts of a batch are found, with their places and counts."""

from collections import Counter

import pytest
import torch

from trainer.steps.distinct_texts import distinct, stack_tokens

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
@pytest.mark.parametrize("seed", range(8))
def test_distinct_rows_their_places_and_counts(seed: int, dtype: torch.dtype):
    generator = torch.Generator().manual_seed(seed)
    token_NL = torch.randint(1 + seed // 2, (1 + 7 * seed, 3), generator=generator).to(dtype)
    texts = distinct(token_NL)
    rows = [tuple(row) for row in token_NL.tolist()]
    assert texts.token_VL.dtype == dtype
    assert [tuple(row) for row in texts.token_VL.tolist()] == list(dict.fromkeys(rows))  # in the order of first pairs
    assert torch.equal(texts.token_VL[texts.inverse_N], token_NL)
    counts = Counter(rows)
    assert texts.count_V.tolist() == [counts[tuple(row)] for row in texts.token_VL.tolist()]


def test_to_a_device_keeps_all_three():
    texts = distinct(torch.tensor([[1, 2], [3, 4], [1, 2]])).to(torch.device("meta"))
    assert [tuple(t.shape) for t in (texts.token_VL, texts.inverse_N, texts.count_V)] == [(2, 2), (3,), (2,)]
    assert texts.token_VL.is_meta and texts.inverse_N.is_meta and texts.count_V.is_meta


def test_equal_texts_of_batches_trimmed_to_different_lengths_stay_equal():
    token_NL = stack_tokens([torch.tensor([[8, 5, 9]]), torch.tensor([[8, 5, 9, 0, 0], [8, 5, 6, 7, 9]])])
    assert token_NL.tolist() == [[8, 5, 9, 0, 0], [8, 5, 9, 0, 0], [8, 5, 6, 7, 9]]
    assert distinct(token_NL).inverse_N.tolist() == [0, 0, 1]


def test_columns_of_a_wider_table_are_compared_by_value():
    table = torch.arange(8).reshape(2, 4).repeat(2, 1)
    assert distinct(table[:, ::2]).inverse_N.tolist() == [0, 1, 0, 1]
