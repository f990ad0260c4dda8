"""The oracle of selection against cases worked out by hand."""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.oracle_rows import RANKS, TEXTS, clean, source_files, taxon_id
from bench.selection_oracle import Rule, build_oracle, pick_row

BIRD = ("Animalia", "Chordata", "Aves", "Passeriformes", "Turdidae", "Turdus", "merula")
MAMMAL = ("Animalia", "Chordata", "Mammalia", "Carnivora", "Canidae", "Vulpes", "vulpes")
MOSS = ("Plantae", "Bryophyta", "Bryopsida", "Hypnales", "Hypnaceae", "Turdus", "merula")
NUMBERS = itertools.count(1)


def row(lineage, **changes):
    number = changes.pop("photo_id", next(NUMBERS))
    names = dict(zip(RANKS, lineage, strict=True))
    values = {"photo_id": number, "scientificName": f"{lineage[5]} {lineage[6]}", **names, "common_name": "a name"}
    return {**values, "photo_url": f"http://host/photos/{number}/medium.jpg", **changes}


def oracle_of(tmp_path, *files):
    schema = pa.schema([("photo_id", pa.int64()), *((name, pa.string()) for name in TEXTS)])
    for number, rows in enumerate(files):
        pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / f"{number}.parquet")
    return build_oracle(source_files(tmp_path))


def by_key(selection):
    return {key: (kept, reason) for key, kept, reason in selection.species[["key", "kept", "reason"]].to_numpy()}


def test_thresholds_are_inclusive_and_reasons_come_in_order(tmp_path):
    lark, crow, wren = ((*BIRD[:6], epithet) for epithet in ("alauda", "corvus", "troglodytes"))
    genus = row((*BIRD[:6], None))
    rows = [row(lark) for _ in range(2)] + [row(crow) for _ in range(3)] + [row(wren) for _ in range(7)]
    selection = oracle_of(tmp_path, [*rows, genus, row(MAMMAL), row((*MAMMAL[:6], None))]).select(Rule(3, 5))
    assert by_key(selection) == {
        ("animalia", "turdus", "alauda"): (0, "rare_species"),
        ("animalia", "turdus", "corvus"): (3, None),
        ("animalia", "turdus", "troglodytes"): (5, "over_cap"),
        ("animalia", "turdus"): (0, "above_species_rank"),
        ("animalia", "vulpes", "vulpes"): (0, "out_of_category"),
        ("animalia", "vulpes"): (0, "out_of_category"),
    }
    assert selection.excluded == {"out_of_category": 2, "above_species_rank": 1, "rare_species": 2, "over_cap": 2}
    assert selection.num_kept == 8


def test_a_species_is_kingdom_genus_and_epithet_in_any_spelling(tmp_path):
    same = [
        (*BIRD[:5], "TURDUS", " Merula "),
        (*BIRD[:3], None, "nan", "Turdus", "merula"),
        ("animalia  ", *BIRD[1:]),
    ]
    oracle = oracle_of(tmp_path, [row(BIRD), row(BIRD)], [row(one) for one in same], [row(MOSS)])
    assert dict(zip(oracle.taxa["key"], np.bincount(oracle.taxon), strict=True)) == {
        ("animalia", "turdus", "merula"): 5,
        ("plantae", "turdus", "merula"): 1,
    }


def test_composed_and_decomposed_letters_are_one_species(tmp_path):
    composed, decomposed = (*BIRD[:6], "m\u00ebrula"), (*BIRD[:6], "me\u0308rula")
    assert len(oracle_of(tmp_path, [row(composed), row(decomposed)]).taxa) == 1


def test_a_row_without_genus_or_kingdom_stands_for_its_deepest_other_rank(tmp_path):
    no_genus, no_kingdom = (*BIRD[:5], None, "merula"), (None, *BIRD[1:])
    oracle = oracle_of(tmp_path, [row(no_genus), row(no_kingdom)])
    assert set(zip(oracle.taxa["rank"], oracle.taxa["key"], strict=True)) == {
        ("family", ("animalia", "turdidae")),
        ("genus", ("", "turdus")),
    }


def test_the_category_is_that_of_the_most_frequent_lineage_ties_the_smallest(tmp_path):
    fish = ("Animalia", "Chordata", "Actinopterygii", *BIRD[3:])
    most = oracle_of(tmp_path, [row(fish), row(BIRD), row(BIRD)])
    assert most.taxa["category"].tolist() == ["Aves"]
    tie = oracle_of(tmp_path, [row(BIRD), row(fish)])
    assert tie.taxa["category"].tolist() == ["other"]


def test_rejects_take_the_first_reason_and_duplicates_are_no_photos(tmp_path):
    twice = row(BIRD)
    conflicting = [row(BIRD, photo_id=999_999), row(MAMMAL, photo_id=999_999)]
    nothing = dict.fromkeys((*RANKS, "scientificName"), "unknown")
    rejected = [
        row(BIRD, photo_id=None, photo_url=None),
        row(BIRD, photo_url=" "),
        row(BIRD, photo_url="ftp://host/1.jpg"),
        row(BIRD, **nothing),
    ]
    oracle = oracle_of(tmp_path, [twice, *conflicting], [dict(twice), *rejected, row(BIRD, photo_url="/local.jpg")])
    assert oracle.counts == {
        "rows": 9,
        "photos": 3,
        "duplicates": 1,
        "conflicts": 1,
        "no_photo_id": 1,
        "no_url": 1,
        "bad_url": 1,
        "no_taxon": 1,
    }
    assert (np.diff(oracle.photo_ids) > 0).all()


def test_of_conflicting_rows_the_smallest_wins_in_any_order(tmp_path):
    first, second = row(BIRD, photo_id=7), row(MAMMAL, photo_id=7)
    smallest = min((BIRD, MAMMAL), key=taxon_id)
    for number, rows in enumerate(([first, second], [second, first])):
        (tmp_path / str(number)).mkdir()
        oracle = oracle_of(tmp_path / str(number), rows)
        kingdom, genus, epithet = (smallest[place].lower() for place in (0, 5, 6))
        assert oracle.taxa["key"].tolist()[oracle.taxon[0]] == (kingdom, genus, epithet)


def test_of_rows_of_one_taxon_missing_comes_first_then_byte_order():
    plain, named, shouted = (
        (name, *BIRD, common, "http://host/1.jpg")
        for name, common in (("Turdus merula", None), ("Turdus merula", "blackbird"), ("TURDUS MERULA", "blackbird"))
    )
    assert pick_row([named, plain]) == plain
    assert pick_row([plain, named, shouted]) == shouted


def test_a_taxon_id_is_sparks_hash_of_rank_and_names():
    # Spark 4.2: xxhash64('species|animalia|xenolepidichthys|dalglëishi')
    lineage = ("Animalia", None, "any", None, None, "XENOLEPIDICHTHYS", "dalglëishi")
    assert taxon_id(lineage) == -4938345763331659053


def test_wrong_species_are_counted_one_by_one(tmp_path):
    crow = (*BIRD[:6], "corvus")
    rows = [row(BIRD, photo_id=number) for number in (1, 2, 3)] + [row(crow, photo_id=number) for number in (4, 5)]
    oracle = oracle_of(tmp_path, [*rows, row(MAMMAL, photo_id=6)])
    selection = oracle.select(Rule(2, 2))
    assert oracle.count_wrong(selection, np.array([1, 3, 4, 5])) == 0
    assert oracle.count_wrong(selection, np.array([2, 3, 4, 5])) == 0
    assert oracle.count_wrong(selection, np.array([1, 2, 3, 4, 5])) == 1
    assert oracle.count_wrong(selection, np.array([1, 2, 4])) == 1
    assert oracle.count_wrong(selection, np.array([1, 2, 4, 4, 5, 6])) == 2
    assert oracle.count_wrong(selection, np.array([1, 2, 4, 5, 77])) == 1


def test_clean_knows_missing_words():
    assert [clean(value) for value in (None, "", "  ", "NaN", "none", " Unknown ", "N/A", "null")] == [None] * 8
    assert clean("  Apis   mellifera ") == "Apis mellifera"
    assert clean("Nanny") == "Nanny"


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        source_files(tmp_path)
