"""The YAML at the top of a card that the model hub reads: licence, tags, what it is of, and results with intervals.

Source: the hub's own description of model cards (huggingface.co/docs/hub/model-cards).
"""

import re
from collections.abc import Mapping
from typing import Any

from evaluation.loading.facts import HUB
from release.card.card_facts import CardFacts
from release.card.result_facts import Figure, Measured
from release.card.words import to_yaml

UNKNOWN_LICENCE = "unknown"
"""The hub's word for a model whose publisher states no licence."""

PIPELINE = "zero-shot-image-classification"

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_TAGS = ("open_clip", "clip", "taxaflow", "biology", "biodiversity", "taxonomy")
_TYPES: Mapping[str, tuple[str, str]] = {
    "top1": ("accuracy", "top-1"),
    "top3": ("top_3_accuracy", "top-3"),
    "top5": ("top_5_accuracy", "top-5"),
    "balanced_accuracy": ("balanced_accuracy", "balanced accuracy"),
    "ece": ("expected_calibration_error", "calibration error (ECE)"),
    "hierarchical_f": ("hierarchical_f", "hierarchical F"),
}
"""Metric -> type and name in the hub's table; others stand in the text."""


def front_matter(facts: CardFacts) -> str:
    """The YAML, without the lines of --- around it."""
    results = [_result(one) for one in facts.results if one.headline and one.top1.value is not None]
    content: dict[str, Any] = {
        "license": facts.license or UNKNOWN_LICENCE,
        "library_name": "open_clip",
        "pipeline_tag": PIPELINE,
        "tags": list(_TAGS),
        "base_model": _base_model(facts),
        "datasets": _datasets(facts),
        "model-index": [{"name": facts.label, "results": results}] if results else None,
    }
    return to_yaml(content)


def _base_model(facts: CardFacts) -> str | None:
    """The hub's name of the weights that it was made from, where they came from there."""
    place = facts.model.pretrained or ""
    name = place.removeprefix(HUB)
    return name if place.startswith(HUB) and _HUB_NAME.fullmatch(name) else None


def _datasets(facts: CardFacts) -> list[str] | None:
    """The dataset's name where it is one of the hub's; the hub would make a link of any other to someone else's."""
    name = facts.data.dataset if facts.data else ""
    return [name] if _HUB_NAME.fullmatch(name) else None


def _result(one: Measured) -> dict[str, Any]:
    shown = [(name, figure) for name, figure in one.metrics.items() if name in _TYPES and figure.value is not None]
    return {
        "task": {"type": PIPELINE, "name": "zero-shot classification"},
        "dataset": {"type": one.benchmark, "name": one.title, "config": one.taxon},
        "metrics": [_metric(name, figure, one) for name, figure in shown],
    }


def _metric(name: str, figure: Figure, one: Measured) -> dict[str, Any]:
    kind, title = _TYPES[name]
    return {
        "type": kind,
        "name": f"{title}, protocol {one.protocol}, {one.class_list} class list",
        "value": figure.value,
        "args": {
            "interval_level": one.interval_level,
            "low": figure.low,
            "high": figure.high,
            "num_images": one.num_images,
            "num_classes": one.num_classes,
        },
    }
