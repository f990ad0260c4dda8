"""Tars of any origin as a training set: resume behind every batch, epochs and passes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from taxonomy.errors import BadInputError, WorkFailedError
from tests.trainer.tar_shards import plain_sample, tar_bytes, taxaflow_sample, write_shards
from trainer.data import webdataset_data, webdataset_shard
from trainer.data.batch import Batch, DataSettings
from trainer.data.caption_choice import CaptionPolicy
from trainer.data.webdataset_data import WebdatasetData, open_webdataset

pytestmark = pytest.mark.torch

SIZES = [7, 5, 11, 3, 9, 4, 8, 3]  # 50


def codes_of(texts: list[str]) -> np.ndarray:
    """A tokenizer that can be read back."""
    codes = np.zeros((len(texts), 77), dtype=np.int64)
    for row, text in zip(codes, texts, strict=True):
        row[: len(text)] = [ord(letter) for letter in text[:77]]
    return codes


def texts_of(batch: Batch) -> list[str]:
    return ["".join(map(chr, row)).rstrip("\0") for row in batch.token_BL.tolist()]


BASE = DataSettings(
    batch_size=4, accum_freq=1, num_workers=0, seed=3, image_size=8, tokens_of_texts=codes_of, shuffle_window=5
)


def content(batch: Batch) -> tuple:
    return (
        batch.image_BHWC.numpy().tobytes(), batch.token_BL.tolist(), batch.taxon_B.tolist(), batch.item_B.tolist(),
        batch.counts, batch.cursor,
    )  # fmt: skip


def open_data(settings: DataSettings, pattern: str, rank=0, num_ranks=1, position=None) -> WebdatasetData:
    return open_webdataset(settings, pattern, "train", rank, num_ranks, position)


def first_batches(data: WebdatasetData, num: int) -> list[Batch]:
    with closing(data):
        return list(islice(data.batches(), num))


@pytest.fixture(scope="module")
def pattern(tmp_path_factory) -> str:
    return write_shards(tmp_path_factory.mktemp("data"), SIZES)


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch):
    monkeypatch.setattr(webdataset_shard, "RETRY_WAITS_S", (0.0, 0.0))


@pytest.mark.parametrize("resampled", [False, True])
@pytest.mark.parametrize("num_workers", [0, 1, 2])
@pytest.mark.parametrize("window", [2, 30])
def test_resume_behind_every_batch_of_two_epochs_gives_the_rest_bit_for_bit(pattern, window, num_workers, resampled):
    settings = replace(BASE, num_workers=num_workers, resampled=resampled, shuffle_window=window, accum_freq=2)
    data = open_data(settings, pattern, 1, 2)
    num = 2 * data.batches_per_epoch
    assert num == 2 * 8 if num_workers == 2 else 2 * 6
    batches = first_batches(data, num + 3)
    whole = [content(batch) for batch in batches]
    stops = range(0, num, 5 if num_workers else 1)  # to start processes takes its time
    at = 0
    for stop in stops:
        while at < stop:
            data.trained_on(batches[at])
            at += 1
        position = json.loads(json.dumps(data.position()))
        resumed = open_data(settings, pattern, 1, 2, position)
        assert resumed.position() == position
        assert [content(batch) for batch in first_batches(resumed, len(whole) - stop)] == whole[stop:]


def test_a_resumed_run_can_be_resumed(pattern):
    settings = replace(BASE, num_workers=2)
    whole = [content(batch) for batch in first_batches(open_data(settings, pattern), 9)]
    position, got = None, []
    while len(got) < 9:
        data = open_data(settings, pattern, 0, 1, position)
        for batch in first_batches(data, 3):
            data.trained_on(batch)
            got.append(content(batch))
        position = data.position()
    assert got == whole


def test_batches_made_ahead_but_not_trained_on_come_again(pattern):
    data = open_data(BASE, pattern)
    batches = first_batches(data, 8)
    data.trained_on(batches[0])
    (resumed,) = first_batches(open_data(BASE, pattern, 0, 1, data.position()), 1)
    assert content(resumed) == content(batches[1])
    with pytest.raises(AssertionError, match="batch 4 instead of 1"):
        data.trained_on(batches[4])


def test_the_first_epoch_is_the_whole_set_and_the_second_has_another_order(tmp_path):
    pattern = write_shards(tmp_path, [6] * 8)
    settings = replace(BASE, batch_size=3, num_workers=2)
    epochs = []
    for rank in range(2):
        data = open_data(settings, pattern, rank, 2)
        assert (data.num_samples, data.batches_per_epoch) == (48, 8)
        batches = first_batches(data, 16)
        epochs += [[item for batch in part for item in batch.item_B.tolist()] for part in (batches[:8], batches[8:])]
    first, second, first_of_other, second_of_other = epochs
    assert len(set(first + first_of_other)) == len(set(second + second_of_other)) == 48
    assert first != second


def test_a_worker_with_too_few_samples_begins_again_within_the_epoch(pattern):
    settings = replace(BASE, num_workers=2, num_samples=None)
    data = open_data(settings, pattern, 1, 2)
    assert data.batches_per_epoch == 8  # ceil(50 / 8) = 7, and 8 for two workers
    items = Counter(item for batch in first_batches(data, 8) for item in batch.item_B.tolist())
    assert items.total() == 32
    assert max(items.values()) >= 2


def test_an_epoch_is_rounded_down_to_optimizer_steps_of_all_workers(pattern):
    settings = replace(BASE, num_workers=2, accum_freq=3)
    data = open_data(settings, pattern)
    assert data.batches_per_epoch == 12  # ceil(50 / 4) = 13, 14 for two workers, 12 for steps of 3
    settings = replace(settings, accum_freq=15)
    with pytest.raises(BadInputError, match="--accum-freq 15"):
        open_data(settings, pattern)


def test_resume_at_an_epoch_begins_it_whoever_reads(pattern):
    data = open_data(BASE, pattern)
    whole = [content(batch) for batch in first_batches(data, 3 * data.batches_per_epoch)]
    begun = open_data(BASE, pattern, 0, 1, {"epoch": 2})
    assert [content(batch) for batch in first_batches(begun, 5)] == whole[2 * data.batches_per_epoch :][:5]
    other = open_data(replace(BASE, num_workers=2, batch_size=2), pattern, 1, 2, {"epoch": 2})
    batches = first_batches(other, 5)
    other.trained_on(batches[0])
    again = open_data(replace(BASE, num_workers=2, batch_size=2), pattern, 1, 2, other.position())
    assert [content(batch) for batch in first_batches(again, 4)] == [content(batch) for batch in batches[1:]]


def test_an_epoch_begun_without_a_position_draws_shards_that_no_epoch_before_it_drew(pattern):
    settings = replace(BASE, resampled=True)
    first = {batch.cursor["behind"]["visit"] for batch in first_batches(open_data(settings, pattern), 20)}
    data = open_data(settings, pattern, 0, 1, {"epoch": 1})
    begun = first_batches(data, 6)
    assert not first & {batch.cursor["behind"]["visit"] for batch in begun}
    again = open_data(settings, pattern, 0, 1, data.position())  # nothing trained on yet
    assert [content(batch) for batch in first_batches(again, 6)] == [content(batch) for batch in begun]


@pytest.mark.parametrize(
    ("changes", "num_ranks", "named"),
    [
        ({"num_workers": 2}, 1, "--workers was 1 and is 2"),
        ({"batch_size": 2}, 1, "--batch-size was 4 and is 2"),
        ({"seed": 4}, 1, "--seed was 3 and is 4"),
        ({"shuffle_window": 6}, 1, "--shuffle-window was 5 and is 6"),
        ({"resampled": True}, 1, "--dataset-resampled was False and is True"),
        ({"accum_freq": 5}, 1, "batches per epoch was 13 and is 10"),
        ({}, 2, "number of ranks was 1 and is 2"),
    ],
)
def test_a_position_of_another_order_is_refused_by_name(pattern, changes, num_ranks, named):
    position = open_data(BASE, pattern).position()
    with pytest.raises(BadInputError) as error:
        open_data(replace(BASE, **changes), pattern, 0, num_ranks, position)
    assert named in str(error.value)
    assert "--resume-at epoch" in str(error.value)
    open_data(replace(BASE, **changes), pattern, 0, num_ranks, {"epoch": 0})


def test_a_position_of_other_shards_or_another_kind_of_data_is_refused(pattern, tmp_path):
    position = open_data(BASE, pattern).position()
    with pytest.raises(BadInputError, match="shard list"):
        open_data(BASE, write_shards(tmp_path, SIZES), 0, 1, position)
    with pytest.raises(BadInputError, match="--resume-at epoch"):
        open_data(BASE, pattern, 0, 1, {"step": 4})
    open_data(replace(BASE, num_workers=1), pattern, 0, 1, position)  # one process, here or there


def test_more_workers_than_shards_are_refused_by_both_numbers(pattern):
    settings = replace(BASE, num_workers=5)
    with pytest.raises(BadInputError, match=r"--workers 5 .*: 4 \(8 shards, 2 ranks\)"):
        open_data(settings, pattern, 0, 2)
    open_data(replace(settings, resampled=True), pattern, 0, 2)
    with pytest.raises(BadInputError, match="--shuffle-window"):
        open_data(replace(BASE, shuffle_window=0), pattern)


def test_captions_crops_and_order_do_not_hang_on_global_generators(pattern):
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state()
    one = [content(batch) for batch in first_batches(open_data(BASE, pattern), 6)]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    np.random.seed(2)
    assert [content(batch) for batch in first_batches(open_data(BASE, pattern), 6)] == one


def test_one_sample_has_another_crop_and_caption_in_the_next_epoch(tmp_path):
    pattern = write_shards(tmp_path, [6], sample=lambda number: taxaflow_sample(number))
    data = open_data(replace(BASE, batch_size=6), pattern)
    pairs = []
    for batch in first_batches(data, 3):
        content_B = zip((image.tobytes() for image in batch.image_BHWC.numpy()), texts_of(batch), strict=True)
        pairs.append(dict(zip(batch.item_B.tolist(), content_B, strict=True)))
    assert pairs[0].keys() == pairs[1].keys()
    assert sum(pairs[0][item][0] != pairs[1][item][0] for item in pairs[0]) >= 3
    assert any(pairs[0][item][1] != pairs[1][item][1] for item in pairs[0])


def test_published_random_text_has_one_kind_per_optimizer_step_on_all_ranks(tmp_path):
    pattern = write_shards(tmp_path, SIZES, sample=lambda number: taxaflow_sample(number, "biotrove"))
    settings = replace(BASE, caption=CaptionPolicy.published(), accum_freq=2, num_workers=2)
    kinds = []
    for rank in range(2):
        batches = first_batches(open_data(settings, pattern, rank, 2), 24)
        for batch in batches:
            assert sum(name.startswith("caption/") for name in batch.counts) == 1
        kinds.append([next(iter(batch.counts)) for batch in batches])
    assert kinds[0] == kinds[1]
    assert kinds[0][::2] == kinds[0][1::2]
    assert len(set(kinds[0])) > 2


def test_counts_texts_and_taxa_are_those_of_the_samples(pattern):
    data = open_data(replace(BASE, caption=CaptionPolicy.fixed("sci")), pattern)
    for batch in first_batches(data, 5):
        assert batch.image_BHWC.shape == (4, 8, 8, 3)
        assert batch.image_BHWC.dtype == torch.uint8
        assert batch.token_BL.dtype == torch.int32
        assert batch.counts == {"caption/sci": 4}
        names = {100: "a photo of Turdus a.", 101: "a photo of Turdus b.", 102: "a photo of Turdus c."}
        assert texts_of(batch) == [names[taxon] for taxon in batch.taxon_B.tolist()]


def test_useless_samples_are_counted_and_the_next_ones_take_their_place(tmp_path):
    broken = {
        1: [("1.jpg", b"no picture"), ("1.txt", b"x")],
        2: [("2.txt", b"x")],
        3: [("3.jpg", plain_sample(3)[0][1])],
        4: [("4.jpg", plain_sample(4)[0][1]), ("4.json", b"{"), ("4.txt", b"x")],
        5: [("5.jpg", plain_sample(5)[0][1]), ("5.txt", b"  ")],
    }
    members = [member for number in range(9) for member in broken.get(number, plain_sample(number))]
    (tmp_path / "000.tar").write_bytes(tar_bytes(members))
    settings = replace(BASE, num_samples=4, shuffle_window=1000)
    (batch,) = first_batches(open_data(settings, f"{tmp_path}/000.tar"), 1)
    batches = first_batches(open_data(settings, f"{tmp_path}/000.tar", 0, 1, {"epoch": 0}), 3)
    assert content(batches[0]) == content(batch)
    assert sorted(texts_of(batch)) <= ["thing 0", "thing 6", "thing 7", "thing 8"]
    settings = replace(settings, num_samples=9, batch_size=8)
    (batch,) = first_batches(open_data(settings, f"{tmp_path}/000.tar"), 1)
    bad = {name: count for name, count in batch.counts.items() if name.startswith("bad/")}
    assert batch.counts["caption/text"] == 8
    assert bad.keys() == {"bad/undecodable_image", "bad/missing_image", "bad/no_caption", "bad/bad_json"}
    assert sum(bad.values()) >= 5
    assert bad["bad/no_caption"] >= 2


@pytest.mark.parametrize("num_workers", [0, 2])
def test_samples_that_are_all_useless_end_the_run(tmp_path, monkeypatch, num_workers):
    monkeypatch.setattr(webdataset_data, "MAX_BAD_IN_A_ROW", 20)
    pattern = write_shards(tmp_path, [3, 3], sample=lambda number: plain_sample(number)[:1])
    data = open_data(replace(BASE, num_workers=num_workers), pattern)
    with pytest.raises(WorkFailedError, match=r"20 samples in a row .*no_caption"):
        first_batches(data, 1)


def test_useless_samples_with_good_ones_between_them_do_not(tmp_path, monkeypatch):
    monkeypatch.setattr(webdataset_data, "MAX_BAD_IN_A_ROW", 3)
    pattern = write_shards(tmp_path, [12], sample=lambda number: plain_sample(number)[: 1 if number % 3 else 2])
    (batch,) = first_batches(open_data(replace(BASE, shuffle_window=1), pattern), 1)
    assert batch.counts["bad/no_caption"] == 6


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_truncated_shard_ends_the_run_behind_the_batches_before_it(tmp_path, num_workers):
    pattern = write_shards(tmp_path, SIZES)
    path = tmp_path / "002.tar"
    settings = replace(BASE, num_workers=num_workers)
    whole = first_batches(open_data(settings, pattern), 14)
    path.write_bytes(path.read_bytes()[:-12_000])
    data = open_data(settings, pattern)
    batches = []
    with closing(data), pytest.raises(WorkFailedError, match=r"002\.tar cannot be read \(3 tries\)") as error:
        for batch in islice(data.batches(), 14):
            batches.append(batch)
            data.trained_on(batch)
    assert "\n" not in str(error.value)
    assert [content(batch) for batch in batches] == [content(batch) for batch in whole[: len(batches)]]
    write_shards(tmp_path, SIZES)  # the shard is put right
    resumed = open_data(settings, pattern, 0, 1, data.position())
    rest = first_batches(resumed, 14 - len(batches))
    assert [content(batch) for batch in rest] == [content(batch) for batch in whole[len(batches) :]]


def test_a_killed_worker_ends_the_run_resumably(pattern, monkeypatch):
    def killed(plan, position):  # a real one would raise anywhere in this process, pytest included
        yield from ()
        raise RuntimeError("DataLoader worker (pid(s) 7)\nexited unexpectedly")

    monkeypatch.setattr(webdataset_data, "_loader", killed)
    with pytest.raises(WorkFailedError, match=r"worker \(pid\(s\) 7\) exited unexpectedly$"):
        first_batches(open_data(BASE, pattern), 1)


def test_closing_ends_the_workers_and_a_second_iteration_goes_on(pattern):
    others = children()
    data = open_data(replace(BASE, num_workers=2), pattern)
    whole = [content(batch) for batch in first_batches(open_data(replace(BASE, num_workers=2), pattern), 6)]
    assert [content(batch) for batch in islice(data.batches(), 3)] == whole[:3]
    assert [content(batch) for batch in islice(data.batches(), 3)] == whole[3:]
    assert len(children() - others) == 2
    data.close()
    assert children() <= others


def test_workers_leave_signals_to_the_trainer_and_end_even_while_they_wait(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.2)
    write_shards(tmp_path, [16])
    others = children()
    shards = f"pipe:cat {tmp_path}/000.tar; sleep 30"
    data = open_data(replace(BASE, num_workers=1, num_samples=16, shuffle_window=2), shards)
    next(data.batches())
    (worker,) = children() - others
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(worker, number)
    next(data.batches())
    started = time.monotonic()
    data.close()
    assert children() <= others
    assert time.monotonic() - started < 5


def children() -> set[int]:
    """The processes that this one has started: loader workers, and what other tests in it use."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        command = (status.parent / "cmdline").read_bytes() if status.parent.exists() else b""
        if int(fields[1]) == os.getpid() and fields[0] != "Z" and b"resource_tracker" not in command:
            found.add(int(status.parent.name))
    return found


def test_a_process_that_forgets_to_close_ends_all_the_same(pattern):
    script = f"""
from tests.trainer.data.test_webdataset_data import BASE, open_data, replace
data = open_data(replace(BASE, num_workers=1), {pattern!r})
next(data.batches())
raise SystemExit(3)
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 3


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_pair_without_taxon_is_refused_where_the_loss_needs_one(tmp_path, num_workers):
    pattern = write_shards(tmp_path, [4], sample=plain_sample)
    (batch,) = first_batches(open_data(BASE, pattern), 1)
    assert batch.taxon_B.tolist() == [0] * 4
    data = open_data(replace(BASE, needs_taxon=True, num_workers=num_workers), pattern)
    with pytest.raises(BadInputError, match=r"no taxon in sample '\d' of .*000\.tar"):
        first_batches(data, 1)
