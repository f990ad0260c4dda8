"""A dataset's shards as a benchmark: what was written comes back, and manifests that do not fit are refused."""

import json
import pickle

import pytest

from evaluation.benchmarks.benchmark import NINE_LEVELS
from evaluation.benchmarks.shards import ShardMember, open_shards
from taxonomy.errors import BadInputError, WorkFailedError
from tests.trainer.small_dataset import change_manifest, jpeg, photo, write_dataset

LINEAGE = {"kingdom": "Animalia", "phylum": "Chordata", "class": "Aves", "order": "Passeriformes", "family": "Turdidae"}
NUM_PHOTOS = 9


def full_photo(number: int) -> dict[str, object]:
    return photo(number, **LINEAGE)


def read(source: object) -> bytes:
    assert isinstance(source, ShardMember)
    return source()


@pytest.mark.parametrize("layout", ["taxaflow", "biotrove"])
def test_what_was_written_comes_back(tmp_path, layout):
    manifest = write_dataset(tmp_path, [5, 4], layout, photos=full_photo)
    benchmark = open_shards(manifest, "train")
    written = [full_photo(number) for number in range(NUM_PHOTOS)]
    rows = benchmark.rows
    assert (benchmark.name, benchmark.headline) == ("shards_small_train", "scientific_name")
    assert benchmark.levels == NINE_LEVELS
    assert list(rows.keys) == [str(one["photo_id"]) for one in written]
    for level in NINE_LEVELS:
        assert list(rows.labels[level]) == [one[level] for one in written]
    assert {rank: list(names) for rank, names in rows.lineage.items()} == {
        rank: [one[rank] for one in written] for rank in NINE_LEVELS[:7]
    }
    assert list(rows.common_names) == [one["common_name"] for one in written]
    assert [read(source) for source in rows.sources] == [jpeg(number) for number in range(NUM_PHOTOS)]


def test_sources_can_be_sent_to_other_processes_in_few_bytes(tmp_path):
    sources = open_shards(write_dataset(tmp_path, [5]), "train").rows.sources
    sent = pickle.dumps(list(sources))
    assert [read(source) for source in pickle.loads(sent)] == [read(source) for source in sources]
    assert len(sent) < 200 * len(sources)


def test_a_level_without_any_name_is_no_level(tmp_path):
    manifest = write_dataset(tmp_path, [5])
    assert open_shards(manifest, "train").levels == ("kingdom", "genus", "species", "scientific_name", "common_name")


def test_an_immutable_copy_of_the_manifest_serves_too(tmp_path):
    manifest = write_dataset(tmp_path, [2])
    copy = tmp_path / "manifests" / "0123456789ab.json"
    copy.parent.mkdir()
    copy.write_bytes(manifest.read_bytes())
    assert open_shards(copy, "train") == open_shards(manifest, "train")


def test_a_sample_without_a_picture_has_no_source(tmp_path):
    manifest = write_dataset(tmp_path, [3], change=lambda number, members: members[number == 1 :])
    sources = open_shards(manifest, "train").rows.sources
    assert [source is None for source in sources] == [False, True, False]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        ("no json", "is not JSON"),
        ("[]", "schema_version is None"),
        ('{"schema_version": 7}', "schema_version is 7, 1 can be read"),
        ('{"schema_version": 1}', "no shards in split 'train'; splits with shards: none"),
        ('{"schema_version": 1, "splits": {"train": [], "val": [{}]}}', "splits with shards: val"),
        ('{"schema_version": 1, "splits": {"train": [{"file": 3}]}}', "an entry of split 'train' is not as expected"),
        ('{"schema_version": 1, "splits": {"train": ["a"]}}', "an entry of split 'train' is not as expected"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why(tmp_path, content, says):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(BadInputError, match=says):
        open_shards(tmp_path / "manifest.json", "train")


def test_shards_that_the_manifest_does_not_fit_are_refused(tmp_path):
    manifest = write_dataset(tmp_path, [3])
    tar = next((tmp_path / "train").glob("*.tar"))
    content = tar.read_bytes()
    change_manifest(manifest, num_samples=4)
    with pytest.raises(BadInputError, match="holds 3 samples, its manifest says 4"):
        open_shards(manifest, "train")
    change_manifest(manifest, num_samples=3)
    tar.write_bytes(content[:-512])
    with pytest.raises(BadInputError, match="bytes, not"):
        open_shards(manifest, "train")
    start = content.index(b"1001.jpg")
    tar.write_bytes(content[:start] + b"\xff" * 512 + content[start + 512 :])
    with pytest.raises(BadInputError, match="holds 1 samples, its manifest says 3"):
        open_shards(manifest, "train")
    tar.write_bytes(b"\xff" * len(content))
    with pytest.raises(BadInputError, match="cannot be read as a shard"):
        open_shards(manifest, "train")
    tar.unlink()
    with pytest.raises(BadInputError, match="No such file"):
        open_shards(manifest, "train")


@pytest.mark.parametrize("member", [None, b"{", b"[]", b"{}", b"\xff"])
def test_a_sample_without_its_record_is_refused(tmp_path, member):
    def spoil(number, members):
        return members[:1] + ([] if member is None else [(f"{1000 + number}.json", member)])

    with pytest.raises(BadInputError, match="cannot be read as a shard"):
        open_shards(write_dataset(tmp_path, [2], change=spoil), "train")


def test_photos_without_scientific_names_go_by_common_ones_and_without_either_are_refused(tmp_path):
    manifest = write_dataset(tmp_path / "common", [2], photos=lambda number: photo(number, scientific_name=None))
    benchmark = open_shards(manifest, "train")
    assert benchmark.headline == "common_name" and "scientific_name" not in benchmark.levels
    nameless = {"scientific_name": None, "common_name": None}
    manifest = write_dataset(tmp_path / "none", [2], photos=lambda number: photo(number, **nameless))
    with pytest.raises(BadInputError, match="no photo of split 'train' has a scientific_name or a common_name"):
        open_shards(manifest, "train")


def test_a_shard_that_changes_meanwhile_ends_the_work(tmp_path):
    manifest = write_dataset(tmp_path, [2])
    source = open_shards(manifest, "train").rows.sources[1]
    tar = next((tmp_path / "train").glob("*.tar"))
    tar.write_bytes(tar.read_bytes()[:2000])
    with pytest.raises(WorkFailedError, match="ends inside a picture"):
        read(source)
    tar.unlink()
    with pytest.raises(WorkFailedError, match="No such file"):
        read(source)


def test_labels_keep_what_json_holds(tmp_path):
    manifest = write_dataset(
        tmp_path, [1], photos=lambda number: photo(number, kingdom=" nan ", common_name=7, genus="")
    )
    rows = open_shards(manifest, "train").rows
    assert (rows.labels["kingdom"], rows.lineage["kingdom"]) == ([" nan "], [None])
    assert (rows.lineage["genus"], rows.common_names) == ([None], [None])
    assert json.dumps(list(rows.keys)) == '["1000"]'
