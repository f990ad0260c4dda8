"""The page of a search: one file, no network. Its numbers stand in the markup, its charts are drawn in the browser.

Reasons of failed trials hold whatever a program said: Jinja escapes them in the markup, `as_script_data` in the data,
and the page's own script only ever sets them as text. A content policy forbids everything that is not in the file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

import evaluation.report
from evaluation.report import words
from evaluation.report.page_data import as_script_data
from taxonomy.whole_file import write_whole
from trainer.tuning.page import words as page_words
from trainer.tuning.page.curves import averaged, finite, finite_points, points_per_curve, sampled

FILE_NAME = "tune.html"
_TEMPLATE = "tuning/page.html.jinja"

Trial = Mapping[str, Any]


def write_page(out: Path, trials: Sequence[Trial], about: Mapping[str, Any]) -> Path:
    """Path of OUT/tune.html, there whole; equal trials give equal bytes, in whatever order they come.

    Args:
        out: folder of the search.
        trials: trial (its number), status ("ok", "stopped", "failed", "running"), settings (name -> number), metric
            (None without a result), steps, seconds, curve ([step, loss] each), evals ([step, metric] each), reason.
        about: metric, recipe, seed, scheduler, num_trials, best (a trial's number or None), default (likewise), space
            (name -> [low, high], searched evenly in the logarithm; of a beta, in that of 1 - beta), and comparison
            (best less default on test: top1 and balanced_accuracy, each value, low and high in [-1, 1]; p_value,
            num_images), or None. The metric is a share in [0, 1], the higher the better.

    Raises:
        WorkFailedError: the page could not be written, as on a full disk.
    """
    path = out / FILE_NAME
    write_whole(path, render(trials, about).encode())
    return path


def render(trials: Sequence[Trial], about: Mapping[str, Any]) -> str:
    """The page's HTML; takes what `write_page` takes."""
    shown = [_cleaned(trial) for trial in sorted(trials, key=lambda trial: trial["trial"])]
    by_number = {trial["trial"]: trial for trial in shown}
    best, default = by_number.get(about["best"]), by_number.get(about["default"])
    names = list(about["space"])
    data = _script_data(shown, about, names)
    context = {
        "heading": page_words.heading(shown, best, default),
        "counts": page_words.counts(shown),
        "num_to_come": max(0, about["num_trials"] - len(shown)),
        "about": about,
        "best": best and best["trial"],
        "default": default and default["trial"],
        "names": names,
        "space": [_searched(name, about["space"][name], best, default) for name in names],
        "rows": [_row(trial, names) for trial in _best_first(shown)],
        "verdict": page_words.verdict(best, default, about["comparison"]),
        "differences": _differences(about["comparison"]) if best is not default else [],
        "p_value": words.probability(about["comparison"]["p_value"]) if about["comparison"] else "",
        "has_curves": any(trial["curve"] or trial["evals"] for trial in data["trials"]),
        "thinned": data["thinned"],
        "data": as_script_data(data),
    }
    return _environment().get_template(_TEMPLATE).render(context)


def _cleaned(trial: Trial) -> dict[str, Any]:
    """The trial with finite numbers alone; a trial that has not begun may lack all but number, status and settings."""
    return {
        "trial": trial["trial"],
        "status": trial["status"],
        "settings": {name: finite(value) for name, value in trial["settings"].items()},
        **{name: finite(trial.get(name)) for name in ("metric", "steps", "seconds")},
        "curve": finite_points(trial.get("curve") or ()),
        "evals": finite_points(trial.get("evals") or ()),
        "reason": page_words.reason(trial.get("reason")),
    }


def _best_first(trials: Sequence[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda trial: (trial["metric"] is None, -(trial["metric"] or 0)))


def _row(trial: Trial, names: Sequence[str]) -> dict[str, Any]:
    """The table's cells as (text, what to sort by)."""
    cells = [(page_words.percent(trial["metric"]), trial["metric"])]
    cells += [(page_words.setting(name, value), value) for name in names for value in [trial["settings"].get(name)]]
    cells += [(words.number(trial["steps"]), trial["steps"])]
    cells += [(page_words.duration(trial["seconds"]), trial["seconds"])]
    reason, rest = page_words.first_part(trial["reason"])
    return {
        "trial": trial["trial"],
        "status": trial["status"],
        "said": page_words.STATUSES.get(trial["status"], trial["status"]),
        "cells": cells,
        "reason": reason,
        "rest": rest,
    }


def _searched(name: str, space: Sequence[float], best: Trial | None, default: Trial | None) -> dict[str, str]:
    """The row of one setting: its range, and what the best and the default trial have."""
    low, high = space
    scaled = f"1 \N{MINUS SIGN} {name}" if name.startswith("beta") else name
    row = {
        "name": name,
        "range": f"{page_words.setting(name, low)} to {page_words.setting(name, high)}",
        "scale": f"evenly in log({scaled})",
    }
    for what, trial in (("best", best), ("default", default)):
        row[what] = page_words.setting(name, trial["settings"].get(name) if trial else None)
    return row


def _differences(comparison: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Rows of the comparison; bars share one scale, 0 in the middle."""
    titles = {"top1": "top-1", "balanced_accuracy": "balanced accuracy"}
    found = [(title, comparison[name]) for name, title in titles.items()] if comparison else []
    ends = [abs(end) for _, metric in found for end in metric.values() if end is not None]
    scale = 2 * max([*ends, 0.01])
    return [_difference(title, metric, scale) for title, metric in found]


def _difference(title: str, metric: Mapping[str, float | None], scale: float) -> dict[str, Any]:
    value, low, high = metric["value"], metric["low"], metric["high"]
    row = {"title": title, "value": words.points(value), "interval": words.points_interval(metric)}
    if value is not None:
        row["dot"] = f"{50 + 100 * value / scale:.2f}%"
    if low is not None and high is not None:
        row |= {"low": f"{50 + 100 * low / scale:.2f}%", "width": f"{100 * (high - low) / scale:.2f}%"}
    return row


def _script_data(trials: Sequence[Trial], about: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """What the charts are drawn from; values of a trial are in the order of the axes, the metric last."""
    most = points_per_curve(len(trials))
    axes = [{"name": name, "range": about["space"][name]} for name in names]
    return {
        "metric": about["metric"],
        "axes": axes,
        "best": about["best"],
        "default": about["default"],
        "thinned": any(len(trial["curve"]) > most for trial in trials),
        "trials": [
            {
                "trial": trial["trial"],
                "values": [*(trial["settings"].get(name) for name in names), trial["metric"]],
                "curve": [(step, _rounded(value)) for step, value in averaged(trial["curve"], most)],
                "evals": [(step, _rounded(value)) for step, value in sampled(trial["evals"], most)],
            }
            for trial in trials
        ],
    }


def _rounded(value: float) -> float:
    """Five digits: more than a chart shows."""
    return float(f"{value:.5g}")


def _environment() -> jinja2.Environment:
    """Templates of this page under `tuning/`; those of the report, whose look it has, under `report/`."""
    folders = {"tuning": Path(__file__).parent, "report": Path(evaluation.report.__file__).parent}
    return jinja2.Environment(
        loader=jinja2.PrefixLoader({name: jinja2.FileSystemLoader(folder) for name, folder in folders.items()}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
