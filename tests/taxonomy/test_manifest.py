"""A manifest is read as the download wrote it, or refused with the flag that named it."""

import json
from pathlib import Path

import pytest

from taxonomy.errors import BadInputError
from taxonomy.manifest import read_manifest, shards_sha256
from taxonomy.shards import DatasetFacts, ManifestShard, manifest_bytes, manifest_name

FACTS = DatasetFacts("birds", "edge512", "taxaflow", {"photos": 3, "shards": 1})
SHARDS = [ManifestShard(f"train/{name}.tar", f"{number}" * 64, 2, 3, number) for number, name in enumerate("ab")]


def write(folder: Path, **splits: list[ManifestShard]) -> Path:
    path = folder / "manifest.json"
    path.write_bytes(manifest_bytes(FACTS, splits))
    return path


def test_what_was_written_is_read_back(tmp_path):
    path = write(tmp_path, train=SHARDS, val=[])
    manifest = read_manifest(path, "--data")
    assert (manifest.facts, manifest.splits, manifest.shards("train")) == (FACTS, ["train"], SHARDS)
    assert f"{manifest.sha256[:12]}.json" == manifest_name(path.read_bytes())


def test_an_immutable_copy_means_the_same_tars(tmp_path):
    copy = tmp_path / "manifests" / "0123456789ab.json"
    copy.parent.mkdir()
    copy.write_bytes(write(tmp_path, train=SHARDS).read_bytes())
    assert read_manifest(copy, "--data").folder == read_manifest(tmp_path / "manifest.json", "--data").folder


def test_a_list_of_shards_is_named_by_its_contents_in_their_order():
    assert shards_sha256(SHARDS) == "6d9a88eb7907e66d60425f0c13d60eeaa8eff25a92f2b6c5b285e336f2d564a8"
    assert shards_sha256(SHARDS[::-1]) != shards_sha256(SHARDS)


def test_a_tar_is_there_at_its_size_or_refused(tmp_path):
    (tmp_path / "train").mkdir()
    manifest = read_manifest(write(tmp_path, train=SHARDS), "--shards")
    (tmp_path / "train" / "a.tar").write_bytes(b"123")
    assert manifest.tar(SHARDS[0]) == tmp_path / "train" / "a.tar"
    with pytest.raises(BadInputError, match=r"^--shards .*/manifest.json: .*/train/b.tar: No such file or directory$"):
        manifest.tar(SHARDS[1])
    (tmp_path / "train" / "a.tar").write_bytes(b"1")
    with pytest.raises(BadInputError, match=r"^--shards .*/manifest.json: .*/train/a.tar has 1 bytes, not 3$"):
        manifest.tar(SHARDS[0])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "manifest.json: No such file or directory; give a dataset's manifest.json"),
        (b"{", "manifest.json is not JSON: "),
        (b"\xff", "manifest.json is not JSON: "),
        (b"[" * 100_000, "manifest.json is not JSON: "),
        (b"[]", "schema_version is None, 1 can be read; give a dataset's manifest.json"),
        (b'{"schema_version": "1"}', "schema_version is '1', 1 can be read"),
    ],
)
def test_what_is_no_manifest_is_refused_with_the_flag(tmp_path, content, says):
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInputError) as refused:
        read_manifest(path, "--some-flag")
    assert str(refused.value).startswith(f"--some-flag {path}")
    assert says in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("splits", "says"),
    [
        (None, "no shards in split 'train'; splits with shards: none"),
        (["train"], "no shards in split 'train'; splits with shards: none"),
        ({"train": [], "val": [{}], "test": []}, "no shards in split 'train'; splits with shards: val"),
        ({"train": 3}, "an entry of split 'train' is not as expected: TypeError("),
        ({"train": ["a"]}, "an entry of split 'train' is not as expected: TypeError("),
        ({"train": [{"file": "a"}]}, "an entry of split 'train' is not as expected: KeyError('sha256')"),
        ({"train": [vars(SHARDS[0]) | {"num_bytes": True}]}, "not as expected: ValueError('num_bytes is True')"),
    ],
)
def test_a_split_that_cannot_be_used_is_refused_when_it_is_asked_for(tmp_path, splits, says):
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"schema_version": 1, "splits": splits}))
    manifest = read_manifest(path, "--data")
    with pytest.raises(BadInputError) as refused:
        manifest.shards("train")
    assert str(refused.value).startswith(f"--data {path}: ") and says in str(refused.value)
