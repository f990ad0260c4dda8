"""Figures over several benchmarks: the aggregates with what they lack, and models paired picture by picture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from evaluation.benchmarks.benchmark import PUBLISHED
from evaluation.benchmarks.published_figures import PUBLISHED_NUM_CLASSES, PUBLISHED_NUM_IMAGES, PUBLISHED_TOP1
from evaluation.metrics.aggregates import Aggregate, Score, aggregates
from evaluation.metrics.paired import Comparison, compare
from evaluation.report.columns import Column, Record, Row
from evaluation.results.predictions_file import predictions_path, read_predictions
from evaluation.results.result import file_name
from evaluation.scoring.predictions import Predictions
from taxonomy.errors import BadInputError

AGGREGATES: Mapping[str, str] = {
    "class_weighted": "weighted by classes, as in the paper",
    "unweighted": "each benchmark alike",
    "image_weighted": "weighted by pictures",
    "class_weighted_without_balanced": "weighted by classes, without BioTrove-Balanced",
}
"""Name -> what it is."""


def aggregates_of(rows: Sequence[Row], column: Column) -> dict[str, Aggregate]:
    """The model's aggregates over the published class lists; a benchmark without its headline task is missing."""
    scores = {}
    for row in rows:
        record = row.shown.get(column)
        if record is not None and record["headline"] and row.class_list == PUBLISHED:
            top1 = record["metrics"]["top1"]["value"]
            scores[row.benchmark] = Score(top1, record["num_classes"], record["num_images"])
    return aggregates(scores)


def published_aggregates() -> dict[str, dict[str, Aggregate]]:
    """Published model -> its aggregates, with the paper's numbers of classes and pictures."""
    return {
        model: aggregates(
            {
                name: Score(figure.top1 / 100, PUBLISHED_NUM_CLASSES[name], PUBLISHED_NUM_IMAGES[name])
                for name, figure in figures.items()
            }
        )
        for model, figures in PUBLISHED_TOP1.items()
    }


@dataclass(frozen=True)
class Pair:
    """A model against the one that all are compared with, on one benchmark.

    Attributes:
        row: the benchmark.
        comparison: None where the two cannot be paired.
        reason: why not; empty where they can.
    """

    row: Row
    comparison: Comparison | None
    reason: str = ""


def pairs_against(
    folder: Path, rows: Sequence[Row], columns: Sequence[Column], base: Column
) -> dict[Column, list[Pair]]:
    """Per other model its comparisons with `base`, a row each where both were evaluated.

    Args:
        folder: of the results, with the predictions beside them.
        rows: benchmarks.
        columns: models.
        base: the model that others are compared with.
    """
    read = cache(lambda name: read_predictions(predictions_path(folder / name)))
    found: dict[Column, list[Pair]] = {}
    for column in columns:
        shared = [row for row in rows if column is not base and column in row.shown and base in row.shown]
        if shared:
            found[column] = [_pair(row, row.shown[column], row.shown[base], read) for row in shared]
    return found


def _pair(row: Row, of_model: Record, of_base: Record, read: Callable[[str], Predictions]) -> Pair:
    if of_model["class_list_sha256"] != of_base["class_list_sha256"]:
        return Pair(row, None, "their class lists differ")
    if of_model.get("rows_sha256") != of_base.get("rows_sha256"):
        return Pair(row, None, "their rows differ")
    try:
        return Pair(row, compare(read(file_name(of_model)), read(file_name(of_base))))
    except BadInputError as error:
        return Pair(row, None, str(error))
