"""Planted models on all nine benchmarks: what must score 100 %, chance, and all but two classes does so.

Every level and roll-up comes from one pass over stand-in pictures that were found by the paths in the CSV, so this
covers reading, matching, prompts, scoring and metrics at once. Real CSVs where the shared data is there, own rows of
the same form everywhere.
"""

import io
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import evaluation
from bench.planted_model import NULL, image_vector, label_vector, numbers_of, picture
from evaluation.benchmarks.registry import open_benchmark
from evaluation.encoding import prompts
from evaluation.encoding.pictures import eval_picture
from evaluation.protocols import PAPER
from taxonomy.ranks import RANKS
from tests.evaluation.planted_rows import FIXTURES, LAYOUTS, SHARED, Layout, PlantedRows, chance, plant

pytestmark = pytest.mark.torch

EVERYDAY = [(layout, where) for layout in LAYOUTS for where in ("own", "real")[: 1 + layout.is_published]]
WHOLE = [(layout, "whole") for layout in LAYOUTS if layout.rows_of_class]


def name_of(value):
    return f"{value.name}-{value.path}" if isinstance(value, Layout) else None


each = pytest.mark.parametrize(
    ("layout", "where"), [*EVERYDAY, *(pytest.param(*one, marks=pytest.mark.long) for one in WHOLE)], ids=name_of
)


@pytest.fixture(autouse=True)
def fewer_prompts(request, monkeypatch):
    """Four of the 80 templates where there are hundreds of classes at nine levels; all of them in the long lane."""
    params = getattr(request.node, "callspec", None)
    if params is not None and params.params.get("where") == "real":
        four = prompts.openai_templates()[:4]
        monkeypatch.setattr(prompts, "openai_templates", lambda: four)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Layout and place -> rows with pictures, drawn once."""
    made: dict[tuple[str, str, str], PlantedRows] = {}

    def make(layout: Layout, where: str) -> PlantedRows:
        source = (FIXTURES if where == "own" else SHARED) / layout.file
        if where != "own" and not source.is_file():
            pytest.skip(f"no shared data at {source.parent} (set TAXAFLOW_SHARED)")
        key = (layout.name, layout.path, where)
        if key not in made:
            rows_of_class = layout.rows_of_class if where == "real" else None
            made[key] = plant(layout, source, tmp_path_factory.mktemp(layout.name), rows_of_class)
        return made[key]

    return make


def opened(rows):
    return open_benchmark(rows.layout.name, rows.csv, None, rows.images_root)


def run(rows, encoder, benchmark=None, **options):
    """Taxon -> record. The cache is one for all tests, which would show answers of other rows or encoders."""
    given = {"protocol": PAPER, "details": False, "batch_size": 512, "cache_dir": rows.csv.parent / "cache"} | options
    found = evaluation.run(benchmark or opened(rows), encoder, evaluation.RunOptions(**given))
    return {record["taxon"]: record for record in found}


def expected_taxa(layout):
    """Every level, and a roll-up to each rank where the species of a lineage are told apart."""
    rollups = [f"rollup_{rank}" for rank in RANKS] if "scientific_name" in layout.levels else []
    return [*layout.levels, *rollups]


@pytest.mark.parametrize("class_list", ["published", "fixed"])
@each
def test_the_planted_model_is_right_everywhere(layout, where, class_list, planted):
    rows = planted(layout, where)
    found = run(rows, rows.encoder(class_list), class_list=class_list)
    assert sorted(found) == sorted(expected_taxa(layout))
    for taxon, record in found.items():
        labels = rows.labels(taxon, class_list)
        assert record["num_images"] + record["num_null_label"] == record["n_rows"] == len(rows.rows), taxon
        assert record["num_null_label"] == labels.count(None), taxon
        assert record["num_classes"] == len({label for label in labels if label}), taxon
        assert {one["name"] for one in record["per_class"]} == {label for label in labels if label}, taxon
        assert record["metrics"]["top1"]["value"] == 1, (taxon, record["confusions"])
        assert record["metrics"]["balanced_accuracy"]["value"] == 1 and record["confusions"] == [], taxon
    assert [taxon for taxon, record in found.items() if record["headline"]] == [layout.headline]


@each
def test_pictures_dealt_to_the_rows_blindly_give_chance(layout, where, planted):
    rows = planted(layout, where)
    benchmark = opened(rows)
    is_pair = layout.name == "confounding"
    order = order_within([row["pair"] if is_pair else "" for row in rows.rows])
    sources = [benchmark.rows.sources[index] for index in order]
    found = run(rows, rows.encoder(), replace(benchmark, rows=replace(benchmark.rows, sources=sources)))
    for taxon, record in found.items():
        labels = rows.labels(taxon)
        if len({label for label in labels if label}) < 2:
            continue
        mean, error = chance(labels) if not is_pair else chance_within(labels, [row["pair"] for row in rows.rows])
        for name in ("top1", "among_all_top1") if is_pair else ("top1",):
            assert abs(record["metrics"][name]["value"] - mean) <= 4 * error, (taxon, name, mean, error)


def order_within(groups):
    """A fixed shuffle of the rows that leaves each in its group."""
    generator = np.random.default_rng(20)
    order = np.arange(len(groups))
    for group in dict.fromkeys(groups):
        own = np.array([row for row, one in enumerate(groups) if one == group])
        order[own] = generator.permutation(own)
    return order


def chance_within(labels, groups):
    parts = [[label for label, one in zip(labels, groups, strict=True) if one == group] for group in set(groups)]
    found = [(len(part) / len(labels), *chance(part)) for part in parts]
    return sum(share * mean for share, mean, _ in found), sum((share * error) ** 2 for share, _, error in found) ** 0.5


@each
def test_two_swapped_classes_cost_their_pictures_and_are_named(layout, where, planted):
    rows = planted(layout, where)
    labels = rows.labels(layout.headline)
    first, second = rows.rows[0], next(row for row in rows.rows if is_other(row, rows.rows[0], layout))
    one, other = (row[layout.levels[layout.headline]] for row in (first, second))
    count = Counter(labels)
    record = run(rows, rows.encoder(swapped=(one, other)), taxa=("headline",))[layout.headline]
    wrong = {(line["true"], line["guessed"]): line["count"] for line in record["confusions"]}
    assert wrong == {(one, other): count[one], (other, one): count[other]}
    assert record["metrics"]["top1"]["value"] == pytest.approx(1 - (count[one] + count[other]) / len(labels))
    assert {line["name"] for line in record["per_class"] if line["recall"] < 1} == {one, other}


def is_other(row, first, layout):
    """Of another class; of Confounding's, the other class of the pair."""
    column = layout.levels[layout.headline]
    return row[column] != first[column] and row.get("pair") == first.get("pair")


@pytest.mark.parametrize("size", [24, 32, 50, 224])
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_numbers_outlive_formats_and_sizes(size, form, interpolation):
    numbers = [0, 1, 2, 1000, 40_000, 65_535]
    shown = []
    for number in numbers:
        buffer = io.BytesIO()
        picture(number).resize((64, 64), Image.Resampling.NEAREST).save(buffer, form)
        shown.append(eval_picture(buffer.getvalue(), size, interpolation))
    assert numbers_of(np.stack(shown)).tolist() == numbers


def test_a_picture_is_near_its_own_labels_alone():
    vector_D = image_vector(("Aves", "Turdidae", "Turdus", NULL))
    near = [vector_D @ label_vector(label) for label in ("Aves", "Turdidae", "Turdus")]
    assert near == pytest.approx([near[0]] * 3) and near[0] > 0.5
    assert vector_D @ label_vector(NULL) == pytest.approx(near[0] / 2)
    assert max(abs(vector_D @ label_vector(f"other {number}")) for number in range(300)) < 0.15
    assert image_vector(("Aves",)) == pytest.approx(label_vector("Aves"))


def test_chance_is_that_of_drawn_permutations():
    labels = ["a"] * 30 + ["b"] * 15 + [None] * 5 + ["c"]
    generator = np.random.default_rng(0)
    drawn = [
        np.mean([label == labels[other] for label, other in zip(labels, order, strict=True) if label])
        for order in (generator.permutation(len(labels)) for _ in range(4000))
    ]
    mean, error = chance(labels)
    assert mean == pytest.approx(np.mean(drawn), abs=4 * error / 4000**0.5)
    assert error == pytest.approx(np.std(drawn), rel=0.05)
    assert chance(["a"] * 6 + ["b"] * 6)[0] == 0.5
