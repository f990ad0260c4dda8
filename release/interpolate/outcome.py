"""What a sweep ends with: its table for a terminal, OUT/sweep.json with the same, and the page."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from evaluation.metrics.paired import Comparison, compare
from evaluation.report import words
from evaluation.report.columns import Record
from evaluation.report.outcome import print_table
from evaluation.results.predictions_file import predictions_path, read_predictions
from evaluation.results.result import file_name
from release.interpolate.choice import Choice, Line, Point, lines_of
from release.interpolate.config import InterpolateConfig, digits
from release.interpolate.page import write_page
from taxonomy.errors import BadInputError
from taxonomy.whole_file import write_whole

_LOG = logging.getLogger(__name__)

SWEEP_FILE, SCHEMA_VERSION = "sweep.json", 1


def write_outcome(
    config: InterpolateConfig, points: Sequence[Point], choice: Choice, results: Path, best: Path
) -> dict[str, Any]:
    """What sweep.json says, which is there whole, like the page; both and the table are told on stdout.

    Args:
        config: names the two models.
        points: evaluated, ascending.
        choice: of the best one.
        results: folder of the result files.
        best: folder of the best one.

    Raises:
        WorkFailedError: a file could not be written, as on a full disk.
    """
    lines = lines_of(points)
    sweep = sweep_of(config, points, lines, choice, results)
    write_whole(config.out_dir / SWEEP_FILE, (json.dumps(sweep, ensure_ascii=False, indent=1) + "\n").encode())
    page = write_page(config.out_dir, sweep)
    print_table(table_of(sweep))
    print(f"best: alpha {digits(points[choice.number].alpha)}, {choice.rule} ({words.percent(choice.value)} %)")
    if choice.flatters:
        print(f"note: {choice.flatters}")
    print_folders([best, results, page])
    return sweep


def print_folders(folders: Sequence[Path]) -> None:
    """Print where things lie."""
    for folder in folders:
        print(f"written: {folder.resolve()}")


def sweep_of(
    config: InterpolateConfig, points: Sequence[Point], lines: Sequence[Line], choice: Choice, results: Path
) -> dict[str, Any]:
    """JSON-able: points, benchmarks along them, the best one and how it was chosen. No path of this machine."""
    first, last = config.ends
    return {
        "schema_version": SCHEMA_VERSION,
        "from": first.label,
        "to": last.label,
        "points": [{"alpha": point.alpha, "label": point.label, "hash": point.hash} for point in points],
        "benchmarks": [
            {
                "name": line.benchmark,
                "title": line.title,
                "taxon": line.records[0]["taxon"],
                "num_images": line.records[0]["num_images"],
                "num_classes": line.records[0]["num_classes"],
                "chance": line.records[0]["chance"],
                "top1": line.top1,
                "balanced_accuracy": [record["metrics"]["balanced_accuracy"] for record in line.records],
                "results": [file_name(record) for record in line.records],
            }
            for line in lines
        ],
        "best": asdict(choice) | {"alpha": points[choice.number].alpha, "chosen_by": config.choose_by},
        "differences": [one for line in lines for one in _differences(line, points, choice.number, results)],
    }


def _differences(line: Line, points: Sequence[Point], best: int, results: Path) -> list[dict[str, Any]]:
    """The best point less each end that was evaluated, on the same pictures."""
    found = []
    for number, point in enumerate(points):
        if point.alpha in (0, 1) and number != best:
            comparison = _compared(line.records[best], line.records[number], results)
            if comparison is not None:
                found.append({"benchmark": line.title, "less_alpha": point.alpha, **asdict(comparison)})
    return found


def _compared(best: Record, other: Record, results: Path) -> Comparison | None:
    """None where the guesses are gone or damaged, which is said."""
    try:
        return compare(*(read_predictions(predictions_path(results / file_name(one))) for one in (best, other)))
    except BadInputError as error:
        _LOG.warning("%s; %s is not compared with an end", error, best["benchmark"])
        return None


def table_of(sweep: Mapping[str, Any]) -> Table:
    """A row per point, a column per benchmark: top-1 in percent with its interval."""
    table = Table(title=f"Top-1, %, from {sweep['from']} (0) to {sweep['to']} (1), with 95 % interval")
    table.add_column("alpha", justify="right")
    for line in sweep["benchmarks"]:
        table.add_column(f"{line['title']}, {line['num_images']:,} pictures", justify="right")
    table.add_column("")
    for number, point in enumerate(sweep["points"]):
        cells = [_cell(line["top1"][number]) for line in sweep["benchmarks"]]
        table.add_row(digits(point["alpha"]), *cells, "best" if number == sweep["best"]["number"] else "")
    return table


def _cell(metric: Mapping[str, float]) -> str:
    return f"{words.percent(metric['value'])} ({words.interval(metric)})"
