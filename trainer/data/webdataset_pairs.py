"""An undecoded webdataset sample -> picture, caption and taxon: taxaflow's shards, the published ones, or any others.

Samples of the taxaflow layout get their captions and taxon from the JSON. Others bring texts as `<kind>.txt` members,
or one text of no known kind as `txt`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from taxonomy.errors import BadInputError
from trainer.data.batch import BadSample, DataSettings
from trainer.data.caption_choice import ONLY_TEXT, choose, texts_of_sample
from trainer.data.draws import generator
from trainer.data.pictures import train_picture
from trainer.data.sample_label import record_of, taxon_of
from trainer.data.webdataset_order import RawSample
from trainer.data.webdataset_shard import IMAGE_SUFFIXES


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
        BadInputError: it has no taxon and the loss needs one.
    """
    image = next((sample.members[suffix] for suffix in IMAGE_SUFFIXES if suffix in sample.members), None)
    if image is None:
        raise BadSample("missing_image")
    record = record_of(sample.members["json"]) if "json" in sample.members else {}
    texts = texts_of_sample(record, _text_members(sample.members))
    draws = generator(settings.seed, sample.occasion, sample.item, "caption")
    if set(texts) == {ONLY_TEXT}:  # there is nothing to choose from
        kind, text = ONLY_TEXT, texts[ONLY_TEXT]
    else:
        kind, text = choose(settings.caption, texts, draws, step_kind)
    taxon = taxon_of(record, texts)
    if taxon is None and settings.needs_taxon:
        raise BadInputError(
            f"no taxon in sample {sample.members['__key__']!r} of {sample.url}: --loss multi_positive needs taxon_id "
            "or taxonomic_name in its JSON, or a taxonomic_name.txt or sci.txt; or train with --loss infonce"
        )
    picture = train_picture(image, settings, generator(settings.seed, sample.occasion, sample.item, "crop"))
    return Pair(picture, kind, text, taxon or 0, sample.item)


def _text_members(members: Mapping[str, bytes]) -> dict[str, str]:
    texts = ((suffix, content) for suffix, content in members.items() if suffix.split(".")[-1] == "txt")
    return {suffix: content.decode("utf-8", "replace") for suffix, content in texts}
