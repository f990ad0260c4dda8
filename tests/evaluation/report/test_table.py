"""The table for a terminal says what the page says."""

from pathlib import Path

from rich.console import Console

from evaluation.report.table import report_table
from evaluation.results.result import read_results
from tests.evaluation.results.records import record


def _text(records: list[dict]) -> str:
    console = Console(width=400, color_system=None)
    with console.capture() as capture:
        console.print(report_table(records))
    return capture.get()


def test_has_a_row_per_benchmark_and_a_column_per_model(results: Path) -> None:
    records = read_results(results)
    lines = _text(records).splitlines()
    assert [name in lines[2] for name in ("hf-hub:imageomics/bioclip", "oaks/epoch_12.pt", "ViT-B-16")] == [True] * 3
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert [row[0] for row in rows] == ["BioTrove-Unseen", "Fungi", "DeepWeeds", "my garden"]
    top1 = next(
        one["metrics"]["top1"] for one in records
        if one["benchmark"] == "fungi" and one["model"]["name"] == "ViT-B-16"
    )  # fmt: skip
    shown = "{value:.1f} ({low:.1f} to {high:.1f})".format(**{name: 100 * end for name, end in top1.items()})
    assert rows[1][1:3] == ["300", "4.0"]
    assert rows[1][5] == shown


def test_nothing_measured_is_an_empty_cell() -> None:
    none = {"value": None, "low": None, "high": None}
    text = _text([record(metrics={"top1": none, "balanced_accuracy": none}, chance=None)])
    assert "None" not in text
    assert text.count("\N{EN DASH}") == 2
