"""The ten caption kinds: texts, missing fields, fallbacks."""

import itertools
import re

import pytest

from taxonomy.captions import CAPTION_KINDS, CaptionFields, captions, captions_with_fallback
from taxonomy.ranks import RANKS

LINEAGE = dict(
    zip(RANKS, ("Animalia", "Arthropoda", "Arachnida", "Araneae", "Theridiidae", "Steatoda", "grossa"), strict=True)
)
FULL = CaptionFields("Steatoda grossa", "False Black Widow", LINEAGE)
TAXON = "Animalia Arthropoda Arachnida Araneae Theridiidae Steatoda grossa"
TAGGED = (
    "kingdom Animalia phylum Arthropoda class Arachnida order Araneae family Theridiidae genus Steatoda species grossa"
)
COMMON_KINDS = {"com", "sci_com", "taxon_com", "taxonTag_com", "common_name"}


def test_texts_are_the_published_ones():
    assert captions(FULL) == {
        "sci": "a photo of Steatoda grossa.",
        "com": "a photo of False Black Widow.",
        "taxon": f"a photo of {TAXON}.",
        "sci_com": "a photo of Steatoda grossa with common name False Black Widow.",
        "taxon_com": f"a photo of {TAXON} with common name False Black Widow.",
        "taxonTag": f"a photo of {TAGGED}.",
        "taxonTag_com": f"a photo of {TAGGED} with common name False Black Widow.",
        "scientific_name": "Steatoda grossa.",
        "common_name": "False Black Widow.",
        "taxonomic_name": f"{TAXON}.",
    }
    assert tuple(captions(FULL)) == CAPTION_KINDS


def test_a_kind_that_lacks_a_field_is_absent():
    assert set(captions(CaptionFields("Steatoda grossa", None, LINEAGE))) == set(CAPTION_KINDS) - COMMON_KINDS
    assert set(captions(CaptionFields(None, "Spider", {}))) == {"com", "common_name"}
    assert captions(CaptionFields(None, None, {})) == {}


@pytest.mark.parametrize("missing", [ranks for n in (1, 3) for ranks in itertools.combinations(RANKS, n)])
def test_missing_ranks_leave_no_word_and_no_gap(missing):
    made = captions(CaptionFields("Steatoda grossa", "Spider", LINEAGE | dict.fromkeys(missing)))
    for text in made.values():
        assert "  " not in text and " ." not in text
        assert not re.search(r"\b(none|nan|null)\b", text, re.IGNORECASE)
    for rank in missing:
        assert f"{rank} " not in made["taxonTag"].removeprefix("a photo of ")


def test_fallbacks_stand_in_where_the_common_name_is_missing():
    made = captions_with_fallback(CaptionFields("Steatoda grossa", None, LINEAGE))
    assert tuple(made) == CAPTION_KINDS
    assert made["com"] == made["sci_com"] == made["sci"]
    assert made["common_name"] == made["scientific_name"]
    assert made["taxon_com"] == made["taxon"]
    assert made["taxonTag_com"] == made["taxonTag"]
    assert captions_with_fallback(FULL) == captions(FULL)


def test_without_a_scientific_name_nothing_can_stand_in():
    with pytest.raises(ValueError, match="scientific_name"):
        captions_with_fallback(CaptionFields(None, "Spider", LINEAGE))
