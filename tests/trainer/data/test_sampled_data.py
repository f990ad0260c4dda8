"""Batches are functions of seed and position: of nothing else, and whatever is wrong with single items."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from taxonomy.captions import CAPTION_KINDS
from taxonomy.errors import BadInputError, WorkFailedError
from tests.trainer.small_dataset import byte_tokens, digest, jpeg, text_of_tokens
from trainer.data.bad_samples import BadSample
from trainer.data.batch import Batch, DataSettings
from trainer.data.batch_maker import Label
from trainer.data.caption_choice import CaptionPolicy, kind_of_step
from trainer.data.order import Order, Split
from trainer.data.sampled_data import SampledData

pytestmark = pytest.mark.torch

SIZES = [20, 31, 9, 26]
SETTINGS = DataSettings(
    batch_size=8, accum_freq=1, num_workers=0, seed=3, image_size=16, tokens_of_texts=byte_tokens
)  # 86 items: 10 steps of 8 in an epoch


class PlainSource:
    """Item i: a picture of its own, ten captions that name it, taxon i // 4."""

    def picture(self, item: int) -> bytes:
        return jpeg(item, (24, 20))

    def label(self, item: int) -> Label:
        return Label({kind: f"{kind} {'long ' * (item % 5)}{item}" for kind in CAPTION_KINDS}, item // 4)


class SpoiltSource(PlainSource):
    """Every item that a multiple of `every` numbers is bad in one of the possible ways."""

    def __init__(self, every: int) -> None:
        self._every = every

    def picture(self, item: int) -> bytes:
        if item % self._every == 0 and item % 2 == 0:
            return super().picture(item)[:90]
        return super().picture(item)

    def label(self, item: int) -> Label:
        if item % self._every == 0 and item % 2 == 1:
            raise BadSample("bad_json")
        return super().label(item)


class DyingSource(PlainSource):
    """Its data are gone, or its process is."""

    def picture(self, item: int) -> bytes:
        raise WorkFailedError("shard x is gone")


def opened(
    settings: DataSettings = SETTINGS,
    rank: int = 0,
    num_ranks: int = 1,
    position: Mapping[str, object] | None = None,
    source: PlainSource | None = None,
) -> SampledData:
    split = Split(Order(SIZES, settings.seed), rank, num_ranks, settings.accum_freq, settings.batch_size)
    return SampledData(source or PlainSource(), split, settings, position)


def taken(data: SampledData, count: int) -> list[Batch]:
    batches = list(islice(data.batches(), count))
    data.close()
    return batches


def prints(batches: list[Batch]) -> list[tuple]:
    """All that a batch holds, in short."""
    return [
        (digest(b.image_BHWC), digest(b.token_BL), b.taxon_B.tolist(), b.item_B.tolist(), b.counts, b.cursor)
        for b in batches
    ]


def pairs(batches: list[Batch]) -> list[tuple[int, str, str]]:
    """(item, picture, text) of every pair."""
    return [
        (item, digest(picture), text_of_tokens(tokens))
        for batch in batches
        for item, picture, tokens in zip(batch.item_B.tolist(), batch.image_BHWC, batch.token_BL.tolist(), strict=True)
    ]


def test_batches_hold_what_they_promise():
    for batch in taken(opened(), 12):
        assert batch.image_BHWC.shape == (8, 16, 16, 3) and batch.image_BHWC.dtype == torch.uint8
        assert batch.taxon_B.tolist() == [item // 4 for item in batch.item_B.tolist()]
        texts = [text_of_tokens(row) for row in batch.token_BL.tolist()]
        assert [int(text.split()[-1]) for text in texts] == batch.item_B.tolist()
        assert batch.token_BL.dtype == torch.int32 and batch.token_BL.shape[1] == max(map(len, texts)) + 1
        kinds = Counter(f"caption/{text.split()[0]}" for text in texts)
        assert batch.counts == kinds


def test_any_number_of_workers_gives_the_same_batches():
    """Over an epoch's end, and the caller's own random state is left alone."""
    want = prints(taken(opened(), 23))
    states = global_random_states()
    for workers in (1, 2):
        assert prints(taken(opened(replace(SETTINGS, num_workers=workers)), 23)) == want
    assert global_random_states() == states


def global_random_states() -> tuple[object, ...]:
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state(legacy=True)[1].tolist()


def test_any_split_of_a_step_trains_on_the_same_pairs():
    """Ranks and micro-batches at the same number of pairs per step: the same items, crops and captions."""
    want = [sorted(pairs([batch])) for batch in taken(opened(), 13)]
    for num_ranks, accum_freq, batch_size in ((2, 1, 4), (1, 2, 4), (2, 2, 2)):
        settings = replace(SETTINGS, accum_freq=accum_freq, batch_size=batch_size)
        ranks = [taken(opened(settings, rank, num_ranks), 13 * accum_freq) for rank in range(num_ranks)]
        for step in range(13):
            part = slice(step * accum_freq, (step + 1) * accum_freq)
            assert sorted(pairs([batch for batches in ranks for batch in batches[part]])) == want[step]


def test_an_epoch_trains_on_each_item_once_and_leaves_out_the_last_few():
    data = opened()
    assert (data.num_samples, data.batches_per_epoch) == (86, 10)
    first, second = (Counter(item for item, _, _ in pairs(part)) for part in halves(taken(data, 20)))
    for epoch in (first, second):
        assert len(epoch) == 80 and set(epoch.values()) == {1} and set(epoch) < set(range(86))
    assert set(first) != set(second)


def halves(batches: list[Batch]) -> tuple[list[Batch], list[Batch]]:
    return batches[:10], batches[10:]


def test_crops_and_captions_change_from_epoch_to_epoch_and_with_the_seed():
    first, second = (set(pairs(part)) for part in halves(taken(opened(), 20)))
    other = set(pairs(taken(opened(replace(SETTINGS, seed=4)), 10)))
    assert len(first & second) < 20 and len(first & other) < 20


@pytest.mark.parametrize("accum_freq", [1, 2])
def test_resume_at_any_step_equals_never_stopped(accum_freq: int):
    settings = replace(SETTINGS, accum_freq=accum_freq, batch_size=8 // accum_freq)
    whole = prints(taken(opened(settings), 24 * accum_freq))
    for stop in (0, 1, 5, 9, 10, 11, 20):
        data = opened(settings)
        for batch in islice(data.batches(), stop * accum_freq):
            data.trained_on(batch)
        position = data.position()
        data.close()
        assert position["step"] == stop
        tail = taken(opened(settings, position=position), (24 - stop) * accum_freq)
        assert prints(tail) == whole[stop * accum_freq :]


def test_position_counts_whole_steps_and_ignores_batches_read_ahead():
    data = opened(replace(SETTINGS, accum_freq=2, batch_size=4, num_workers=1))
    batches = list(islice(data.batches(), 7))
    for batch, step in zip(batches[:5], (0, 1, 1, 2, 2), strict=True):
        data.trained_on(batch)
        assert data.position()["step"] == step
    data.close()


def test_a_position_may_name_an_epoch():
    assert prints(taken(opened(position={"epoch": 2}), 3)) == prints(taken(opened(position={"step": 20}), 3))


def test_a_position_of_another_run_is_refused_with_the_difference():
    position = opened().position()
    with pytest.raises(BadInputError, match="seed 3, this run has 5"):
        opened(replace(SETTINGS, seed=5), position=position)
    with pytest.raises(BadInputError, match="pairs per step 8, this run has 4"):
        opened(replace(SETTINGS, batch_size=4), position=position)
    with pytest.raises(BadInputError, match="num samples 80, this run has 86"):
        opened(position=position | {"num_samples": 80})
    half = replace(SETTINGS, batch_size=4)
    assert taken(opened(half, 1, 2, position), 1)  # two ranks of half the batch go on where one was


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_items_are_replaced_and_counted(workers: int):
    batches = taken(opened(replace(SETTINGS, num_workers=workers), source=SpoiltSource(5)), 20)
    counts = sum((Counter(batch.counts) for batch in batches), Counter())
    assert all(item % 5 for item, _, _ in pairs(batches))
    assert counts["bad/bad_json"] > 5 and counts["bad/undecodable_image"] > 5
    assert set(counts) <= {f"caption/{kind}" for kind in CAPTION_KINDS} | {"bad/bad_json", "bad/undecodable_image"}
    assert sum(count for name, count in counts.items() if name.startswith("caption/")) == 160


def test_a_replaced_item_leaves_all_others_as_they_were():
    good, spoilt = pairs(taken(opened(), 10)), pairs(taken(opened(source=SpoiltSource(5)), 10))
    assert len(good) == len(spoilt)
    for before, after in zip(good, spoilt, strict=True):
        assert (before == after) == (before[0] % 5 != 0)


def test_replacements_do_not_depend_on_ranks():
    want = sorted(pairs(taken(opened(source=SpoiltSource(3)), 10)))
    half = replace(SETTINGS, batch_size=4)
    ranks = [pairs(taken(opened(half, rank, 2, source=SpoiltSource(3)), 10)) for rank in (0, 1)]
    assert sorted(ranks[0] + ranks[1]) == want


@pytest.mark.parametrize("workers", [0, 1])
def test_data_without_a_usable_item_stop_the_run(workers: int):
    class UndecodableSource(PlainSource):
        def picture(self, item: int) -> bytes:
            return b"no picture"

    with pytest.raises(WorkFailedError, match=r"100 items in a row cannot be used .*100 bad/undecodable_image"):
        taken(opened(replace(SETTINGS, num_workers=workers), source=UndecodableSource()), 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_failure_in_a_worker_arrives_as_it_was_raised(workers: int):
    with pytest.raises(WorkFailedError) as caught:
        taken(opened(replace(SETTINGS, num_workers=workers), source=DyingSource()), 1)
    assert str(caught.value) == "shard x is gone"


def test_captions_of_the_kind_asked_for_must_be_there():
    class SciSource(PlainSource):
        def label(self, item: int) -> Label:
            return Label({"sci": f"a photo of {item}."}, item)

    with pytest.raises(BadInputError, match=r"none of 86 items looked at has a caption of kind com; found: sci"):
        opened(replace(SETTINGS, caption=CaptionPolicy.fixed("com")), source=SciSource())
    batches = taken(
        opened(replace(SETTINGS, caption=CaptionPolicy.weighted({"com": 9, "sci": 1})), source=SciSource()), 2
    )
    assert batches[0].counts == {"caption/sci": 8}


def test_published_mode_gives_a_step_one_kind_on_all_ranks_and_micro_batches():
    policy = CaptionPolicy.published()
    settings = replace(SETTINGS, caption=policy, batch_size=2, accum_freq=2)
    kinds_seen = set()
    for rank in (0, 1):
        for number, batch in enumerate(taken(opened(settings, rank, 2), 30)):
            kind = kind_of_step(policy, SETTINGS.seed, number // 2)
            assert batch.counts == {f"caption/{kind}": 2}
            kinds_seen.add(kind)
    assert len(kinds_seen) == 5


def test_kinds_are_evenly_drawn_over_an_epoch():
    counts = Counter(text.split()[0] for _, _, text in pairs(taken(opened(), 100)))
    chi_square = sum((counts[kind] - 80) ** 2 / 80 for kind in CAPTION_KINDS)
    assert sum(counts.values()) == 800 and chi_square < 27.9  # 9 degrees of freedom, 1 in 1,000
