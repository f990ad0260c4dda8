"""The numbers of the page: worked by hand, and against the plain definition on random counts."""

import random

import numpy as np
import pandas as pd
import pytest

from spark_jobs import taxa_figures
from spark_jobs.taxa_figures import Kept
from tests.spark_jobs.species_rows import species_frame


def _skewed(seed: int, size: int = 500) -> np.ndarray:
    return np.random.default_rng(seed).zipf(1.6, size).clip(max=100_000).astype(np.int64)


def test_kept_by_worked_by_hand() -> None:
    rows = taxa_figures.kept_by(np.array([1, 30, 30, 100]), [100, 30, 30])
    assert rows == [Kept(30, 3, 160, 1 + 30 + 30 + 30), Kept(100, 1, 100, 161)]


def test_kept_by_without_species() -> None:
    assert taxa_figures.kept_by(np.array([], dtype=np.int64), [30]) == [Kept(30, 0, 0, 0)]


@pytest.mark.parametrize("seed", range(3))
def test_kept_by_equals_its_definition(seed: int) -> None:
    counts = _skewed(seed).tolist()
    for row in taxa_figures.kept_by(np.array(counts), (1, 7, 50, 10_000)):
        frequent = [count for count in counts if count >= row.threshold]
        assert (row.species, row.photos) == (len(frequent), sum(frequent))
        assert row.capped_photos == sum(min(count, row.threshold) for count in counts)


@pytest.mark.parametrize(
    ("counts", "expected"), [([], 0), ([7], 1), ([5, 3, 2], 1), ([4, 3, 3], 2), ([1, 1, 1, 1], 2), ([1, 1, 1], 2)]
)
def test_species_with_half(counts: list[int], expected: int) -> None:
    assert taxa_figures.species_with_half(np.array(counts, dtype=np.int64)) == expected


def test_histogram_worked_by_hand() -> None:
    steps = taxa_figures.histogram(np.array([1, 1, 3, 10, 12]))
    assert steps == [[1, 1, 2], [2, 4, 1], [5, 9, 0], [10, 19, 2]]
    assert taxa_figures.histogram(np.array([], dtype=np.int64)) == []


@pytest.mark.parametrize("largest", [1, 2, 4, 5, 9, 10, 19, 20, 49, 50, 99, 100, 101])
def test_histogram_holds_every_species(largest: int) -> None:
    steps = taxa_figures.histogram(np.arange(1, largest + 1))
    assert sum(species for *_, species in steps) == largest
    assert steps[-1][0] <= largest <= steps[-1][1]
    assert [last + 1 for _, last, _ in steps[:-1]] == [first for first, *_ in steps[1:]]


@pytest.mark.parametrize("seed", range(3))
def test_rank_abundance_keeps_both_ends_and_true_values(seed: int) -> None:
    counts = _skewed(seed)
    tail = taxa_figures.rank_abundance(pd.DataFrame({"category": "Aves", "num_photos": counts}))["Aves"]
    ordered = sorted(counts.tolist(), reverse=True)
    assert (tail[0], tail[-1]) == ([1, ordered[0]], [len(ordered), ordered[-1]])
    assert all(ordered[place - 1] == photos for place, photos in tail)
    assert len(tail) < len(ordered)
    assert [place for place, _ in tail] == sorted({place for place, _ in tail})


def test_frequencies_give_back_every_count() -> None:
    species = pd.DataFrame({"category": ["Fungi", "Aves", "Aves", "Aves"], "num_photos": [2, 9, 1, 9]})
    assert taxa_figures.frequencies(species) == {"Aves": [[1, 1], [9, 2]], "Fungi": [[2, 1]]}


def _random_species(seed: int, size: int = 300) -> pd.DataFrame:
    source = random.Random(seed)
    rows = []
    for number in range(size):
        path = [f"{rank}{source.randrange(3)}" if source.random() > 0.2 else None for rank in "pcof"]
        lineage = ("Animalia", *path, f"g{number // 4}", f"s{number}")
        rows.append((lineage, source.randrange(1, 50)))
    return species_frame(rows)


@pytest.mark.parametrize("limit", [0, 1, 40, 300, 1000])
def test_taxonomy_totals_add_up(limit: int) -> None:
    species = _random_species(7)
    tree = taxa_figures.taxonomy_tree(species, ["Aves", "other"], limit)
    nodes, leaves = tree["nodes"], tree["leaves"]
    assert nodes["photos"][0] == species["num_photos"].sum()
    assert nodes["species"][0] == len(species)
    assert len(leaves["photos"]) == min(limit, len(species))
    photos, numbers = [0] * len(nodes["name"]), [0] * len(nodes["name"])
    for node, parent in enumerate(nodes["parent"]):
        assert parent < node
        if parent >= 0:
            photos[parent] += nodes["photos"][node]
            numbers[parent] += nodes["species"][node]
    for parent, count in zip(leaves["parent"], leaves["photos"], strict=True):
        photos[parent] += count
        numbers[parent] += 1
    complete = limit >= len(species)
    for node in range(len(photos)):
        assert numbers[node] <= nodes["species"][node]
        assert photos[node] <= nodes["photos"][node]
        assert not complete or (photos[node], numbers[node]) == (nodes["photos"][node], nodes["species"][node])


def test_taxonomy_worked_by_hand() -> None:
    species = species_frame(
        [
            (("Animalia", "Chordata", "Aves", None, "Turdidae", "Turdus", "merula"), 5, "Common Blackbird"),
            (("Animalia", "Chordata", "Aves", None, "Turdidae", "Turdus", "pilaris"), 9),
            (("Animalia", None, None, None, None, "Rana", "temporaria"), 1),
        ]
    )
    tree = taxa_figures.taxonomy_tree(species, ["other", "Aves"], 2)
    assert tree["nodes"] == {
        "name": ["All species", "Animalia", "Chordata", "Aves", "Turdidae", "Turdus"],
        "rank": [-1, 0, 1, 2, 4, 5],
        "parent": [-1, 0, 1, 2, 3, 4],
        "photos": [15, 15, 14, 14, 14, 14],
        "species": [3, 3, 2, 2, 2, 2],
    }
    assert tree["leaves"] == {
        "parent": [5, 5],
        "epithet": ["pilaris", "merula"],
        "common": ["", "Common Blackbird"],
        "category": [1, 1],
        "photos": [9, 5],
        "groups": [9, 5],
        "place": [1, 2],
    }
