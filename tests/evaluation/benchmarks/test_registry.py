"""Every published benchmark opens from a file of its published form, with the published classes."""

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from evaluation.benchmarks.benchmark import LABEL, NINE_LEVELS
from evaluation.benchmarks.published_figures import PAPERS_EIGHT
from evaluation.benchmarks.registry import REGISTRY, names, open_benchmark
from evaluation.benchmarks.tasks import make_task
from taxonomy.errors import BadInputError

FIXTURES = Path(__file__).parents[2] / "fixtures" / "benchmarks"

REAL = {
    "biotrove_lifestages": (600, {LABEL: 20, "species": 5, "stage": 4}),
    "biotrove_unseen": (3000, dict(zip(NINE_LEVELS, (2, 6, 9, 61, 169, 283, 290, 300, 283), strict=True))),
    "bioclip_rare": (11983, dict(zip(NINE_LEVELS, (1, 5, 15, 85, 202, 316, 385, 400, 398), strict=True))),
    "confounding": (100, {LABEL: 10}),
    "deepweeds": (17509, {LABEL: 9}),
    "fungi": (1000, {LABEL: 25}),
    "insects2": (4080, {LABEL: 102}),
}
"""Rows, and classes per level, of the published files."""


def raw(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("name", names())
def test_a_file_of_the_published_form_opens(name):
    benchmark = open_benchmark(name, None, FIXTURES)
    spec = REGISTRY[name]
    rows = raw(FIXTURES / spec.csv_names[0])
    assert len(benchmark.rows) == len(rows)
    assert benchmark.headline in benchmark.levels
    assert (benchmark.name, benchmark.log_name, benchmark.images_root) == (name, spec.log_name, FIXTURES)
    assert not any(benchmark.rows.sources)
    for columns in (*benchmark.rows.labels.values(), *benchmark.rows.lineage.values()):
        assert len(columns) == len(rows)
    for level in benchmark.levels:
        assert all(label is None or label in rows[i].values() for i, label in enumerate(benchmark.rows.labels[level]))


@pytest.mark.parametrize("name", REAL)
def test_the_published_file_has_the_published_classes(name, shared):
    benchmark = open_benchmark(name, None, shared / "data" / "benchmarks")
    num_rows, num_classes = REAL[name]
    assert len(benchmark.rows) == num_rows
    assert len(set(benchmark.rows.keys)) == num_rows
    tasks = {level: make_task(benchmark, level, "published") for level in benchmark.levels}
    assert {level: len(task.class_names) for level, task in tasks.items()} == num_classes


@pytest.mark.parametrize("name", ["bioclip_rare", "fungi", "insects2"])
def test_the_names_of_the_readme_and_of_the_code_hold_the_same_classes(name):
    first, second = (open_benchmark(name, FIXTURES / file) for file in REGISTRY[name].csv_names)
    assert first.rows.labels == second.rows.labels
    assert first.rows.lineage == second.rows.lineage


def test_camel_case_columns_and_photo_ids_open_as_the_copy_with_paths(tmp_path):
    paths, ids = (
        open_benchmark("biotrove_balanced", FIXTURES / file) for file in REGISTRY["biotrove_balanced"].csv_names
    )
    assert paths.rows.labels == ids.rows.labels
    assert paths.rows.common_names == ids.rows.common_names
    for number in ids.rows.keys[1:]:
        (tmp_path / f"{number}.png").write_bytes(b"")
    root = open_benchmark("biotrove_balanced", FIXTURES / "BioTrove-Balanced.csv", None, tmp_path)
    assert root.rows.sources == [None, *(tmp_path / f"{number}.png" for number in ids.rows.keys[1:])]
    assert root.images_root == tmp_path


def test_the_list_of_a_download_opens_beside_its_pictures(tmp_path):
    first, *_ = rows = raw(FIXTURES / "BioTrove-Balanced.csv")
    lines = [{**row, "path": f"{row['photo_id']}.jpg" if row is first else ""} for row in rows]
    with (tmp_path / "fetched.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    (tmp_path / lines[0]["path"]).write_bytes(b"")
    benchmark = open_benchmark("biotrove_balanced", tmp_path / "fetched.csv")
    assert benchmark.rows.sources == [tmp_path / lines[0]["path"], *[None] * (len(rows) - 1)]
    assert benchmark.rows.keys == [lines[0]["path"], *(row["photo_id"] for row in rows[1:])]


def test_the_class_of_bioclip_rare_is_never_its_scientific_name(tmp_path):
    for file in REGISTRY["bioclip_rare"].csv_names:
        rows = open_benchmark("bioclip_rare", FIXTURES / file).rows
        assert rows.labels["class"][0] == rows.lineage["class"][0] == "Bivalvia"
        assert rows.labels["scientific_name"][0] == "Unio crassus"
    original = (FIXTURES / "bioclip-rare-metadata.csv").read_text("utf-8")
    (tmp_path / "lost.csv").write_text(original.replace(",cls,", ",clas,"), "utf-8")
    with pytest.raises(BadInputError, match="scientific_name or scientificName is needed"):
        open_benchmark("bioclip_rare", tmp_path / "lost.csv")


def test_a_folder_with_the_csv_is_where_its_pictures_lie(tmp_path):
    (tmp_path / "birds525_metadata.csv").write_bytes((FIXTURES / "birds.csv").read_bytes())
    keys = open_benchmark("birds525", FIXTURES / "birds.csv").rows.keys
    for key in keys[:5]:
        (tmp_path / "deeper" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "deeper" / key).write_bytes(b"")
    expected = [tmp_path / "deeper" / key for key in keys[:5]] + [None] * (len(keys) - 5)
    assert open_benchmark("birds525", tmp_path).rows.sources == expected
    assert not any(open_benchmark("birds525", tmp_path / "birds525_metadata.csv").rows.sources)
    assert open_benchmark("birds525", FIXTURES / "birds.csv", None, tmp_path).rows.sources == expected


def test_a_photo_of_two_pairs_may_lie_there_once(tmp_path):
    names = {Path(key).name for key in open_benchmark("confounding", None, FIXTURES).rows.keys}
    for name in names:
        (tmp_path / name).write_bytes(b"")
    sources = open_benchmark("confounding", None, FIXTURES, tmp_path).rows.sources
    assert len(names) < len(sources)
    assert set(sources) == {tmp_path / name for name in names}


def test_confounding_s_pairs_agree_with_its_class_options():
    rows = raw(FIXTURES / "confounding_species.csv")
    benchmark = open_benchmark("confounding", None, FIXTURES)
    task = make_task(benchmark, LABEL, "fixed")
    for row, pair in zip(rows, task.pair_of_R, strict=True):
        assert {task.class_names[number] for number in pair} == set(row["class_options"].split("!"))


@pytest.mark.parametrize("name", names())
def test_a_lost_column_is_named(name, tmp_path):
    spec = REGISTRY[name]
    header, _, rest = (FIXTURES / spec.csv_names[0]).read_text("utf-8").partition("\n")
    for column in {candidates[0] for candidates in spec.levels.values()} | set(spec.pairs):
        present = next(
            c for c in (column, "scientificName", "cls", "labels", "scientific_name") if c in header.split(",")
        )
        (tmp_path / "cut.csv").write_text(
            ",".join("lost" if one == present else one for one in header.split(",")) + "\n" + rest, "utf-8"
        )
        with pytest.raises(BadInputError, match=r"is needed; the columns are .*lost"):
            open_benchmark(name, tmp_path / "cut.csv")


def test_unknown_names_and_absent_files_are_refused_in_one_line(tmp_path):
    with pytest.raises(BadInputError, match="no benchmark 'birds': one of biotrove_balanced, "):
        open_benchmark("birds", None, tmp_path)
    with pytest.raises(BadInputError, match=r"none of arboretum_test_metadata\.csv, BioTrove-Balanced\.csv"):
        open_benchmark("biotrove_balanced", None, tmp_path)
    with pytest.raises(BadInputError, match="--benchmarks-root"):
        open_benchmark("fungi")
    with pytest.raises(BadInputError, match="no such folder"):
        open_benchmark("fungi", None, FIXTURES, tmp_path / "none")


def test_eight_are_in_the_paper_s_mean_and_log_names_are_the_published_ones():
    assert set(names()) - set(PAPERS_EIGHT) == {"confounding"}
    assert len(PAPERS_EIGHT) == 8
    logged = {name: spec.log_name for name, spec in REGISTRY.items()}
    assert (logged["biotrove_balanced"], logged["biotrove_unseen"]) == ("arbor-test", "arbor-rare")
    assert max(Counter(logged.values()).values()) == 1


def test_the_registry_needs_no_torch_and_reads_nothing():
    code = (
        "import sys, evaluation.benchmarks.registry as r; assert 'torch' not in sys.modules, 'torch'; print(*r.names())"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == list(names())
