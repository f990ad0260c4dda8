"""Prompt sets: captions for known taxa, templates for labels, as published."""

import pytest

from evaluation.encoding.prompts import PROMPT_SETS, all_prompts, label_prompts, taxon_prompts
from taxonomy.captions import CAPTION_KINDS, CaptionFields, captions
from taxonomy.errors import BadInputError

MERLE = CaptionFields(
    "Turdus merula", "Common Blackbird", {"kingdom": "Animalia", "genus": "Turdus", "species": "merula"}
)


def test_a_caption_kind_is_the_caption_models_are_trained_on():
    for kind in CAPTION_KINDS:
        assert taxon_prompts(MERLE, kind, "label") == [captions(MERLE)[kind]]


@pytest.mark.parametrize("kind", ["sci", "com"])
def test_a_bare_label_makes_a_photo_of_it(kind):
    assert label_prompts("Turdus merula", kind) == ["a photo of Turdus merula."]


@pytest.mark.parametrize("kind", ["sci_com", "taxon", "taxonTag_com", "taxonomic_name"])
def test_a_bare_label_is_no_lineage(kind):
    with pytest.raises(BadInputError, match=kind):
        label_prompts("Turdus merula", kind)


def test_an_unknown_set_names_all():
    with pytest.raises(BadInputError) as caught:
        label_prompts("x", "imagenet")
    assert all(name in str(caught.value) for name in PROMPT_SETS)


def test_known_taxa_are_asked_by_their_captions_and_others_by_their_label():
    made = all_prompts(["merle", "other"], "sci", {"merle": MERLE})
    assert made == [["a photo of Turdus merula."], ["a photo of other."]]


@pytest.mark.torch
def test_openai_sets():
    eighty = label_prompts("finch", "openai80")
    assert len(eighty) == len(set(eighty)) == 80
    assert all("finch" in text for text in eighty) and "a photo of a finch." in eighty
    assert "a photo of finch." not in eighty
    assert label_prompts("finch", "openai81") == [*eighty, "a photo of finch."]


@pytest.mark.torch
def test_bioclip_puts_taxon_and_common_name_into_openais_templates():
    texts = taxon_prompts(MERLE, "taxon_com_bioclip", "a label")
    name = "Animalia Turdus merula with common name Common Blackbird"
    assert texts == label_prompts(name, "openai80")
    unnamed = CaptionFields("Turdus merula", None, MERLE.lineage)
    assert taxon_prompts(unnamed, "taxon_com_bioclip", "a label") == label_prompts("Animalia Turdus merula", "openai80")
    unplaced = CaptionFields(None, "Common Blackbird", {})
    assert taxon_prompts(unplaced, "taxon_com_bioclip", "a label") == label_prompts("a label", "openai80")
    assert label_prompts("a label", "taxon_com_bioclip") == label_prompts("a label", "openai80")
