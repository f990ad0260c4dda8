"""What the demo shows of its shards is what is in them."""

import json
import sys

import pytest

from sample import open_shards
from tests.trainer.small_dataset import photo, write_dataset

LINEAGE = {"phylum": "Chordata", "class": "Aves", "order": "Passeriformes", "family": "Turdidae"}


def test_every_dataset_is_shown_split_by_split(tmp_path, monkeypatch, capsys):
    manifests = [write_dataset(tmp_path / name, sizes, photos=_with_lineage) for name, sizes in _DATASETS.items()]
    monkeypatch.setattr(sys, "argv", ["open_shards", *map(str, manifests)])
    open_shards.main()
    shown = capsys.readouterr().out
    for manifest, sizes in zip(manifests, _DATASETS.values(), strict=True):
        of_one = shown.partition(f"{manifest.parent.name}:\n")[2]
        assert of_one.startswith(f"train: {sum(sizes)} pictures of ")
        assert f" species in {len(sizes)} shards\n  1000.jpg " in of_one


def test_a_shard_with_fewer_samples_than_the_manifest_says_is_no_success(tmp_path, monkeypatch):
    manifest = write_dataset(tmp_path / "data", [4], photos=_with_lineage)
    said = json.loads(manifest.read_text())
    said["splits"]["train"][0]["num_samples"] = 5
    manifest.write_text(json.dumps(said))
    monkeypatch.setattr(sys, "argv", ["open_shards", str(manifest)])
    with pytest.raises(AssertionError, match="4 samples read, the manifest says 5"):
        open_shards.main()


_DATASETS = {"many": [5, 4], "few": [2]}


def _with_lineage(number):
    return photo(number, **LINEAGE)
