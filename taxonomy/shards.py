"""The contract between whoever writes a shard and whoever reads it: names, members, JSON, manifest.

A sample is a group of tar members that share a key, the photo's id. In the `taxaflow` layout they are the picture
and one JSON; in the `biotrove` layout the ten caption texts stand between the two, for loaders made for the
published dataset.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from taxonomy.captions import CaptionFields, captions_with_fallback
from taxonomy.ranks import RANKS

SPLITS = ("train", "val", "test")
LAYOUTS = ("taxaflow", "biotrove")
MANIFEST_VERSION = 1

SAMPLE_KEYS = (
    "photo_id",
    "taxon_id",
    "scientific_name",
    "taxon_rank",
    *RANKS,
    "common_name",
    "category",
    "license",
    "attribution",
    "photo_url",
    "sha256",
    "width",
    "height",
)
"""Keys of the JSON member in their order: sha256 is hex, width and height are px of the stored picture."""

PLANNED_KEYS = SAMPLE_KEYS[:-3]
"""The sample keys known before the photo is fetched; a planned photo has them all."""


def sample_key(photo_id: int) -> str:
    """The name that all members of a photo's sample share, before the first dot."""
    return str(photo_id)


def shard_file_name(dataset: str, split: str, shard_id: int, tar_sha256: str) -> str:
    """The base name of a finished tar; its content's hash is part of the name."""
    return f"{dataset}-{split}-{shard_id:06d}-{tar_sha256[:12]}.tar"


def encode_json(value: object) -> bytes:
    """The one JSON form of the project: UTF-8, no ASCII escapes, no spaces, keys as given, missing as null."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def sample_members(
    photo: Mapping[str, object], image: bytes, image_facts: Mapping[str, object], layout: str
) -> list[tuple[str, bytes]]:
    """The (member name, content) pairs of one sample, in tar order.

    Args:
        photo: a planned photo: PLANNED_KEYS, None where missing.
        image: JPEG bytes.
        image_facts: sha256 (hex), width and height (px) of `image`.
        layout: one of LAYOUTS.

    Raises:
        ValueError: layout is unknown, or a text of the biotrove layout cannot be made.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r} is unknown; allowed: {', '.join(LAYOUTS)}")
    key = sample_key(int(str(photo["photo_id"])))
    record = {name: {**photo, **image_facts}.get(name) for name in SAMPLE_KEYS}
    texts: list[tuple[str, bytes]] = []
    if layout == "biotrove":
        published = _published_texts(record)
        texts = [(f"{key}.txt", published["sci"].encode())]
        texts += [(f"{key}.{kind}.txt", text.encode()) for kind, text in published.items()]
        record |= _published_json(published)
    return [(f"{key}.jpg", image), *texts, (f"{key}.json", encode_json(record))]


def _published_texts(record: Mapping[str, object]) -> dict[str, str]:
    def text(name: str) -> str | None:
        value = record.get(name)
        return None if value is None else str(value)

    fields = CaptionFields(text("scientific_name"), text("common_name"), {rank: text(rank) for rank in RANKS})
    return captions_with_fallback(fields)


def _published_json(texts: Mapping[str, str]) -> dict[str, str]:
    """The keys that the published JSON has beside photo_id (docs/design.md, Captions)."""
    return {
        "text": f"This is {texts['sci']}",
        "photo_of_taxon": texts["taxon"],
        "photo_of_detailed_taxon": texts["taxonTag"],
        "photo_of_detailed_taxon_with_common": texts["taxonTag_com"],
        "photo_of_taxon_with_common": texts["taxon_com"],
        "taxonomic_name": texts["taxonomic_name"],
    }


@dataclass(frozen=True)
class ManifestShard:
    """One readable shard of a split.

    Attributes:
        file: path relative to the dataset's folder, with forward slashes.
        sha256: of the tar, hex.
        num_samples: pictures in it, at least 1.
        num_bytes: size of the tar.
        shard_id: its place in the split's plan.
    """

    file: str
    sha256: str
    num_samples: int
    num_bytes: int
    shard_id: int


@dataclass(frozen=True)
class DatasetFacts:
    """What a manifest says of a dataset as a whole; `tables` maps a table's name to its version."""

    dataset: str
    rendition: str
    layout: str
    tables: Mapping[str, int]


def manifest_bytes(facts: DatasetFacts, splits: Mapping[str, Iterable[ManifestShard]]) -> bytes:
    """The manifest's content; equal facts and shards give equal bytes, whatever order the shards come in."""
    ordered: dict[str, Sequence[dict[str, object]]] = {}
    for split in SPLITS:
        if split in splits:
            shards = sorted(splits[split], key=lambda shard: shard.shard_id)
            ordered[split] = [vars(shard) for shard in shards]
    return encode_json(
        {
            "schema_version": MANIFEST_VERSION,
            "dataset": facts.dataset,
            "rendition": facts.rendition,
            "layout": facts.layout,
            "tables": dict(facts.tables),
            "splits": ordered,
            "changes": None,
        }
    )


def manifest_name(content: bytes) -> str:
    """The immutable name of a manifest, below `manifests/`."""
    return f"{hashlib.sha256(content).hexdigest()[:12]}.json"


def sizes_bytes(shards: Iterable[ManifestShard]) -> bytes:
    """The content of a split's sizes.json: base name of the tar -> samples in it."""
    return encode_json({shard.file.rsplit("/", 1)[-1]: shard.num_samples for shard in shards})
