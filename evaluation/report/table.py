"""The figures of the page's first table, for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from evaluation.report import words
from evaluation.report.columns import Record, columns_of, rows_of
from evaluation.report.summaries import AGGREGATES, aggregates_of


def report_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """Top-1 in percent with its interval, a row per benchmark and a column per model, then the aggregates.

    An aggregate that lacks a benchmark is left out.

    Args:
        records: at least one, of any models and tasks; headline tasks are shown.
    """
    columns = columns_of(records)
    rows = rows_of(records, columns)
    table = Table(title="Top-1, %, with 95 % interval")
    table.add_column("benchmark", no_wrap=True)
    table.add_column("pictures", justify="right")
    table.add_column("chance", justify="right")
    for column in columns:
        table.add_column(column.label, justify="right")
    for row in rows:
        images = words.counts([record["num_images"] for record in row.shown.values()])
        cells = [_cell(row.shown.get(column)) for column in columns]
        table.add_row(row.title, images, words.percent(row.first["chance"]), *cells)
    table.add_section()
    for name, title in AGGREGATES.items():
        means = [aggregates_of(rows, column)[name].value for column in columns]
        if any(mean is not None for mean in means):
            table.add_row(f"mean, {title}", "", "", *map(words.percent, means))
    return table


def _cell(record: Record | None) -> str:
    if record is None:
        return words.NOTHING
    top1 = record["metrics"]["top1"]
    return f"{words.percent(top1['value'])} ({words.interval(top1)})" if top1["low"] is not None else words.NOTHING
