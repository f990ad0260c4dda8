"""Classes, captions and roll-ups that are made of a benchmark's rows."""

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.benchmarks.benchmark import CLASS_LISTS, LABEL, NINE_LEVELS, Benchmark, Rows
from evaluation.benchmarks.registry import REGISTRY, names, open_benchmark
from evaluation.benchmarks.tasks import lineage_of, make_task, rollup_tasks
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS

FIXTURES = Path(__file__).parents[2] / "fixtures" / "benchmarks"


def fixture(name):
    return open_benchmark(name, None, FIXTURES)


def taxa(*rows: str) -> Benchmark:
    """Rows "scientific name|common name|kingdom genus epithet", "-" for missing."""
    split = [row.split("|") for row in rows]
    cells = [[None if one == "-" else one for one in (sci, com, *ranks.split())] for sci, com, ranks in split]
    sci, com, kingdom, genus, epithet = (list(column) for column in zip(*cells, strict=True))
    empty = [None] * len(rows)
    lineage = {**dict.fromkeys(RANKS, empty), "kingdom": kingdom, "genus": genus, "species": epithet}
    labels = {**lineage, "scientific_name": sci, "common_name": com}
    made = Rows([str(i) for i in range(len(rows))], empty, labels, lineage, com)
    return Benchmark("taxa", made, NINE_LEVELS, "scientific_name")


def names_of_rows(task):
    return [task.class_names[number] if number >= 0 else None for number in task.class_R]


@pytest.mark.parametrize("class_list", CLASS_LISTS)
@pytest.mark.parametrize("name", names())
def test_classes_are_distinct_in_order_of_their_first_rows_and_met_by_name(name, class_list):
    benchmark = fixture(name)
    for level in benchmark.levels:
        task = make_task(benchmark, level, class_list)
        assert len(set(task.class_names)) == len(task.class_names)
        assert list(dict.fromkeys(number for number in task.class_R.tolist() if number >= 0)) == list(
            range(len(task.class_names))
        )
        if class_list == "published":
            assert names_of_rows(task) == [label or "nan" for label in benchmark.rows.labels[level]]
            assert task.num_null_label == 0
        else:
            assert "nan" not in task.class_names
        assert set(task.fields) <= set(task.class_names) - {"nan"}
        assert (task.class_R.dtype, task.class_list, task.taxon) == (np.int64, class_list, level)


def test_a_missing_label_is_the_class_nan_or_in_no_class():
    benchmark = fixture("biotrove_unseen")
    num_null = benchmark.rows.labels["family"].count(None)
    assert num_null == 3
    published, fixed = (make_task(benchmark, "family", class_list) for class_list in CLASS_LISTS)
    assert Counter(names_of_rows(published))["nan"] == num_null
    assert fixed.num_null_label == num_null
    assert len(published.class_names) == len(fixed.class_names) + 1


def test_species_are_epithets_as_published_and_genus_and_epithet_as_fixed():
    benchmark = fixture("biotrove_balanced")
    published, fixed = (make_task(benchmark, "species", class_list) for class_list in CLASS_LISTS)
    rows = [i for i, epithet in enumerate(benchmark.rows.labels["species"]) if epithet == "alba"]
    assert {names_of_rows(published)[i] for i in rows} == {"alba"}
    assert {names_of_rows(fixed)[i] for i in rows} == {"Motacilla alba", "Tyto alba", "Salix alba"}
    assert "alba" not in published.fields
    assert published.fields["merula"].scientific_name == "Turdus merula"
    assert fixed.fields["Tyto alba"].common_name == "Western Barn Owl"


def test_wrong_epithets_are_mended_from_the_raw_text():
    benchmark = fixture("biotrove_unseen")
    fixed = make_task(benchmark, "species", "fixed")
    assert {"Pelargonium \u00d7 asperum", "Ophrys \u00d7 albertiana"} <= set(fixed.class_names)
    rolled = {task.taxon: task for task in rollup_tasks(benchmark, "fixed")}["rollup_species"]
    assert set(rolled.class_names) == set(fixed.class_names)
    published = {task.taxon: task for task in rollup_tasks(benchmark, "published")}["rollup_species"]
    assert {"Pelargonium Rose Storksbill", "Ophrys apifera"} <= set(published.class_names)


def test_fields_hold_what_captions_need():
    task = make_task(fixture("biotrove_balanced"), "scientific_name", "published")
    fields = task.fields["Turdus merula"]
    assert fields.taxon == "Animalia Chordata Aves Passeriformes Turdidae Turdus merula"
    assert (fields.scientific_name, fields.common_name) == ("Turdus merula", "Eurasian Blackbird")
    family = make_task(fixture("biotrove_balanced"), "family", "published").fields["Turdidae"]
    assert family.taxon == "Animalia Chordata Aves Passeriformes Turdidae"
    assert (family.scientific_name, family.common_name) == ("Turdidae", None)
    common = make_task(fixture("bioclip_rare"), "common_name", "published").fields
    assert common["Kakapo"].scientific_name == "Strigops habroptila"
    assert "Yunnan Newt" not in common  # two species


def test_labels_have_a_taxon_only_where_they_are_one():
    fungi = make_task(fixture("fungi"), LABEL, "published").fields["Amanita muscaria (L.) Lam., 1783"]
    assert (fungi.scientific_name, fungi.taxon) == ("Amanita muscaria", None)
    bird = make_task(fixture("birds525"), LABEL, "published").fields["BARN OWL"]
    assert (bird.scientific_name, bird.common_name) == ("TYTO ALBA", "BARN OWL")
    lifestages = fixture("biotrove_lifestages")
    assert not make_task(lifestages, LABEL, "published").fields
    assert not make_task(lifestages, "stage", "published").fields
    assert make_task(lifestages, "species", "published").fields["Danaus plexippus"].common_name == "Monarch"
    assert not make_task(fixture("insects2"), LABEL, "published").fields


def test_homonyms_in_two_branches_have_no_fields_of_their_own():
    benchmark = taxa("Morus alba|-|Plantae Morus alba", "Morus bassanus|-|Animalia Morus bassanus")
    assert "Morus" not in make_task(benchmark, "genus", "published").fields
    assert make_task(benchmark, "kingdom", "published").fields.keys() == {"Plantae", "Animalia"}


def test_rollups_take_the_majority_s_lineage_and_say_how_many_disagree(caplog):
    benchmark = taxa("A a|-|Plantae X a", "A a|-|Fungi X a", "A a|-|Fungi X a", "B b|-|Fungi Y b", "-|-|Fungi Z z")
    with caplog.at_level(logging.WARNING):
        rolled = {task.taxon: task for task in rollup_tasks(benchmark, "published")}
    assert "rows of 1 scientific names disagree" in caplog.text
    assert names_of_rows(rolled["rollup_kingdom"]) == ["Fungi", "Fungi", "Fungi", "Fungi", None]
    assert names_of_rows(rolled["rollup_species"]) == ["X a", "X a", "X a", "Y b", None]
    assert "rollup_phylum" not in rolled
    task = make_task(benchmark, "scientific_name", "published")
    assert task.class_names == ("A a", "B b", "nan")
    assert lineage_of(task, benchmark) == [
        ("Fungi", None, None, None, None, "X", "X a"),
        ("Fungi", None, None, None, None, "Y", "Y b"),
        None,
    ]
    tie = taxa("A a|-|Plantae X a", "A a|-|Fungi X a")
    assert (lineage_of(make_task(tie, "scientific_name", "fixed"), tie)[0] or ())[0] == "Plantae"


@pytest.mark.parametrize("class_list", CLASS_LISTS)
@pytest.mark.parametrize("name", ["biotrove_balanced", "biotrove_unseen", "bioclip_rare"])
def test_a_right_name_is_right_at_every_rank(name, class_list):
    benchmark = fixture(name)
    task = make_task(benchmark, "scientific_name", class_list)
    lineage = lineage_of(task, benchmark)
    rolled = rollup_tasks(benchmark, class_list)
    assert [one.taxon for one in rolled] == [f"rollup_{rank}" for rank in RANKS]
    for one in rolled:
        number = RANKS.index(one.taxon.removeprefix("rollup_"))
        assert names_of_rows(one) == [(lineage[own] or [None] * 7)[number] for own in task.class_R]


def test_only_benchmarks_with_scientific_names_have_rollups():
    assert {name for name in names() if rollup_tasks(fixture(name), "published")} == {
        "biotrove_balanced",
        "biotrove_unseen",
        "bioclip_rare",
    }


def test_confounding_is_a_choice_within_the_pair():
    benchmark = fixture("confounding")
    published = make_task(benchmark, LABEL, "published")
    assert (len(published.class_names), published.distinct_R) == (10, None)
    for row, (low, high) in enumerate(published.pair_of_R):
        assert low < high
        assert published.class_R[row] in (low, high)
    of_pair = {
        pair: {published.class_names[i] for i in both}
        for pair, both in zip(benchmark.rows.pairs, published.pair_of_R, strict=True)
    }
    assert of_pair["C2"] == {"Harmonia axyridies", "Epilachna mexicana"}
    fixed = make_task(benchmark, LABEL, "fixed")
    assert len(fixed.class_names) == 9
    assert "Harmonia axyridies" not in fixed.class_names
    assert fixed.fields["Harmonia axyridis"].scientific_name == "Harmonia axyridis"
    assert fixed.distinct_R is not None
    repeated = [key for key, first in zip(benchmark.rows.keys, fixed.distinct_R, strict=True) if not first]
    assert len(repeated) == 3
    assert all("C2_Harmonia" in key for key in repeated)


def test_the_published_confounding_file_has_90_photos_in_9_classes(shared):
    benchmark = open_benchmark("confounding", None, shared / "data" / "benchmarks")
    task = make_task(benchmark, LABEL, "fixed")
    assert task.distinct_R is not None
    assert (len(task.class_names), int(task.distinct_R.sum())) == (9, 90)
    assert Counter(Counter(task.pair_of_R).values()) == {20: 5}


def test_a_pair_of_one_class_is_refused():
    benchmark = fixture("confounding")
    rows = benchmark.rows
    broken = replace(
        benchmark,
        rows=replace(
            rows, pairs=[f"{pair}{label}" for pair, label in zip(rows.pairs, rows.labels[LABEL], strict=True)]
        ),
    )
    with pytest.raises(BadInputError, match="two classes are needed"):
        make_task(broken, LABEL, "published")


def test_unknown_levels_and_lists_are_refused():
    with pytest.raises(BadInputError, match="--taxon genus: fungi has label"):
        make_task(fixture("fungi"), "genus", "published")
    with pytest.raises(BadInputError, match="--taxon scientific_name: confounding has label"):
        make_task(fixture("confounding"), "scientific_name", "published")
    with pytest.raises(BadInputError, match="one of published, fixed is allowed"):
        make_task(fixture("fungi"), LABEL, "other")


def test_every_benchmark_s_levels_are_those_of_its_file():
    levels = {name: tuple(spec.levels) for name, spec in REGISTRY.items()}
    for name in ("biotrove_balanced", "biotrove_unseen", "bioclip_rare"):
        assert levels.pop(name) == NINE_LEVELS
    assert levels.pop("biotrove_lifestages") == (LABEL, "species", "stage")
    assert set(levels.values()) == {(LABEL,)}
