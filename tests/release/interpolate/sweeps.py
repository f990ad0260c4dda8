"""What a sweep says, without models: for tests of its choice and its page."""

from typing import Any

from release.interpolate.choice import Line

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)


def metric(value: float, half: float = 0.03) -> dict[str, float]:
    """A share with an interval."""
    return {"value": value, "low": max(0.0, value - half), "high": min(1.0, value + half)}


def line(name: str, *values: float) -> Line:
    """A benchmark with these shares along the points."""
    return Line(name, name.title(), [{"metrics": {"top1": metric(value)}} for value in values])


def sweep(first: str = "start", names: tuple[str, ...] = ("stages", "unseen", "birds_val")) -> dict[str, Any]:
    """As sweep.json, over five points."""
    curves = ((0.64, 0.66, 0.61, 0.44, 0.26), (0.12, 0.29, 0.41, 0.44, 0.43), (0.05, 0.2, 0.33, 0.38, 0.39))
    lines = [
        {
            "name": name,
            "title": name,
            "taxon": "stage",
            "num_images": 12345,
            "num_classes": 7,
            "chance": 0.2,
            "top1": [metric(value) for value in curve],
            "balanced_accuracy": [metric(value) for value in curve],
            "results": [],
        }
        for name, curve in zip(names, curves, strict=False)
    ]
    compared = {"top1": metric(0.35), "p_value": 1e-9}
    return {
        "from": first,
        "to": "trained",
        "points": [{"alpha": alpha, "label": f"point {alpha}", "hash": "ab12" * 16} for alpha in ALPHAS],
        "benchmarks": lines,
        "best": {"number": 2, "value": 0.45, "rule": "highest", "flatters": "so", "alpha": 0.5, "chosen_by": None},
        "differences": [{"benchmark": name, "less_alpha": 1.0, **compared} for name in names],
    }
