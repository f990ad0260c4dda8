"""Made-up pairs: functions of the item's number, and fit to learn from."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from taxonomy.captions import CAPTION_KINDS
from taxonomy.errors import BadInputError
from tests.trainer.small_dataset import byte_tokens, text_of_tokens
from trainer.data.batch import Batch, DataSettings
from trainer.data.synthetic_data import NUM_TAXA, SyntheticSource, open_synthetic

pytestmark = pytest.mark.torch

SETTINGS = DataSettings(8, 1, 0, 7, 36, byte_tokens, num_samples=100)


def taken(settings: DataSettings, count: int) -> list[Batch]:
    data = open_synthetic(settings, None, "train", 0, 1, None)
    batches = list(islice(data.batches(), count))
    data.close()
    return batches


def test_batches_are_the_same_with_workers():
    for here, there in zip(taken(SETTINGS, 14), taken(replace(SETTINGS, num_workers=2), 14), strict=True):
        assert here.image_BHWC.shape == (8, 36, 36, 3)
        assert here.image_BHWC.equal(there.image_BHWC) and here.token_BL.equal(there.token_BL)
        assert here.taxon_B.equal(here.item_B % NUM_TAXA)


def test_an_item_is_the_same_at_every_call_and_unlike_the_others():
    source = SyntheticSource(30)
    pictures = [source.picture(item).tobytes() for item in range(50)]
    assert len(set(pictures)) == 50 and pictures == [SyntheticSource(30).picture(item).tobytes() for item in range(50)]


def test_pictures_of_a_taxon_look_alike_and_have_its_captions():
    source = SyntheticSource(32)
    first, same, other = (source.picture(item).astype(int) for item in (5, 5 + NUM_TAXA, 6))
    assert 0 < np.abs(first - same).mean() < 16 < 40 < np.abs(first - other).mean()
    assert source.label(5) == source.label(5 + NUM_TAXA)
    assert list(source.label(5).texts) == list(CAPTION_KINDS)
    assert len({source.label(item).texts["taxonTag_com"] for item in range(NUM_TAXA)}) > 0.9 * NUM_TAXA


def test_captions_name_the_item():
    batch = taken(SETTINGS, 1)[0]
    for item, row in zip(batch.item_B.tolist(), batch.token_BL.tolist(), strict=True):
        texts = [text.encode()[:76].decode() for text in SyntheticSource(36).label(item).texts.values()]
        assert text_of_tokens(row) in texts


@pytest.mark.parametrize("num_samples", [None, 0, -5])
def test_the_number_of_pairs_must_be_given(num_samples: int | None):
    with pytest.raises(BadInputError, match="--train-num-samples"):
        taken(replace(SETTINGS, num_samples=num_samples), 1)


def test_more_pairs_than_a_shard_of_them_are_all_in_the_order():
    data = open_synthetic(replace(SETTINGS, num_samples=20_003, batch_size=1000), None, "train", 0, 1, None)
    assert (data.num_samples, data.batches_per_epoch) == (20_003, 20)
