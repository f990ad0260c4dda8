"""Ranks, missing values, categories and the identity of a taxon."""

import unicodedata

import pytest

from taxonomy.ranks import CATEGORIES, RANKS, category_of, clean, resolve_taxon

ROBIN = dict(
    zip(RANKS, ("Animalia", "Chordata", "Aves", "Passeriformes", "Turdidae", "Turdus", "migratorius"), strict=True)
)


@pytest.mark.parametrize("value", [None, "", "  ", "nan", "NaN", "None", "NULL", "n/a", "N/A", " Unknown ", "\t\n"])
def test_missing_words_are_none(value):
    assert clean(value) is None


@pytest.mark.parametrize("value", ["Nana", "nullipora", "none-such", "Unknownia", "0"])
def test_names_that_contain_a_missing_word_stay(value):
    assert clean(value) == value


def test_clean_makes_space_single_and_is_idempotent():
    assert clean("  Turdus \t migratorius\u00a0 ") == "Turdus migratorius"
    assert clean(clean("  a   b ")) == clean("  a   b ")


def test_first_category_wins_and_the_rest_is_other():
    for name, (rank, value) in CATEGORIES.items():
        assert category_of({rank: value}) == name
    assert category_of({"kingdom": "Plantae", "class": "Aves"}) == "Aves"
    assert category_of({"kingdom": "Animalia", "class": "Mammalia"}) == "other"
    assert category_of({}) == "other"


def test_species_is_known_by_kingdom_genus_and_epithet():
    assert resolve_taxon(ROBIN).key == "species|animalia|turdus|migratorius"
    other_order = ROBIN | {"order": None, "family": "Elsewhere"}
    assert resolve_taxon(other_order).key == resolve_taxon(ROBIN).key
    for rank in ("kingdom", "genus", "species"):
        assert resolve_taxon(ROBIN | {rank: "Else"}).key != resolve_taxon(ROBIN).key


@pytest.mark.parametrize(
    ("gone", "rank", "key"),
    [
        (("species",), "genus", "genus|animalia|turdus"),
        (("genus",), "family", "family|animalia|turdidae"),
        (("genus", "species", "family"), "order", "order|animalia|passeriformes"),
        (("kingdom",), "genus", "genus||turdus"),
        (RANKS[1:], "kingdom", "kingdom|animalia|animalia"),
    ],
)
def test_a_row_without_a_whole_species_stands_for_its_deepest_other_rank(gone, rank, key):
    taxon = resolve_taxon(ROBIN | dict.fromkeys(gone, "nan"))
    assert (taxon.rank, taxon.key) == (rank, key)


def test_an_epithet_alone_is_no_taxon():
    taxon = resolve_taxon({"species": "migratorius"})
    assert (taxon.rank, taxon.key) == (None, None)


def test_case_space_and_unicode_form_do_not_matter():
    name = "caf\u00e9ensis"
    variants = [name, unicodedata.normalize("NFD", name), f" {name.upper()} "]
    assert len({resolve_taxon(ROBIN | {"species": variant}).key for variant in variants}) == 1


def test_a_binomial_in_the_species_column_is_cut_to_its_epithet():
    assert resolve_taxon(ROBIN | {"species": "Turdus migratorius"}).lineage["species"] == "migratorius"
    assert resolve_taxon(ROBIN | {"species": "turdus"}).lineage["species"] == "turdus"
