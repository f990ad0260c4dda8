"""The pictures of shards come back as they were written, one shard at a time, and a lost shard is said."""

import json

import pytest

from inference.inputs.open_inputs import open_inputs
from taxonomy.errors import BadInputError, WorkFailedError
from tests.trainer.small_dataset import change_manifest, jpeg, photo, write_dataset


def opened(manifest, split="train"):
    return open_inputs([], shards=str(manifest), split=split)


@pytest.mark.parametrize("layout", ["taxaflow", "biotrove"])
def test_what_was_written_comes_back(tmp_path, layout):
    inputs = opened(write_dataset(tmp_path, [3, 2], layout))
    pictures = list(inputs)
    assert (inputs.name, inputs.total) == ("small train", 5)
    assert [one.key for one in pictures] == [str(1000 + number) for number in range(5)]
    assert [one.source() for one in pictures if callable(one.source)] == [jpeg(number) for number in range(5)]
    assert list(inputs) == pictures


def test_a_sample_without_a_picture_has_a_reason(tmp_path):
    def spoil(number, members):
        return [one for one in members if not one[0].endswith(".jpg")] if number == 1 else members

    pictures = list(opened(write_dataset(tmp_path, [3], change=spoil)))
    assert [(one.source is None, one.reason) for one in pictures] == [
        (False, None),
        (True, "its sample holds no picture"),
        (False, None),
    ]


def test_a_photo_id_that_is_no_text_becomes_a_key_that_can_be_written(tmp_path):
    def spoil(number, members):
        return [
            (name, json.dumps(json.loads(data) | {"photo_id": "a\ud800b"}).encode() if name.endswith("json") else data)
            for name, data in members
        ]

    (picture,) = opened(write_dataset(tmp_path, [1], change=spoil))
    assert picture.key.encode() == b"a\\ud800b"


def test_the_fingerprint_is_that_of_the_shards_and_the_split(tmp_path):
    first, second = write_dataset(tmp_path / "a", [2]), write_dataset(tmp_path / "b", [2, 1])
    assert opened(first).fingerprint == opened(first).fingerprint != opened(second).fingerprint


def test_a_shard_that_is_lost_midway_ends_the_stream_and_only_there(tmp_path):
    manifest = write_dataset(tmp_path, [3, 2])
    inputs = opened(manifest)
    shards = sorted((tmp_path / "train").glob("*.tar"))
    shards[1].unlink()
    pictures = iter(inputs)
    assert [next(pictures).key for _ in range(3)] == ["1000", "1001", "1002"]
    with pytest.raises(WorkFailedError, match=r"No such file.*put the shard back and run the same command again"):
        next(pictures)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"file": "train/other.tar"}, "No such file"),
        ({"num_bytes": 5}, "bytes, not 5"),
        ({"num_samples": "many"}, "an entry of split 'train' is not as expected"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused_before_anything_is_read(tmp_path, changes, says):
    manifest = write_dataset(tmp_path, [2])
    change_manifest(manifest, **changes)
    with pytest.raises(BadInputError, match=says):
        opened(manifest)


def test_a_split_without_shards_is_refused(tmp_path):
    with pytest.raises(BadInputError, match=r"no shards in split 'test'; splits with shards: train"):
        opened(write_dataset(tmp_path, [2]), "test")


def test_photos_keep_their_order_within_a_shard(tmp_path):
    manifest = write_dataset(tmp_path, [4], photos=lambda number: photo(10 - number))
    assert [one.key for one in opened(manifest)] == ["1010", "1009", "1008", "1007"]
