"""Members, JSON and manifest: what a writer writes, a reader reads."""

import hashlib
import json

import pytest

from taxonomy.captions import CAPTION_KINDS
from taxonomy.ranks import RANKS
from taxonomy.shards import (
    PLANNED_KEYS,
    SAMPLE_KEYS,
    DatasetFacts,
    ManifestShard,
    encode_json,
    manifest_bytes,
    manifest_name,
    sample_members,
    shard_file_name,
    sizes_bytes,
)

PHOTO = dict.fromkeys(PLANNED_KEYS) | {
    "photo_id": -7,
    "taxon_id": 3,
    "scientific_name": "Steatoda grossa",
    "taxon_rank": "species",
    "kingdom": "Animalia",
    "genus": "Steatoda",
    "species": "grossa",
    "common_name": "Araña",
    "photo_url": "/x",
}
FACTS = {"sha256": "ab" * 32, "width": 40, "height": 30}
DATASET = DatasetFacts("birds", "original", "taxaflow", {"photos": 1})


def test_taxaflow_layout_is_picture_then_json():
    (picture_name, picture), (json_name, content) = sample_members(PHOTO, b"jpeg", FACTS, "taxaflow")
    assert (picture_name, picture, json_name) == ("-7.jpg", b"jpeg", "-7.json")
    record = json.loads(content)
    assert tuple(record) == SAMPLE_KEYS
    assert record == PHOTO | FACTS
    assert "Araña".encode() in content and b", " not in content


def test_biotrove_layout_has_the_texts_between_and_the_old_keys():
    members = sample_members(PHOTO, b"jpeg", FACTS, "biotrove")
    assert [name for name, _ in members] == [
        "-7.jpg",
        "-7.txt",
        *(f"-7.{kind}.txt" for kind in CAPTION_KINDS),
        "-7.json",
    ]
    texts = {name: content.decode() for name, content in members[1:-1]}
    assert texts["-7.txt"] == texts["-7.sci.txt"] == "a photo of Steatoda grossa."
    record = json.loads(members[-1][1])
    assert record["text"] == "This is a photo of Steatoda grossa."
    assert record["photo_of_taxon"] == texts["-7.taxon.txt"]
    assert record["photo_of_detailed_taxon"] == texts["-7.taxonTag.txt"]
    assert record["photo_of_detailed_taxon_with_common"] == texts["-7.taxonTag_com.txt"]
    assert record["photo_of_taxon_with_common"] == texts["-7.taxon_com.txt"]
    assert record["taxonomic_name"] == texts["-7.taxonomic_name.txt"]


def test_unknown_layout_is_refused():
    with pytest.raises(ValueError, match="taxaflow, biotrove"):
        sample_members(PHOTO, b"jpeg", FACTS, "zip")


def test_manifest_does_not_depend_on_the_order_of_its_shards():
    shards = [ManifestShard(f"train/{i}.tar", "ab" * 32, i + 1, 512, i) for i in range(12)]
    forward = manifest_bytes(DATASET, {"test": [], "train": shards})
    assert forward == manifest_bytes(DATASET, {"train": shards[::-1], "test": []})
    manifest = json.loads(forward)
    assert list(manifest) == ["schema_version", "dataset", "rendition", "layout", "tables", "splits", "changes"]
    assert list(manifest["splits"]) == ["train", "test"]
    assert manifest["splits"]["train"] == [vars(shard) for shard in shards]
    assert manifest_name(forward) == hashlib.sha256(forward).hexdigest()[:12] + ".json"


def test_sizes_are_by_base_name():
    shard = ManifestShard("train/birds-train-000000-abc.tar", "ab" * 32, 9, 512, 0)
    assert json.loads(sizes_bytes([shard])) == {"birds-train-000000-abc.tar": 9}


def test_shard_name_carries_place_and_content():
    assert shard_file_name("birds", "val", 123, "0123456789abcdef") == "birds-val-000123-0123456789ab.tar"


def test_json_refuses_what_readers_cannot_read():
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_json({"x": float("nan")})


def test_every_rank_is_in_the_json():
    assert set(RANKS) < set(SAMPLE_KEYS)
