"""All figures of one task from its predictions, ready for the result file. Missing is None, never NaN.

Shapes: N pictures, C classes.
"""

from collections.abc import Sequence
from typing import Any

from evaluation.metrics.bootstrap import DRAWS, cluster_bootstrap
from evaluation.metrics.calibration import abstention, calibration_bins, calibration_error
from evaluation.metrics.confusions import confused_pairs, per_class
from evaluation.metrics.hierarchy import Lineage, hierarchical_metrics
from evaluation.metrics.intervals import NOTHING, Metric, accuracy, balanced_accuracy, wilson
from evaluation.scoring.predictions import Predictions

TOP_KS = (1, 3, 5)
"""Numbers of guesses reported; beyond 1, only those below the number of classes."""

HIERARCHICAL = ("hierarchical_precision", "hierarchical_recall", "hierarchical_f", "lca_distance")
"""Metrics that need lineages."""


def measure(
    predictions: Predictions,
    num_classes: int,
    lineage: Sequence[Lineage] | None = None,
    headline: bool = False,
    seed: int = 0,
    *,
    class_names: Sequence[str] = (),
    num_choices: int | None = None,
    draws: int = DRAWS,
) -> dict[str, Any]:
    """The figures of a result file as JSON-able values, under its names.

    Always: metrics (top1, top3, top5, balanced_accuracy, each with value, low, high), paper_interval, chance,
    majority, per_class, confusions. For the headline task besides: metrics ece, hierarchical_precision,
    hierarchical_recall, hierarchical_f and lca_distance; and other_species_interval, calibration and abstention, which
    are None for others.

    Args:
        predictions: of the pictures with a label.
        num_classes: of the class list, with or without pictures.
        lineage: per class, its seven names; None where the benchmark has no taxonomy.
        headline: whether the classes are species, or the only labels there are.
        seed: of the draws.
        class_names: of the class list, for per_class and confusions; without them classes are named by their numbers.
        num_choices: classes that each picture is a choice between, where that is not the whole list: Confounding's
            pairs. What always the same guess would score is None then.
        draws: of the intervals by drawing again; 0 leaves their ends None.
    """
    names = class_names or [str(number) for number in range(num_classes)]
    right_C, shown_C = predictions.counts(1, num_classes)
    num_images = len(predictions)
    is_blind_known = num_images > 0 and num_choices is None
    figures = {
        "metrics": _accuracies(predictions, num_classes),
        "paper_interval": wilson(int(right_C.sum()), num_images).to_dict(),
        "other_species_interval": None,
        "chance": 1 / (num_choices or num_classes) if num_classes else None,
        "majority": int(shown_C.max()) / num_images if is_blind_known else None,
        "per_class": per_class(right_C, shown_C, names),
        "confusions": confused_pairs(predictions.class_N, predictions.guess_NK[:, 0], names),
        "calibration": None,
        "abstention": None,
    }
    if headline:
        others = cluster_bootstrap(right_C, shown_C, draws, seed)
        figures["metrics"] |= _headline_metrics(predictions, lineage, draws, seed)
        figures["other_species_interval"] = others.to_dict() if others else None
        figures["calibration"] = calibration_bins(predictions.confidence_N, predictions.is_right_N)
        figures["abstention"] = abstention(predictions.confidence_N, predictions.is_right_N)
    return figures


def _accuracies(predictions: Predictions, num_classes: int) -> dict[str, Any]:
    """top1 and, as far as there are more classes and as many guesses were kept, top3 and top5; balanced_accuracy."""
    kept = predictions.guess_NK.shape[1]
    ks = [k for k in TOP_KS if k == 1 or (k < num_classes and k <= kept)]
    metrics = {f"top{k}": accuracy(*predictions.counts(k, num_classes)) for k in ks}
    metrics["balanced_accuracy"] = balanced_accuracy(*predictions.counts(1, num_classes))
    return {name: metric.to_dict() for name, metric in metrics.items()}


def _headline_metrics(
    predictions: Predictions, lineage: Sequence[Lineage] | None, draws: int, seed: int
) -> dict[str, Any]:
    """The calibration error and the hierarchical ones; the latter all None without lineages."""
    class_N, confidence_N, is_right_N = predictions.class_N, predictions.confidence_N, predictions.is_right_N
    metrics: dict[str, Metric] = dict.fromkeys(HIERARCHICAL, NOTHING)
    metrics |= hierarchical_metrics(class_N, predictions.guess_NK[:, 0], lineage or (), draws, seed) or {}
    metrics["ece"] = calibration_error(confidence_N, is_right_N, class_N, draws=draws, seed=seed)
    return {name: metric.to_dict() for name, metric in metrics.items()}
