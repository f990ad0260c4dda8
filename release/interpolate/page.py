"""The page of a sweep: accuracy against alpha, one benchmark against another, and the figures. One file, no network.

Names come from strangers: Jinja escapes them in the markup, `as_script_data` in the data, and the page's own script
only ever sets them as text. A content policy in the page forbids everything that is not in the file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

import evaluation.report
from evaluation.report import words
from evaluation.report.figures import NUM_COLOURS
from evaluation.report.page_data import as_script_data
from release.interpolate.config import digits
from taxonomy.whole_file import write_whole

FILE_NAME = "sweep.html"


def write_page(out: Path, sweep: Mapping[str, Any]) -> Path:
    """Path of OUT/sweep.html, there whole; equal sweeps give equal bytes.

    Args:
        out: folder of the sweep.
        sweep: as release/interpolate/outcome.py makes it.

    Raises:
        WorkFailedError: it could not be written, as on a full disk.
    """
    write_whole(out / FILE_NAME, render(sweep).encode())
    return out / FILE_NAME


def render(sweep: Mapping[str, Any]) -> str:
    """The page's HTML; takes what `write_page` takes."""
    lines, best = sweep["benchmarks"], sweep["best"]["number"]
    context = {
        "sweep": sweep,
        "best_alpha": digits(sweep["points"][best]["alpha"]),
        "best_value": words.percent(sweep["best"]["value"]),
        "colours": [number % NUM_COLOURS for number in range(len(lines))],
        "rows": [_row(sweep, number) for number in range(len(sweep["points"]))],
        "differences": [_difference(one) for one in sweep["differences"]],
        "data": as_script_data(_script_data(sweep)),
    }
    return _environment().get_template("interpolate/page.html.jinja").render(context)


def _row(sweep: Mapping[str, Any], number: int) -> dict[str, Any]:
    metrics = [line["top1"][number] for line in sweep["benchmarks"]]
    return {
        "alpha": digits(sweep["points"][number]["alpha"]),
        "hash": sweep["points"][number]["hash"],
        "is_best": number == sweep["best"]["number"],
        "cells": [{"value": words.percent(one["value"]), "interval": words.interval(one)} for one in metrics],
    }


def _difference(one: Mapping[str, Any]) -> dict[str, Any]:
    top1 = one["top1"]
    return {
        "title": one["benchmark"],
        "less": digits(one["less_alpha"]),
        "value": words.points(top1["value"]),
        "interval": words.points_interval(top1),
        "p_value": words.probability(one["p_value"]),
        "is_clear": (top1["low"] or 0) > 0 or (top1["high"] or 0) < 0,
    }


def _script_data(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """What the charts are drawn from: shares with six digits, more than a chart shows."""
    return {
        "alphas": [point["alpha"] for point in sweep["points"]],
        "best": sweep["best"]["number"],
        "lines": [
            {
                "title": line["title"],
                "chance": line["chance"],
                "points": [[round(one[end], 6) for end in ("value", "low", "high")] for one in line["top1"]],
            }
            for line in sweep["benchmarks"]
        ],
    }


def _environment() -> jinja2.Environment:
    """Templates of this page under `interpolate/`; those of the report, whose look it has, under `report/`."""
    folders = {"interpolate": Path(__file__).parent, "report": Path(evaluation.report.__file__).parent}
    environment = jinja2.Environment(
        loader=jinja2.PrefixLoader({name: jinja2.FileSystemLoader(folder) for name, folder in folders.items()}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["num"] = words.number
    return environment
