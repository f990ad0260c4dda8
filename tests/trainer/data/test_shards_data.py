"""A dataset of the download job, of either layout, as a training set."""

import json
import re
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from taxonomy.captions import CaptionFields, captions
from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.manifest import dataset_folder
from taxonomy.ranks import RANKS
from tests.trainer.small_dataset import (
    Members,
    byte_tokens,
    change_manifest,
    photo,
    text_of_tokens,
    write_dataset,
)
from trainer.data.batch import Batch, DataSettings
from trainer.data.caption_choice import CaptionPolicy
from trainer.data.shards_data import open_shards

pytestmark = pytest.mark.torch

SETTINGS = DataSettings(4, 1, 0, 7, 16, byte_tokens)
SIZES = [9, 4, 12]


def taken(manifest: Path, count: int, settings: DataSettings = SETTINGS, split: str = "train") -> list[Batch]:
    data = open_shards(settings, manifest, split, 0, 1, None, manifest.parent / "kept")
    batches = list(islice(data.batches(), count))
    data.close()
    return batches


def bad_counts(batches: list[Batch]) -> Counter[str]:
    counts = sum((Counter(batch.counts) for batch in batches), Counter())
    return Counter({name: count for name, count in counts.items() if name.startswith("bad/")})


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("layout", ["taxaflow", "biotrove"])
def test_pairs_are_the_datasets_own(tmp_path: Path, layout: str, workers: int):
    """Every pair has its sample's taxon, and a caption that the sample's names give; over two epochs."""
    manifest = write_dataset(tmp_path / "data", SIZES, layout)
    texts_seen = set()
    for batch in taken(manifest, 12, replace(SETTINGS, num_workers=workers)):
        for item, taxon, row in zip(
            batch.item_B.tolist(), batch.taxon_B.tolist(), batch.token_BL.tolist(), strict=True
        ):
            fields = photo(item)
            assert taxon == fields["taxon_id"]
            lineage = {rank: fields[rank] for rank in RANKS}
            made = captions(CaptionFields(fields["scientific_name"], fields["common_name"], lineage))  # type: ignore
            assert text_of_tokens(row) in {text[:76] for text in made.values()}
            texts_seen.add(text_of_tokens(row))
    assert len(texts_seen) > 15


def test_layouts_give_the_same_batches(tmp_path: Path):
    ours = taken(write_dataset(tmp_path / "a", SIZES), 6)
    published = taken(write_dataset(tmp_path / "b", SIZES, "biotrove"), 6)
    for first, second in zip(ours, published, strict=True):
        assert first.image_BHWC.equal(second.image_BHWC) and first.token_BL.equal(second.token_BL)


def test_an_immutable_manifest_reads_the_same_shards(tmp_path: Path):
    manifest = write_dataset(tmp_path / "data", SIZES)
    kept = manifest.parent / "manifests" / "0123456789ab.json"
    kept.parent.mkdir()
    kept.write_bytes(manifest.read_bytes())
    assert dataset_folder(kept) == dataset_folder(manifest)
    assert taken(kept, 1)[0].item_B.equal(taken(manifest, 1)[0].item_B)


def test_spoilt_samples_are_replaced_and_counted(tmp_path: Path):
    def spoil(number: int, members: Members) -> Members:
        (picture, data), (record, facts) = members
        spoilt = {
            1: [(picture, data[: len(data) // 2]), (record, facts)],
            3: [(picture, b"not a JPEG"), (record, facts)],
            5: [(picture, data), (record, facts[:-5])],
            7: [(picture, data), (record, b"[1]")],
            9: [(picture, data)],
            11: [(record, facts)],
        }
        return spoilt.get(number, members)

    batches = taken(write_dataset(tmp_path / "data", SIZES, change=spoil), 6)
    items = [item for batch in batches for item in batch.item_B.tolist()]
    assert len(items) == 24 and not set(items) & {1, 3, 5, 7, 9, 11}
    names = ("undecodable_image", "bad_json", "missing_json", "missing_image")
    assert set(bad_counts(batches)) == {f"bad/{name}" for name in names}
    assert bad_counts(batches)["bad/undecodable_image"] >= 2 and bad_counts(batches)["bad/bad_json"] >= 2


def test_a_manifest_that_disagrees_with_its_tars_is_refused_before_training(tmp_path: Path):
    manifest = write_dataset(tmp_path / "data", SIZES)
    change_manifest(manifest, num_samples=10)
    with pytest.raises(
        BadInputError, match=r"manifest\.json: 1 of 3 shards looked at are bad: .*holds 9 samples.*says 10"
    ):
        taken(manifest, 1)


def test_a_shard_that_disagrees_later_stops_training_by_name(tmp_path: Path):
    """Only the first group's 64 shards are looked at before training."""
    manifest = write_dataset(tmp_path / "data", [2] * 70)
    content = json.loads(manifest.read_bytes())
    seen = {item // 2 for batch in taken(manifest, 32) for item in batch.item_B.tolist()}
    unseen = [shard for number, shard in enumerate(content["splits"]["train"]) if number not in seen]
    assert len(unseen) == 6
    unseen[0]["num_samples"], name = 3, unseen[0]["file"]
    broken = manifest.with_name("broken.json")
    broken.write_text(json.dumps(content))
    with pytest.raises(WorkFailedError, match=rf"{re.escape(name)} holds 2 samples, its manifest says 3"):
        taken(broken, 35)


def test_a_split_without_shards_and_too_few_pairs_are_refused(tmp_path: Path):
    manifest = write_dataset(tmp_path / "data", SIZES)
    with pytest.raises(BadInputError, match="no shards in split 'val'"):
        taken(manifest, 1, split="val")
    with pytest.raises(BadInputError, match=r"--batch-size 26.*only 25"):
        taken(manifest, 1, replace(SETTINGS, batch_size=26))


def test_a_kind_that_no_sample_has_is_refused(tmp_path: Path):
    manifest = write_dataset(tmp_path / "data", SIZES, photos=lambda number: photo(number, common_name=None))
    settings = replace(SETTINGS, caption=CaptionPolicy.fixed("sci_com"))
    with pytest.raises(
        BadInputError, match=r"none of 25 items looked at has a caption of kind sci_com; found: .*sci.*taxon"
    ):
        taken(manifest, 1, settings)


def test_a_position_among_other_shards_is_refused(tmp_path: Path):
    ours = write_dataset(tmp_path / "ours", SIZES)
    others = write_dataset(tmp_path / "others", SIZES, change=lambda number, members: members[::-1])
    data = open_shards(SETTINGS, ours, "train", 0, 1, None)
    position = data.position()
    data.close()
    open_shards(SETTINGS, ours, "train", 0, 1, position).close()
    with pytest.raises(BadInputError, match="data sha256"):
        open_shards(SETTINGS, others, "train", 0, 1, position)
    open_shards(SETTINGS, others, "train", 0, 1, {"epoch": 0}).close()
