"""A taxon's lineage, common name and category are the most frequent of its photos."""

from functools import partial

import pytest

from taxonomy.ranks import CATEGORIES, RANKS, category_of
from tests.spark_jobs.selection_cases import (
    BIRD,
    GENUS_ONLY,
    SPIDER,
    expected_lineages,
    photo,
    photo_frame,
    random_photos,
)

pytestmark = pytest.mark.spark


@pytest.fixture
def to_frame(spark):
    return partial(photo_frame, spark)


def _table(frame):
    from spark_jobs.taxa import TAXON_COLUMNS, taxa

    found = taxa(frame)
    assert found.columns == list(TAXON_COLUMNS) == ["taxon_id", "taxon_rank", *RANKS, "common_name", "category"]
    return {row["taxon_id"]: row for row in found.collect()}


def test_random_photos_get_their_most_frequent_lineage_and_its_category(to_frame):
    photos = random_photos(3000, seed=1)
    found, expected = _table(to_frame(photos)), expected_lineages(photos)
    assert found.keys() == expected.keys()
    for taxon_id, lineage in expected.items():
        assert {rank: found[taxon_id][rank] for rank in RANKS} == lineage
        assert found[taxon_id]["category"] == category_of(lineage)
    ranks = {row["taxon_id"]: row["taxon_rank"] for row in photos}
    assert {taxon_id: row["taxon_rank"] for taxon_id, row in found.items()} == ranks


def test_a_lineage_is_never_mixed_and_ties_take_the_smallest_bytes_null_first(to_frame):
    one, two, three = (BIRD[:1] + names + BIRD[4:] for names in (("B", "x", "q"), ("A", "y", "r"), (None, "y", "q")))
    rows = [photo(1, one), photo(2, two), photo(3, two), photo(4, one), photo(5, three)]
    (taxon,) = _table(to_frame(rows)).values()
    assert (taxon["phylum"], taxon["class"], taxon["order"]) == ("A", "y", "r")
    (taxon,) = _table(to_frame([*rows, photo(6, three)])).values()
    assert (taxon["phylum"], taxon["class"], taxon["order"]) == (None, "y", "q")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([None, None, None, "Amsel"], "Amsel"),
        ([None, None], None),
        (["b", "a", "b", "a"], "a"),
        (["é", "z"], "z"),
        (["Zebra", "apple"], "Zebra"),
        (["a", "b", "b"], "b"),
    ],
)
def test_common_name_is_the_most_frequent_that_is_known(to_frame, names, expected):
    rows = [photo(number, common_name=name) for number, name in enumerate(names)]
    (taxon,) = _table(to_frame(rows)).values()
    assert taxon["common_name"] == expected


def test_common_names_are_counted_over_all_lineages_of_the_taxon(to_frame):
    other = ("Animalia", "Chordata", None, *BIRD[3:])
    rows = [photo(1, BIRD, common_name="x"), photo(2, BIRD, common_name="x"), photo(3, BIRD, common_name="y")]
    rows += [photo(4, other, common_name="y"), photo(5, other, common_name="y")]
    (taxon,) = _table(to_frame(rows)).values()
    assert (taxon["class"], taxon["common_name"]) == ("Aves", "y")


def test_every_category_and_other(to_frame):
    rows = []
    for number, (_, (rank, name)) in enumerate(CATEGORIES.items()):
        names = [None, None, None, None, None, f"Genus{number}", "epithet"]
        names[0] = "Kingdom"
        names[RANKS.index(rank)] = name
        rows.append(photo(number, names))
    rows.append(photo(99, ("Fungi", "Mollusca", "Insecta", "o", "f", "Both", "x")))
    rows.append(photo(100, ("Animalia", "Chordata", "aves", "o", "f", "Neither", "x")))
    found = {row["genus"]: row["category"] for row in _table(to_frame(rows)).values()}
    expected = {f"Genus{number}": category for number, category in enumerate(CATEGORIES)}
    assert found == expected | {"Both": "Insecta", "Neither": "other"}


def test_a_genus_and_its_species_are_two_taxa_and_none_gives_none(to_frame):
    found = _table(to_frame([photo(1, BIRD), photo(2, GENUS_ONLY), photo(3, SPIDER)]))
    assert sorted(row["taxon_rank"] for row in found.values()) == ["genus", "species", "species"]
    assert _table(to_frame([])) == {}
