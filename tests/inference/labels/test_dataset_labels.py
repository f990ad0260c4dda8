"""The species of a dataset as labels: every one once, its taxon the most frequent, whatever the order of its photos."""

import json

import pytest

from inference.labels.labels import read_labels
from taxonomy.errors import BadInputError
from tests.trainer.small_dataset import photo, write_dataset


def test_every_species_stands_there_once_with_its_taxon(tmp_path):
    labels = read_labels(write_dataset(tmp_path, [7, 6]))
    assert labels.names.to_pylist() == [f"Genus{number} epithet{number}" for number in range(4)]
    assert labels.path(2) == ("Animalia", None, None, None, None, "Genus2", "epithet2")
    assert [labels.common_name(number) for number in range(4)] == ["name 0", "name 1", None, "name 3"]


def test_the_most_frequent_taxon_counts_and_photos_without_a_species_do_not(tmp_path):
    def named(number):
        if number == 4:
            return photo(number, scientific_name=None)
        return photo(number, scientific_name="Turdus merula", kingdom="Animalia" if number else "Plantae")

    labels = read_labels(write_dataset(tmp_path, [5], photos=named))
    assert labels.names.to_pylist() == ["Turdus merula"]
    assert labels.path(0)[0] == "Animalia"


def test_a_dataset_of_nothing_named_is_refused(tmp_path):
    manifest = write_dataset(tmp_path, [2], photos=lambda number: photo(number, scientific_name=None))
    with pytest.raises(BadInputError, match="none of its photos has a scientific name"):
        read_labels(manifest)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"splits": []}'])
def test_another_json_is_refused(tmp_path, text):
    path = tmp_path / "list.json"
    path.write_text(text)
    with pytest.raises(BadInputError, match=r"list\.json"):
        read_labels(path)


def test_a_manifest_without_shards_is_refused(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"schema_version": 1, "splits": {"train": []}}))
    with pytest.raises(BadInputError, match=r"manifest\.json"):
        read_labels(path)
