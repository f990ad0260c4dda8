"""Trials and facts of a search as `write_page` takes them.

`python -m tests.trainer.tuning.page.example_searches FOLDER [NUMBER]` writes a page for a person to look at.
"""

import math
import random
import sys
from pathlib import Path
from typing import Any

from trainer.tuning.page.page import write_page

SPACE = {
    "lr": [1e-4, 1e-2],
    "beta1": [0.8, 0.99],
    "beta2": [0.8, 0.999],
    "wd": [1e-4, 1.0],
}
DEFAULT = {"lr": 2e-3, "beta1": 0.9, "beta2": 0.98, "wd": 0.2}
STOPPED = "stopped by ASHA at step 75: not among the best third"
FAILED = "exit code 1: the loss is not finite at step 46; lower --lr or raise --warmup"


def trial(number: int, **changed: Any) -> dict[str, Any]:
    """A trial whose metric is the highest near lr 0.0015 and beta1 0.93; every ninth fails, some are stopped."""
    rng = random.Random(number)
    settings = {
        "lr": 10 ** rng.uniform(-4, -2),
        "beta1": 1 - 10 ** rng.uniform(-2, -0.7),
        "beta2": 1 - 10 ** rng.uniform(-3, -0.7),
        "wd": 10 ** rng.uniform(-4, 0),
    }
    settings = settings if number else DEFAULT
    good = 1 - abs(math.log10(settings["lr"] / 1.5e-3)) * 0.3 - abs(settings["beta1"] - 0.93)
    curve = [[step, 0.8 + 4.8 * math.exp(-step / 60 * good) + rng.gauss(0, 0.05)] for step in range(1, 227, 5)]
    evals = [[step, 0.55 * good * (1 - math.exp(-step / 60))] for step in range(25, 226, 25)]
    status, reason = "ok", None
    if number % 9 == 5:
        status, reason, curve, evals = "failed", FAILED, curve[:10], evals[:1]
    elif number % 5 == 3:
        status, reason, curve, evals = "stopped", STOPPED, curve[:16], evals[:3]
    made = {
        "trial": number,
        "status": status,
        "settings": settings,
        "metric": None if status == "failed" else evals[-1][1],
        "steps": curve[-1][0],
        "seconds": 30 + curve[-1][0] / 10,
        "curve": curve,
        "evals": evals,
        "reason": reason,
    }
    return made | changed


def comparison(
    value: float = 0.031, low: float = -0.004, high: float = 0.066, p_value: float = 0.087
) -> dict[str, Any]:
    """Of best and default on test."""
    metric = {"value": value, "low": low, "high": high}
    return {"top1": metric, "balanced_accuracy": metric, "p_value": p_value, "num_images": 1200}


def about(trials: list[dict[str, Any]], **changed: Any) -> dict[str, Any]:
    """Facts of the search that had these trials."""
    measured = [one for one in trials if one["metric"] is not None and math.isfinite(one["metric"])]
    best = max(measured, key=lambda one: one["metric"])["trial"] if measured else None
    made = {
        "metric": "val-top1",
        "recipe": "tiny",
        "seed": 7,
        "scheduler": "asha",
        "num_trials": len(trials),
        "best": best,
        "default": 0,
        "comparison": comparison() if best else None,
        "space": SPACE,
    }
    return made | changed


def search(num_trials: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """So many trials, and their facts."""
    trials = [trial(number) for number in range(num_trials)]
    return trials, about(trials)


if __name__ == "__main__":
    print(write_page(Path(sys.argv[1]), *search(int(sys.argv[2]) if len(sys.argv) > 2 else 20)))
