"""Aggregates name what they lack, and models are paired only on the same pictures."""

import json
import shutil
from pathlib import Path

import pytest

from evaluation.benchmarks.published_figures import PAPERS_EIGHT, PUBLISHED_WEIGHTED_MEAN
from evaluation.metrics.paired import compare
from evaluation.report.columns import columns_of, rows_of
from evaluation.report.summaries import aggregates_of, pairs_against, published_aggregates
from evaluation.results.predictions_file import predictions_path, read_predictions
from evaluation.results.result import file_name, read_results
from tests.evaluation.results.records import record


def test_the_papers_mean_comes_out_of_the_published_figures() -> None:
    means = {name: made["class_weighted"].value for name, made in published_aggregates().items()}
    assert {name: round(100 * (mean or 0), 1) for name, mean in means.items()} == PUBLISHED_WEIGHTED_MEAN


def test_a_mean_needs_every_benchmark_as_published() -> None:
    metrics = {"top1": {"value": 0.5, "low": 0.4, "high": 0.6}, "balanced_accuracy": {"value": 0, "low": 0, "high": 0}}
    records = [record(benchmark=name, metrics=metrics) for name in PAPERS_EIGHT]
    (column,) = columns_of(records)
    assert aggregates_of(rows_of(records, [column]), column)["unweighted"].value == 0.5
    for spoilt in ({"class_list": "fixed"}, {"headline": False, "taxon": "genus"}, {"benchmark": "other"}):
        changed = [*records[1:], records[0] | spoilt]
        made = aggregates_of(rows_of(changed, [column]), column)["unweighted"]
        assert (made.value, made.missing) == (None, (PAPERS_EIGHT[0],)), spoilt


@pytest.fixture
def copy(results: Path, tmp_path: Path) -> Path:
    shutil.copytree(results, tmp_path / "copy")
    return tmp_path / "copy"


def _pairs(folder: Path) -> dict[tuple[str, str], tuple[object, str]]:
    records = read_results(folder)
    columns = columns_of(records)
    pairs = pairs_against(folder, rows_of(records, columns), columns, columns[0])
    return {(column.label, pair.row.benchmark): (pair.comparison, pair.reason)
            for column, own in pairs.items() for pair in own}  # fmt: skip


def test_every_other_model_is_compared_on_every_benchmark(results: Path) -> None:
    pairs = _pairs(results)
    assert {label for label, _ in pairs} == {"oaks/epoch_12.pt", "ViT-B-16"}
    assert {benchmark for _, benchmark in pairs} == {"biotrove_unseen", "fungi", "deepweeds", "my garden"}
    by_name = {(one["model"]["name"], one["benchmark"]): one for one in read_results(results) if one["headline"]}
    files = [predictions_path(results / file_name(by_name[name, "fungi"]))
             for name in ("ViT-B-16", "hf-hub:imageomics/bioclip")]  # fmt: skip
    assert pairs["ViT-B-16", "fungi"] == (compare(*map(read_predictions, files)), "")


def _of(folder: Path, name: str, benchmark: str) -> Path:
    found = [one for one in read_results(folder)
             if (one["model"]["name"], one["benchmark"], one["headline"]) == (name, benchmark, True)]  # fmt: skip
    return folder / file_name(found[0])


def test_models_that_cannot_be_paired_say_why(copy: Path) -> None:
    predictions_path(_of(copy, "ViT-B-16", "fungi")).unlink()
    for field, benchmark in (("class_list_sha256", "deepweeds"), ("rows_sha256", "my garden")):
        path = _of(copy, "ViT-B-16", benchmark)
        path.write_text(json.dumps(json.loads(path.read_text()) | {field: "0" * 64}))
    pairs = _pairs(copy)
    assert "evaluate again" in pairs["ViT-B-16", "fungi"][1]
    assert pairs["ViT-B-16", "deepweeds"] == (None, "their class lists differ")
    assert pairs["ViT-B-16", "my garden"] == (None, "their rows differ")
    assert pairs["ViT-B-16", "biotrove_unseen"][0] is not None
    assert pairs["oaks/epoch_12.pt", "fungi"][0] is not None
