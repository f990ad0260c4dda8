"""Shards named by patterns, their sizes and weights, and what cannot be understood."""

import json

import pytest

from taxonomy.errors import BadInputError
from tests.trainer.tar_shards import write_shards
from trainer.data.webdataset_list import ShardList, count_samples, expand_shards

pytestmark = pytest.mark.torch


def test_braces_and_sources_name_shards_in_order(tmp_path):
    a, b = write_shards(tmp_path / "a", [1, 1, 1]), write_shards(tmp_path / "b", [1, 1])
    names = [f"{tmp_path}/a/00{n}.tar" for n in range(3)] + [f"{tmp_path}/b/00{n}.tar" for n in range(2)]
    assert expand_shards(f"{a}::{b}") == ShardList(tuple(names), None)
    drawn = expand_shards(f"{a}::{b}", "1::2.5", resampled=True)
    assert drawn == ShardList(tuple(names), (1.0, 1.0, 1.0, 2.5, 2.5))


def test_addresses_need_no_file():
    pattern = "http://h/{00..02}.tar::pipe:cat x.tar::s3://bucket/y.tar::gs://b/z.tar"
    assert expand_shards(pattern).urls == (
        *(f"http://h/0{n}.tar" for n in range(3)),
        "pipe:cat x.tar",
        "s3://bucket/y.tar",
        "gs://b/z.tar",
    )


@pytest.mark.parametrize(
    ("data", "factors", "resampled", "message"),
    [
        ("{dir}/nothing.tar", None, False, "there is no shard"),
        ("{dir}/*.tar", None, False, "{000..099}"),
        ("{dir}/{{000..", None, False, "braces"),
        ("{dir}/000.tar::", None, False, "empty"),
        ("gopher://host/000.tar", None, False, "gopher"),
        ("{dir}/000.tar", "2", False, "--dataset-resampled"),
        ("{dir}/000.tar", "1::2", True, "2 numbers"),
        ("{dir}/000.tar", "x", True, "'x'"),
        ("{dir}/000.tar", "0", True, "not all 0"),
        ("{dir}/000.tar", "-1", True, "at least 0"),
        ("{dir}/000.tar", "nan", True, "at least 0"),
    ],
)
def test_what_cannot_be_understood_is_named(tmp_path, data, factors, resampled, message):
    write_shards(tmp_path, [1])
    with pytest.raises(BadInputError) as error:
        expand_shards(data.format(dir=tmp_path), factors, resampled)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_datasets_folder_leads_to_its_manifest(tmp_path):
    (tmp_path / "manifest.json").touch()
    with pytest.raises(BadInputError, match=r"did you mean .*manifest\.json"):
        expand_shards(str(tmp_path))


def test_sha256_tells_names_order_and_weights_apart():
    lists = [ShardList(("a", "b")), ShardList(("b", "a")), ShardList(("ab",)), ShardList(("a", "b"), (1.0, 2.0))]
    assert len({shards.sha256 for shards in lists}) == len(lists)
    assert ShardList(("a", "b")).sha256 == lists[0].sha256


def test_sizes_beside_the_shards_win_over_the_flag(tmp_path, caplog):
    pattern = write_shards(tmp_path, [3, 4, 5])
    assert count_samples(expand_shards(pattern), None) == 12
    assert count_samples(expand_shards(f"{tmp_path}/{{000..001}}.tar"), 99) == 7
    assert "99 is ignored" in caplog.text
    (tmp_path / "sizes.json").write_text(json.dumps({"total": 1, "per_shard": {"000.tar": 30}}))
    assert count_samples(expand_shards(f"file:{tmp_path}/000.tar"), None) == 30


def test_a_source_is_counted_by_sizes_of_its_own_or_else_by_those_of_the_first(tmp_path):
    a, b = write_shards(tmp_path / "a", [3, 4]), write_shards(tmp_path / "b", [10])
    shards = expand_shards(f"{a}::{b}")
    assert count_samples(shards, None) == 17
    (tmp_path / "b/sizes.json").unlink()
    assert count_samples(shards, None) == 3 + 4 + 3
    (tmp_path / "a/sizes.json").unlink()
    assert count_samples(shards, 5) == 5


def test_len_is_the_second_choice_and_the_flag_the_last(tmp_path):
    shards = expand_shards(write_shards(tmp_path, [3, 4]))
    (tmp_path / "sizes.json").unlink()
    with pytest.raises(BadInputError, match="--train-num-samples"):
        count_samples(shards, None)
    assert count_samples(shards, 6) == 6
    (tmp_path / "__len__").write_text("21\n")
    assert count_samples(shards, 6) == 21
    assert count_samples(ShardList(("pipe:cat x.tar",)), 8) == 8


@pytest.mark.parametrize("content", ["{", "[1]", '{"000.tar": 3}', '{"000.tar": 3, "001.tar": null}'])
def test_unusable_sizes_are_refused(tmp_path, content):
    shards = expand_shards(write_shards(tmp_path, [3, 4]))
    (tmp_path / "sizes.json").write_text(content)
    with pytest.raises(BadInputError, match=r"sizes\.json"):
        count_samples(shards, 100)


def test_unusable_len_and_empty_sets_are_refused(tmp_path):
    shards = expand_shards(write_shards(tmp_path, [0]))
    with pytest.raises(BadInputError, match="at least 1"):
        count_samples(shards, None)
    (tmp_path / "sizes.json").unlink()
    (tmp_path / "__len__").write_text("many")
    with pytest.raises(BadInputError, match="__len__"):
        count_samples(shards, 100)
