"""The table that an evaluation ends with."""

import io

from rich.console import Console

from evaluation.report.outcome import outcome_table, print_outcome


def record(model="one", benchmark="fungi", taxon="label", top1=0.5, low=0.4, **more):
    return {
        "model": {"name": model, "hash": model, "activation": "gelu"},
        "benchmark": benchmark,
        "taxon": taxon,
        "metrics": {
            "top1": {"value": top1, "low": low, "high": None if low is None else 0.625},
            "balanced_accuracy": {"value": top1, "low": None, "high": None},
        },
        **{"chance": 0.04, "num_classes": 1025, "num_images": 998, "n_rows": 1000},
        **{"num_missing": 1, "num_unreadable": 1, **more},
    }


def lines(records):
    console = Console(width=150, file=io.StringIO(), record=True)
    console.print(outcome_table(records))
    return [
        line.replace("\u2502", "|").split("|")[1:-1] for line in console.export_text().splitlines() if "\u2502" in line
    ]


def test_a_row_says_what_was_measured_and_over_how_many():
    (row,) = lines([record()])
    assert [cell.strip() for cell in row] == [
        *("one (gelu)", "fungi", "label", "50.0", "40.0 to 62.5", "50.0", "4.0", "1,025", "998 of 1,000")
    ]


def test_what_could_not_be_measured_is_no_number():
    (row,) = lines([record(top1=None, low=None)])
    assert [cell.strip() for cell in row][3:6] == ["-", "-", "-"]


def test_model_and_benchmark_are_said_once():
    rows = lines(
        [record(), record(taxon="genus"), record(benchmark="birds"), record("two", "birds"), record("two", "fungi")]
    )
    assert [[cell.strip() for cell in row[:3]] for row in rows] == [
        ["one (gelu)", "fungi", "label"],
        ["", "", "genus"],
        ["", "birds", "label"],
        ["two (gelu)", "birds", "label"],
        ["", "fungi", "label"],
    ]


def test_pictures_left_out_are_counted_once_per_benchmark_and_the_place_is_named(tmp_path, capsys):
    print_outcome([record(), record(taxon="genus"), record(benchmark="birds")], tmp_path / "out")
    printed = capsys.readouterr().out
    assert "4 pictures missing or unreadable" in printed
    assert f"results: {tmp_path / 'out'}" in printed
    print_outcome([record(num_missing=0, num_unreadable=0)], tmp_path)
    assert "missing or unreadable" not in capsys.readouterr().out


def test_square_brackets_in_names_and_paths_are_shown_as_they_are(tmp_path, capsys):
    print_outcome([record("mod[bold]x"), record("b", "[/b]")], tmp_path / "m[b]x")
    printed = capsys.readouterr().out
    assert "mod[bold]x (gelu)" in printed and "[/b]" in printed and "m[b]x" in printed
