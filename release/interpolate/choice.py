"""Points x benchmarks, and which point is the best: the rule, and what must be said of it. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.benchmarks.benchmark import Benchmark
from evaluation.report.columns import Record, columns_of, rows_of
from evaluation.settings.chosen_benchmarks import open_chosen
from evaluation.settings.option import nearest
from release.interpolate.config import InterpolateConfig, published_names
from taxonomy.errors import BadInputError, WorkFailedError


@dataclass(frozen=True)
class Point:
    """One average of the two models, evaluated.

    Attributes:
        alpha: the share of --to.
        label: of its result files.
        hash: of its weights.
        records: of all tasks of all benchmarks.
    """

    alpha: float
    label: str
    hash: str
    records: Sequence[Record]


@dataclass(frozen=True)
class Line:
    """One benchmark along the points.

    Attributes:
        benchmark: its name.
        title: what people call it.
        records: per point the record that is shown: the headline, else the finest level asked for.
    """

    benchmark: str
    title: str
    records: Sequence[Record]

    @property
    def top1(self) -> list[dict[str, float]]:
        """Value, low and high per point, in [0, 1]."""
        return [record["metrics"]["top1"] for record in self.records]


@dataclass(frozen=True)
class Choice:
    """The best point.

    Attributes:
        number: among the points.
        value: the top-1, or mean of several, that it was chosen by.
        rule: how, for people.
        flatters: why figures are better than on new pictures; None where nothing is known against them.
    """

    number: int
    value: float
    rule: str
    flatters: str | None


def open_benchmarks(config: InterpolateConfig) -> list[Benchmark]:
    """The benchmarks asked for, with --choose-by among them if it is given.

    Raises:
        BadInputError: one cannot be used, or --choose-by is none of them.
    """
    benchmarks = open_chosen(config.evaluation())
    names = [one.name for one in benchmarks]
    if config.choose_by is not None and config.choose_by not in names:
        hint = nearest(config.choose_by, names)
        raise BadInputError(f"--choose-by {config.choose_by}: evaluated here are {', '.join(names)}{hint}")
    return benchmarks


def lines_of(points: Sequence[Point]) -> list[Line]:
    """A line per benchmark, in the order of reports.

    Raises:
        WorkFailedError: not one picture of a benchmark could be read.
    """
    records = [record for point in points for record in point.records]
    columns = {column.key[0]: column for column in columns_of(records)}
    lines = []
    for row in rows_of(records, list(columns.values())):
        shown = [row.shown[columns[point.hash]] for point in points]
        if any(record["metrics"]["top1"]["value"] is None for record in shown):
            raise WorkFailedError(f"not one picture could be read of {row.benchmark}: there is nothing to choose by")
        lines.append(Line(row.benchmark, row.title, shown))
    return lines


def choose_point(alphas: Sequence[float], lines: Sequence[Line], choose_by: str | None = None) -> Choice:
    """The point of the highest top-1 on one benchmark, or of the highest mean of all; of equal ones the smallest alpha.

    Args:
        alphas: ascending.
        lines: of these points; the mean counts each alike.
        choose_by: name of one of the benchmarks; None takes the mean.
    """
    asked = [line for line in lines if choose_by in (None, line.benchmark)]
    # exact: means are compared as sums, rounded where only the order of addition could differ
    values = [round(sum(metric["value"] for metric in column) / len(asked), 12) for column in _columns(asked)]
    number = values.index(max(values))
    what = asked[0].title if len(asked) == 1 else f"the mean of {len(asked)} benchmarks, each alike"
    rule = f"highest top-1 on {what}, of equal points the smallest alpha"
    assert len(values) == len(alphas)
    return Choice(number, values[number], rule, _flatters(lines, choose_by))


def _columns(lines: Sequence[Line]) -> Any:
    return zip(*(line.top1 for line in lines), strict=True)


def _flatters(lines: Sequence[Line], choose_by: str | None) -> str | None:
    """Why the figures of the chosen point promise too much."""
    if choose_by is None:
        return "the point was chosen by the figures shown: they flatter it; name a benchmark to choose by (--choose-by)"
    if choose_by in published_names() or choose_by.endswith("_test"):
        return f"{choose_by} is a test set and the point was chosen by it: its figures there flatter it"
    return None
