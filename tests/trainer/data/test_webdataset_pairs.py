"""Picture and caption of a sample of either layout, or the reason why not."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.trainer.tar_shards import picture, taxaflow_sample
from trainer.data.batch import BadSample, DataSettings
from trainer.data.caption_choice import CaptionPolicy
from trainer.data.draws import hash_text
from trainer.data.webdataset_order import RawSample
from trainer.data.webdataset_pairs import pair_of

pytestmark = pytest.mark.torch


def settings_of(caption: CaptionPolicy) -> DataSettings:
    return DataSettings(
        batch_size=1, accum_freq=1, num_workers=0, seed=0, image_size=8, tokens_of_texts=list, caption=caption
    )  # pyright: ignore


def raw(members: list[tuple[str, bytes]]) -> RawSample:
    by_suffix = {name.split(".", 1)[1].lower(): content for name, content in members}
    return RawSample({"__key__": "1", **by_suffix}, "000.tar", 0, 0, 5, 6)  # pyright: ignore


@pytest.mark.parametrize("kind", ["taxonTag", "taxonTag_com", "sci_com", "common_name"])
@pytest.mark.parametrize("layout", ["taxaflow", "biotrove"])
def test_both_layouts_give_the_caption_of_the_kind_asked_for(kind, layout):
    pair = pair_of(raw(taxaflow_sample(4, layout)), settings_of(CaptionPolicy.fixed(kind)), None)
    texts = {name.split(".", 1)[1]: content.decode() for name, content in taxaflow_sample(4, "biotrove")[1:-1]}
    assert (pair.kind, pair.text, pair.taxon) == (kind, texts[f"{kind}.txt"], 101)


def test_published_shards_without_names_in_the_json_give_their_text_members():
    members = [(name, content) for name, content in taxaflow_sample(1, "biotrove") if not name.endswith("json")]
    members.append(("1.json", json.dumps({"photo_id": 1, "taxonomic_name": "Animalia Turdus b."}).encode()))
    pair = pair_of(raw(members), settings_of(CaptionPolicy.fixed("taxonTag")), None)
    assert pair.text.startswith("a photo of kingdom Animalia phylum Chordata")
    assert pair.taxon == hash_text("Animalia Turdus b")


def test_a_lone_text_is_the_caption_whatever_kind_is_asked_for():
    members = [("1.jpg", picture(1)), ("1.txt", b"a bird\n")]
    for policy in (CaptionPolicy.every_kind(), CaptionPolicy.published(), CaptionPolicy.fixed("sci")):
        pair = pair_of(raw(members), settings_of(policy), "sci" if policy.one_kind_per_batch else None)
        assert (pair.kind, pair.text) == ("text", "a bird")


def test_of_several_pictures_the_first_of_jpg_png_jpeg_webp_counts():
    colours = {"webp": 250, "jpeg": 150, "png": 100, "jpg": 50}
    members: list[tuple[str, bytes]] = [("1.txt", b"x")]
    for suffix, grey in colours.items():
        buffer = io.BytesIO()
        Image.new("RGB", (9, 9), (grey,) * 3).save(buffer, "JPEG" if suffix.startswith("jp") else suffix.upper())
        members.append((f"1.{suffix.upper()}", buffer.getvalue()))
        pair = pair_of(raw(members), settings_of(CaptionPolicy.every_kind()), None)
        assert np.abs(pair.image_HWC.astype(int) - grey).max() < 8


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("1.txt", b"x")], "missing_image"),
        ([("1.jpg", b"junk"), ("1.txt", b"x")], "undecodable_image"),
        ([("1.jpg", picture(1))], "no_caption"),
        ([("1.jpg", picture(1)), ("1.com.txt", b"nan")], "no_caption"),
        ([("1.jpg", picture(1)), ("1.txt", b"x"), ("1.json", b"[]")], "bad_json"),
        ([("1.jpg", picture(1)), ("1.txt", b"x"), ("1.json", b"\xff{}")], "bad_json"),
    ],
)
def test_what_cannot_be_used_has_a_reason(members, reason):
    with pytest.raises(BadSample) as error:
        pair_of(raw(members), settings_of(CaptionPolicy.every_kind()), None)
    assert error.value.reason == reason
