"""The dataset in the card: counts and licences of its records, and only of the shards that were trained on."""

import json
import shutil

import pytest

from release.card.collect import collect_card_facts
from release.card.data import read_data
from release.card.data_facts import DataRecord, LicenceCount
from release.card.licences import statements
from release.card.run_facts import RunRecord
from taxonomy.errors import BadInputError
from taxonomy.shards import DatasetFacts, manifest_bytes, manifest_name
from tests.release.card import card_world
from tests.trainer import small_dataset


def trained_on(manifest) -> RunRecord:
    return RunRecord(data_sha256=card_world.data_sha256(manifest))


def keep_copy(manifest) -> None:
    content = manifest.read_bytes()
    copy = manifest.parent / "manifests" / manifest_name(content)
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(content)


def grow(manifest) -> None:
    """Add a shard of three pictures."""
    samples = [
        small_dataset.sample_members(
            card_world.photo(number),
            small_dataset.jpeg(number),
            {"sha256": "0" * 64, "width": 48, "height": 40},
            "taxaflow",
        )
        for number in (100, 101, 102)
    ]
    listed = json.loads(manifest.read_bytes())["splits"]["train"]
    shards = [small_dataset.ManifestShard(**shard) for shard in listed]
    shards.append(small_dataset.write_shard(manifest.parent, len(shards), samples))
    manifest.write_bytes(
        manifest_bytes(DatasetFacts("small", "original", "taxaflow", {"photos": 2}), {"train": shards})
    )


def test_pictures_species_and_licences_are_those_of_the_records(manifest):
    data, seen = read_data(manifest, trained_on(manifest))
    (train,) = data.splits
    assert data.is_trained_on is True and data.dataset == "small"
    assert (train.name, train.num_pictures, train.num_species, train.num_taxa) == ("train", 22, 6, 6)
    photos = [card_world.photo(number) for number in range(22)]
    for one in data.licences:
        own = [photo for photo in photos if photo["license"] == one.licence]
        assert one.pictures == {"train": len(own)}
        assert one.without_attribution == sum(photo["attribution"] is None for photo in own)
    assert sum(one.total for one in data.licences) == 22
    assert list(data.licences) == sorted(data.licences, key=lambda one: (-one.total, one.licence or ""))
    assert seen["scientific_name"] == {photo["scientific_name"] for photo in photos}
    assert [train.shards[file] for file in train.shards] == [
        shard["sha256"] for shard in json.loads(manifest.read_bytes())["splits"]["train"]
    ]


def test_the_biotrove_layout_counts_the_same(tmp_path, manifest):
    other = small_dataset.write_dataset(tmp_path / "other", (10, 12), layout="biotrove", photos=card_world.photo)
    assert read_data(other, None)[0].licences == read_data(manifest, None)[0].licences


def test_of_a_dataset_that_has_grown_the_manifest_of_the_run_is_taken(manifest):
    run = trained_on(manifest)
    keep_copy(manifest)
    grow(manifest)
    data, _ = read_data(manifest, run)
    assert data.is_trained_on is True and data.splits[0].num_pictures == 22
    assert read_data(manifest, None)[0].splits[0].num_pictures == 25


def test_another_dataset_than_that_of_the_training_is_refused(manifest):
    run = trained_on(manifest)
    grow(manifest)
    with pytest.raises(BadInputError, match="other shards than the model was trained on"):
        read_data(manifest, run)


def test_without_the_sha_of_the_training_nothing_is_claimed(manifest):
    assert read_data(manifest, None)[0].is_trained_on is None
    assert read_data(manifest, RunRecord(name="x"))[0].is_trained_on is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"schema_version": 2}',
        '{"schema_version": 1, "splits": {"train": 3}}',
        '{"schema_version": 1, "splits": {"train": [3]}}',
        '{"schema_version": 1, "splits": {"train": [{"file": "x.tar"}]}}',
        "[" * 100_000,
    ],
)
def test_what_is_no_manifest_is_refused(content, tmp_path):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(BadInputError, match="--data") as caught:
        read_data(tmp_path / "manifest.json", None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["gone", "cut", "longer", "no tar", "no json"])
def test_a_damaged_shard_is_refused_by_name(damage, manifest):
    shard = sorted((manifest.parent / "train").glob("*.tar"))[1]
    content = shard.read_bytes()
    if damage == "gone":
        shard.unlink()
    elif damage == "cut":
        shard.write_bytes(content[:1000])
    elif damage == "longer":
        shard.write_bytes(content + b"\0" * 512)
    elif damage == "no tar":
        shard.write_bytes(b"x" * len(content))
    else:
        shard.write_bytes(content.replace(b'{"photo_id"', b'["photo_id"'))
    with pytest.raises(BadInputError, match=shard.name):
        read_data(manifest, None)


def test_a_shard_of_another_number_of_records_is_refused(manifest):
    small_dataset.change_manifest(manifest, num_samples=11)
    with pytest.raises(BadInputError, match="10 records, the manifest says 11"):
        read_data(manifest, None)


def test_a_run_whose_shards_have_moved_keeps_what_the_manifest_says(tmp_path, manifest, caplog):
    run = card_world.write_run(tmp_path / "logs", manifest)
    shutil.rmtree(manifest.parent / "train")
    data = collect_card_facts(card_world.facts(), "ab" * 32, "m", run).data
    assert data.splits[0].num_pictures == 22 and data.splits[0].num_species is None and data.licences is None
    assert "the card says no licences" in caplog.text


def test_a_run_whose_manifest_is_gone_has_no_data(tmp_path, manifest):
    run = card_world.write_run(tmp_path / "logs", manifest)
    manifest.unlink()
    assert collect_card_facts(card_world.facts(), "ab" * 32, "m", run).data is None


def test_odd_licences_and_names_are_counted(tmp_path):
    odd = {0: None, 1: "", 2: "  ", 3: 7, 4: ["CC0"], 5: "CC0-1.0"}

    def photo(number):
        return card_world.photo(number, license=odd[number % 6], attribution={"a": 1} if number == 5 else " ")

    data, _ = read_data(card_world.write_dataset(tmp_path / "odd", (6,), photo), None)
    assert [(one.licence, one.total, one.without_attribution) for one in data.licences] == [
        (None, 5, 5),
        ("CC0-1.0", 1, 1),
    ]


def record(**pictures) -> DataRecord:
    licences = tuple(LicenceCount(licence, {"train": count}) for licence, count in pictures.items())
    return DataRecord("d", "original", "taxaflow", {}, "0" * 64, None, (), licences)


def test_every_restriction_is_stated_with_its_share():
    said = statements(
        record(**{"CC-BY-NC": 30, "CC-BY-NC-ND": 10, "CC-BY-SA": 20, "all rights reserved": 5, "CC0": 35})
    )
    starts = ("40 of 100 training pictures (40.0 %) are under licences with NC", "10 of 100", "20 of 100", "5 of 100")
    assert len(said) == 4 and all(line.startswith(start) for line, start in zip(said, starts, strict=True))


def test_free_pictures_need_no_statement():
    assert statements(record(CC0=10)) == [] and statements(record()) == []


def test_pictures_without_a_licence_or_a_name_are_stated():
    licences = (
        LicenceCount(None, {"train": 3, "val": 1}),
        LicenceCount("CC-BY", {"train": 1}, 1),
        LicenceCount("CC0", {}, 5),
    )
    said = statements(DataRecord("d", "original", "taxaflow", {}, "0" * 64, None, (), licences))
    assert said[0].startswith("3 of 4 training pictures (75.0 %) have no licence")
    assert said[1].endswith("leaving out the public domain: 1 picture.")
