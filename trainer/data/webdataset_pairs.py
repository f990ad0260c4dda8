"""An undecoded webdataset sample -> picture, caption and taxon: taxaflow's shards, the published ones, or any others.

Samples of the taxaflow layout get their captions and taxon from the JSON. Others bring texts as `<kind>.txt` members,
or one text of no known kind as `txt`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from taxonomy.ranks import clean
from trainer.data.batch import BadSample, DataSettings
from trainer.data.caption_choice import ONLY_TEXT, choose, texts_of_sample
from trainer.data.draws import generator, hash_text
from trainer.data.pictures import train_picture
from trainer.data.webdataset_order import RawSample
from trainer.data.webdataset_shard import IMAGE_SUFFIXES
from trainer.errors import BadInput


@dataclass(frozen=True)
class Pair:
    """What a batch takes of a sample.

    Attributes:
        image_HWC: uint8 RGB.
        kind: of the caption.
        text: the caption.
        taxon: signed 64 bits; 0 where the sample has none and none is needed.
        item: RawSample.item.
    """

    image_HWC: np.ndarray
    kind: str
    text: str
    taxon: int
    item: int


def pair_of(sample: RawSample, settings: DataSettings, step_kind: str | None) -> Pair:
    """The pair that a sample makes, the same wherever and whenever it is made.

    Args:
        sample: undecoded.
        settings: seed, picture size, captions, and whether a taxon is needed.
        step_kind: the kind of all captions of this optimizer step; None where they differ.

    Raises:
        BadSample: its content cannot be used.
        BadInput: it has no taxon and the loss needs one.
    """
    image = next((sample.members[suffix] for suffix in IMAGE_SUFFIXES if suffix in sample.members), None)
    if image is None:
        raise BadSample("missing_image")
    record = _record(sample.members)
    texts = texts_of_sample(record, _text_members(sample.members))
    draws = generator(settings.seed, sample.occasion, sample.item, "caption")
    if set(texts) == {ONLY_TEXT}:  # there is nothing to choose from
        kind, text = ONLY_TEXT, texts[ONLY_TEXT]
    else:
        kind, text = choose(settings.caption, texts, draws, step_kind)
    taxon = taxon_of(record, texts)
    if taxon is None and settings.needs_taxon:
        raise BadInput(
            f"no taxon in sample {sample.members['__key__']!r} of {sample.url}: --loss multi_positive needs taxon_id "
            "or taxonomic_name in its JSON, or a taxonomic_name.txt or sci.txt; or train with --loss infonce"
        )
    picture = train_picture(image, settings, generator(settings.seed, sample.occasion, sample.item, "crop"))
    return Pair(picture, kind, text, taxon or 0, sample.item)


def _record(members: Mapping[str, bytes]) -> dict[str, object]:
    if "json" not in members:
        return {}
    try:
        record = json.loads(members["json"])
    except ValueError as error:
        raise BadSample("bad_json") from error
    if not isinstance(record, dict):
        raise BadSample("bad_json")
    return record


def _text_members(members: Mapping[str, bytes]) -> dict[str, str]:
    texts = ((suffix, content) for suffix, content in members.items() if suffix.split(".")[-1] == "txt")
    return {suffix: content.decode("utf-8", "replace") for suffix, content in texts}


def taxon_of(record: Mapping[str, object], texts: Mapping[str, str]) -> int | None:
    """A number that pairs of one taxon share: `taxon_id` of the JSON, else a hash of the taxonomic or scientific name.

    Args:
        record: the JSON; empty where there is none.
        texts: kind -> caption.
    """
    taxon = record.get("taxon_id")
    if isinstance(taxon, int) and not isinstance(taxon, bool) and -(2**63) <= taxon < 2**63:
        return taxon
    names = (taxon, record.get("taxonomic_name"), texts.get("taxonomic_name"), texts.get("sci"))
    for name in names:
        cleaned = clean(str(name)) if name is not None else None
        if cleaned:
            return hash_text(cleaned.removesuffix("."))
    return None
