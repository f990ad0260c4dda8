"""`download --layout biotrove`: the members, texts and JSON keys that loaders of the published dataset look for."""

import hashlib
import json
import re
import tarfile
from pathlib import Path

import pytest
from webdataset.compat import WebDataset

from sample.photo_server import PhotoServer
from spark_jobs import download_images, table_io
from spark_jobs.config import DownloadConfig
from spark_jobs.tables import SHARDS
from taxonomy.captions import CAPTION_KINDS, CaptionFields, captions
from taxonomy.ranks import RANKS
from tests.picture_bodies import jpeg
from tests.spark_jobs.small_root import files_and_rows_agree, make_pictures, make_tables, photo_row

pytestmark = pytest.mark.spark

NUM_PHOTOS = 24
KINDS = (
    "sci", "com", "taxon", "sci_com", "taxon_com",
    "taxonTag", "taxonTag_com", "scientific_name", "common_name", "taxonomic_name",
)  # fmt: skip
SUFFIXES = ["jpg", "txt", *(f"{kind}.txt" for kind in KINDS), "json"]

STANDS_IN = {
    "com": "sci", "common_name": "scientific_name", "sci_com": "sci",
    "taxon_com": "taxon", "taxonTag_com": "taxonTag",
}  # fmt: skip
"""Kind -> the kind whose text it has where the common name is missing."""


@pytest.fixture(scope="module")
def tars(spark, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The shards of a small dataset in layout biotrove; every sixth photo has no common name, no photo an order."""
    root = tmp_path_factory.mktemp("biotrove")
    photo_ids = range(1, NUM_PHOTOS + 1)
    make_tables(root, photo_ids)
    with PhotoServer({"photos": make_pictures(root / "pictures", photo_ids)}) as server:
        summary = download_images.run(
            spark,
            DownloadConfig(
                root=root, dataset="birds", base_url=server.base_url, layout="biotrove", samples_per_shard=20
            ),
        )
    assert summary.counts["ok"] == NUM_PHOTOS
    files_and_rows_agree(root)
    rows = table_io.read_arrow(root, SHARDS).to_pylist()
    return [root / "shards" / "birds" / row["split"] / row["shard_file"] for row in rows]


@pytest.fixture(scope="module")
def samples(tars: list[Path]) -> dict[int, dict]:
    """photo_id -> its sample as the webdataset library gives it, which writes suffixes in lower case."""
    read = list(WebDataset([str(tar) for tar in tars], shardshuffle=False))
    assert len(read) == NUM_PHOTOS
    return {int(sample["__key__"]): sample for sample in read}


def fields_of(photo_id: int) -> CaptionFields:
    row = photo_row(photo_id)

    def text(name: str) -> str | None:
        return None if row[name] is None else str(row[name])

    return CaptionFields(text("scientific_name"), text("common_name"), {rank: text(rank) for rank in RANKS})


def expected_texts(photo_id: int) -> dict[str, str]:
    made = captions(fields_of(photo_id))
    return {kind: made.get(kind) or made[STANDS_IN[kind]] for kind in KINDS}


def text_of(sample: dict, kind: str) -> str:
    return sample[f"{kind.lower()}.txt"].decode()


def test_members_stand_in_the_order_of_the_layout(tars: list[Path]):
    assert KINDS == CAPTION_KINDS
    for path in tars:
        with tarfile.open(path) as tar:
            names = [member.name.split(".", 1) for member in tar.getmembers()]
        keys = list(dict.fromkeys(key for key, _ in names))
        assert names == [[key, suffix] for key in keys for suffix in SUFFIXES]


def test_webdataset_gives_each_sample_all_its_members(samples: dict[int, dict]):
    assert set(samples) == set(range(1, NUM_PHOTOS + 1))
    for photo_id, sample in samples.items():
        own = {name for name in sample if not name.startswith("__")}
        assert own == {suffix.lower() for suffix in SUFFIXES}
        assert sample["jpg"] == jpeg(photo_id, 48, 32)


def test_texts_are_the_captions_and_stand_in_for_a_missing_common_name(samples: dict[int, dict]):
    unnamed = [photo_id for photo_id in samples if photo_row(photo_id)["common_name"] is None]
    assert 0 < len(unnamed) < NUM_PHOTOS
    for photo_id, sample in samples.items():
        texts = {kind: text_of(sample, kind) for kind in KINDS}
        assert texts == expected_texts(photo_id)
        assert sample["txt"].decode() == texts["sci"]
    assert text_of(samples[unnamed[0]], "com") == "a photo of Genus epithet0."
    assert text_of(samples[1], "taxonTag_com") == (
        "a photo of kingdom Animalia phylum Chordata class Aves family Familia genus Genus species epithet1 "
        "with common name Bird 1."
    )


def test_json_has_the_published_keys_in_their_forms(samples: dict[int, dict]):
    for photo_id, sample in samples.items():
        facts = json.loads(sample["json"])
        scientific_name = photo_row(photo_id)["scientific_name"]
        published = {
            "photo_id": photo_id,
            "text": f"This is a photo of {scientific_name}.",
            "photo_of_taxon": text_of(sample, "taxon"),
            "photo_of_detailed_taxon": text_of(sample, "taxonTag"),
            "photo_of_detailed_taxon_with_common": text_of(sample, "taxonTag_com"),
            "photo_of_taxon_with_common": text_of(sample, "taxon_com"),
            "taxonomic_name": text_of(sample, "taxonomic_name"),
        }
        assert {name: facts.get(name) for name in published} == published
        assert facts["sha256"] == hashlib.sha256(sample["jpg"]).hexdigest()
        assert (facts["license"], facts["attribution"]) == ("CC0-1.0", "nobody")


def test_suffixes_and_texts_are_those_documented_for_the_published_dataset(
    shared: Path, tars: list[Path], samples: dict[int, dict]
):
    document = shared / "reference" / "biotrove.md"
    if not document.exists():
        pytest.skip(f"no {document}")
    section = re.search(r"^## 8\..*?(?=^## 9\.)", document.read_text(encoding="utf-8"), re.M | re.S)
    assert section is not None
    documented = dict(re.findall(r"^\| \.(\w+)\.txt \| `([^`]+)` \|", section[0], re.M))
    assert len(documented) == 10
    with tarfile.open(tars[0]) as tar:
        stored = {member.name.split(".", 1)[1] for member in tar.getmembers()}
    assert stored == {f"{kind}.txt" for kind in documented} | {"jpg", "txt", "json"}
    named = [photo_id for photo_id in samples if photo_row(photo_id)["common_name"] is not None]
    for photo_id in named:
        fields = fields_of(photo_id)
        ranks = [(rank, name) for rank in RANKS if (name := fields.lineage[rank]) is not None]
        words = {
            "SCI": fields.scientific_name or "",
            "COM": fields.common_name or "",
            "TAX": " ".join(name for _, name in ranks),
            "TAG": " ".join(f"{rank} {name}" for rank, name in ranks),
        }
        for kind, form in documented.items():
            placeholder = "|".join(word for word in words if word in form)
            pieces = re.split(f"({placeholder})", form)
            assert text_of(samples[photo_id], kind) == "".join(words.get(piece, piece) for piece in pieces)
