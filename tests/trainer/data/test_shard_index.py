"""Manifests and random access to the samples they list; everything that may be wrong with either."""

import json
import os
import pickle
from pathlib import Path

import pytest

from taxonomy.errors import BadInputError, WorkFailedError
from tests.trainer.small_dataset import Members, change_manifest, jpeg, write_dataset
from trainer.data.bad_samples import BadSample
from trainer.data.shard_index import ShardIndex, checked_shards

SIZES = [3, 5, 1, 4]


def index_of(manifest: Path, tmp_path: Path) -> ShardIndex:
    return ShardIndex(manifest.parent, checked_shards(manifest, "train"), tmp_path / "kept")


def num_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("layout", ["taxaflow", "biotrove"])
def test_every_sample_comes_back_as_it_was_written(tmp_path: Path, layout: str):
    index = index_of(write_dataset(tmp_path / "data", SIZES, layout), tmp_path)
    assert len(index) == 13
    for item in (12, 0, 7, 3, 2, 8, 1, 4, 5, 6, 9, 10, 11):
        assert index.picture(item) == jpeg(item)
        assert json.loads(index.record(item))["photo_id"] == 1000 + item


def test_an_index_can_be_sent_to_a_worker_and_closed(tmp_path: Path):
    index = index_of(write_dataset(tmp_path / "data", SIZES), tmp_path)
    index.picture(0)
    sent = pickle.loads(pickle.dumps(index))
    index.close()
    assert sent.picture(4) == index.picture(4) == jpeg(4)


def test_open_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("trainer.data.shard_index.SHARDS_OPEN", 2)
    index = index_of(write_dataset(tmp_path / "data", [1] * 8), tmp_path)
    before = num_open_files()
    for item in (*range(8), *range(8)):
        assert index.picture(item) == jpeg(item)
    assert num_open_files() - before == 2 + 2  # tars, and their mapped offsets
    index.close()
    assert num_open_files() == before


def test_a_missing_member_is_a_bad_sample(tmp_path: Path):
    def without(number: int, members: Members) -> Members:
        return [member for member in members if not member[0].endswith({0: "jpg", 1: "json"}.get(number, "none"))]

    index = index_of(write_dataset(tmp_path / "data", [3], change=without), tmp_path)
    with pytest.raises(BadSample, match="missing_image"):
        index.picture(0)
    with pytest.raises(BadSample, match="missing_json"):
        index.record(1)
    assert index.picture(1) == jpeg(1) and index.picture(2) == jpeg(2)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[]", "schema_version is None"),
        (b'{"schema_version":2,"splits":{}}', "schema_version is 2, 1 can be read"),
        (b'{"schema_version":1,"splits":{"val":[{}],"test":[]}}', "no shards in split 'train'; .*: val$"),
        (b'{"schema_version":1,"splits":["train"]}', "no shards in split 'train'; .*: none$"),
        (b'{"schema_version":1,"splits":{"train":[{"file":"a"}]}}', "split 'train' is not as expected.*sha256"),
    ],
)
def test_an_unusable_manifest_is_refused(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=f"manifest.json.*{message}"):
        checked_shards(path, "train")


@pytest.mark.parametrize(
    "field, value",
    [("num_samples", None), ("num_samples", "7"), ("num_samples", True), ("file", None), ("sha256", None), ("file", 3)],
)
def test_a_manifest_with_a_value_of_another_type_is_refused(tmp_path: Path, field: str, value: object):
    manifest = write_dataset(tmp_path / "data", SIZES)
    change_manifest(manifest, **{field: value})
    with pytest.raises(BadInputError, match=rf"split 'train' is not as expected: ValueError.*{field} is {value!r}"):
        checked_shards(manifest, "train")


def test_a_shard_that_is_listed_twice_is_refused(tmp_path: Path):
    manifest = write_dataset(tmp_path / "data", SIZES)
    change_manifest(manifest, file=checked_shards(manifest, "train")[1].file)
    with pytest.raises(BadInputError, match="lists a shard twice"):
        checked_shards(manifest, "train")


def test_a_missing_manifest_is_refused_by_name(tmp_path: Path):
    with pytest.raises(BadInputError, match=r"--train-data .*none\.json: No such file.*manifest\.json"):
        checked_shards(tmp_path / "none.json", "train")


def test_missing_and_resized_shards_are_counted_and_the_first_is_named(tmp_path: Path):
    manifest = write_dataset(tmp_path / "data", SIZES)
    shards = checked_shards(manifest, "train")
    (manifest.parent / shards[1].file).unlink()
    with (manifest.parent / shards[3].file).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BadInputError, match=rf"2 of 4 shards cannot be used: {shards[1].file}: No such file"):
        checked_shards(manifest, "train")
    (manifest.parent / shards[1].file).write_bytes(b"")
    with pytest.raises(BadInputError, match=rf"{shards[1].file} has 0 bytes, not {shards[1].num_bytes:,}"):
        checked_shards(manifest, "train")


def test_another_number_of_samples_than_the_manifests_is_found(tmp_path: Path):
    manifest = write_dataset(tmp_path / "data", SIZES)
    change_manifest(manifest, num_samples=4)
    index = index_of(manifest, tmp_path)
    assert index.check(1) is None
    assert "holds 3 samples, its manifest says 4" in str(index.check(0))
    with pytest.raises(WorkFailedError, match=r"small-train-000000-\w+\.tar holds 3 samples"):
        index.picture(0)


def test_a_shard_that_vanishes_or_shrinks_during_training_stops_it_by_name(tmp_path: Path):
    manifest = write_dataset(tmp_path / "data", SIZES)
    shards = checked_shards(manifest, "train")
    index = index_of(manifest, tmp_path)
    index.check(0)
    os.truncate(manifest.parent / shards[0].file, 600)
    with pytest.raises(WorkFailedError, match=r"small-train-000000-\w+\.tar ends before byte"):
        index.picture(1)
    (manifest.parent / shards[1].file).unlink()
    with pytest.raises(WorkFailedError, match=r"small-train-000001-\w+\.tar: No such file.*can be resumed"):
        index.picture(3)


def test_a_damaged_tar_is_found_by_the_check(tmp_path: Path):
    manifest = write_dataset(tmp_path / "data", SIZES)
    path = manifest.parent / checked_shards(manifest, "train")[2].file
    path.write_bytes(b"x" * path.stat().st_size)
    assert "no tar header" in str(index_of(manifest, tmp_path).check(2))
