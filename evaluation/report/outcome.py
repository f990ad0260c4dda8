"""The table that an evaluation ends with."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_WIDTH = 150
"""Characters of a line where the output is no terminal."""


def print_table(table: Table) -> None:
    """Print a table, wide where the output is no terminal."""
    _console().print(table)


def _console() -> Console:
    # names are shown as they are: square brackets in them are no markup
    return Console(width=None if Console().is_terminal else _WIDTH, highlight=False, markup=False)


def print_outcome(records: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Print a row per record, and where the results lie."""
    console = _console()
    console.print(outcome_table(records))
    left_out = sum(record["num_missing"] + record["num_unreadable"] for record in _headlines(records))
    if left_out:
        noun = "picture" if left_out == 1 else "pictures"
        console.print(f"{left_out:,} {noun} missing or unreadable: counted and left out, named in the result files")
    console.print(f"results: {out.resolve()}", soft_wrap=True)
    console.print(f"report:  taxaflow report {out}", soft_wrap=True)


def outcome_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """Model, benchmark, task, top-1 with its 95 % interval, balanced accuracy, chance, classes and pictures."""
    table = Table("model", "benchmark", "task", title="Accuracies, %", title_justify="left")
    for name in ("top-1", "95 % interval", "balanced", "chance", "classes", "pictures"):
        table.add_column(name, justify="right", no_wrap=True)
    before: tuple[str, ...] = ()
    for record in records:
        model = record["model"]
        place = (f"{model['name']} ({model['activation']})" if model["activation"] else model["name"],)
        place += (record["benchmark"],)
        if before and place != before:
            table.add_section()
        shown = ["" if before[: index + 1] == place[: index + 1] else text for index, text in enumerate(place)]
        table.add_row(*shown, record["taxon"], *_figures(record))
        before = place
    return table


def _figures(record: Mapping[str, Any]) -> Iterable[str]:
    top1 = record["metrics"]["top1"]
    yield _percent(top1["value"])
    yield f"{_percent(top1['low'])} to {_percent(top1['high'])}" if top1["low"] is not None else "-"
    yield _percent(record["metrics"]["balanced_accuracy"]["value"])
    yield _percent(record["chance"])
    yield f"{record['num_classes']:,}"
    yield f"{record['num_images']:,} of {record['n_rows']:,}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _headlines(records: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One record for each model and benchmark."""
    first = {
        (record["model"]["hash"], record["model"]["activation"], record["benchmark"]): record for record in records
    }
    return list(first.values())
