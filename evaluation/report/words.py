"""Figures as the page and the table say them."""

from collections.abc import Mapping, Sequence

from evaluation.benchmarks.benchmark import COMMON_NAME, SCIENTIFIC_NAME

MetricRecord = Mapping[str, float | None]
"""A metric as result files hold it: its value, and the ends of its interval."""

NOTHING = "\N{EN DASH}"
"""In place of a figure that there is not."""

METRICS: Mapping[str, str] = {
    "top1": "top-1",
    "top3": "top-3",
    "top5": "top-5",
    "balanced_accuracy": "balanced accuracy",
    "among_all_top1": "top-1 among all classes",
    "ece": "calibration error (ECE)",
    "hierarchical_precision": "hierarchical precision",
    "hierarchical_recall": "hierarchical recall",
    "hierarchical_f": "hierarchical F",
    "lca_distance": "distance to the common ancestor, ranks",
}
"""Metrics that the page shows, in its order; records may hold more."""

LEVELS: Mapping[str, str] = {SCIENTIFIC_NAME: "scientific name", COMMON_NAME: "common name", "species": "epithet"}
"""Levels whose own names say too little: `species` is the bare epithet, as published."""


def percent(share: float | None) -> str:
    """A share in [0, 1] as a percentage with one decimal, without its sign."""
    return NOTHING if share is None else f"{100 * share:.1f}"


def interval(metric: MetricRecord | None) -> str:
    """`48.1 to 56.5`, in percent; empty where there is none."""
    if metric is None or metric["low"] is None or metric["high"] is None:
        return ""
    return f"{100 * metric['low']:.1f} to {100 * metric['high']:.1f}"


def points(difference: float | None) -> str:
    """A difference of shares as percentage points with its sign."""
    if difference is None:
        return NOTHING
    text = f"{100 * difference:+.1f}"
    return text.replace("-", "\N{MINUS SIGN}") if float(text) else "0.0"


def points_interval(metric: MetricRecord) -> str:
    """`-1.2 to +3.4`, in percentage points; empty where there is none."""
    return "" if metric["low"] is None else f"{points(metric['low'])} to {points(metric['high'])}"


def probability(p_value: float | None) -> str:
    """A p value with two digits, never 0."""
    if p_value is None:
        return NOTHING
    return "< 0.0001" if p_value < 1e-4 else f"{p_value:.2g}" if p_value < 0.1 else f"{p_value:.2f}"


def number(value: float | None) -> str:
    """A count with its thousands separated; other numbers with two decimals."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def counts(values: Sequence[int]) -> str:
    """One number, or the smallest and the largest of several."""
    low, high = min(values, default=0), max(values, default=0)
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def level(taxon: str) -> str:
    """What people call a level: `rollup_genus` is genus, rolled up."""
    rank = taxon.removeprefix("rollup_")
    return f"{rank}, rolled up" if rank != taxon else LEVELS.get(taxon, taxon)


def and_list(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(part for part in (", ".join(names[:-1]), "".join(names[-1:])) if part)
