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


def measure(predictions: Predictions, class_names: Sequence[str], num_choices: int | None = None) -> dict[str, Any]:
    """The figures of every task as JSON-able values, under their names in a result file.

    metrics (top1, top3, top5, balanced_accuracy, each with value, low, high), paper_interval, chance, majority,
    per_class, confusions.

    Args:
        predictions: of the pictures with a label.
        class_names: the class list, with or without pictures.
        num_choices: classes that each picture is a choice between, where that is not the whole list: Confounding's
            pairs. `majority` is then None.
    """
    num_classes, num_images = len(class_names), len(predictions)
    right_C, shown_C = predictions.counts(1, num_classes)
    is_blind_known = num_images > 0 and num_choices is None
    return {
        "metrics": _accuracies(predictions, num_classes),
        "paper_interval": wilson(int(right_C.sum()), num_images).to_dict(),
        "chance": 1 / (num_choices or num_classes) if num_classes else None,
        "majority": int(shown_C.max()) / num_images if is_blind_known else None,
        "per_class": per_class(right_C, shown_C, class_names),
        "confusions": confused_pairs(predictions.class_N, predictions.guess_NK[:, 0], class_names),
    }


def measure_details(
    predictions: Predictions, lineage: Sequence[Lineage] | None = None, draws: int = DRAWS, seed: int = 0
) -> dict[str, Any]:
    """The other figures of the headline task: species, or the only labels there are.

    metrics (ece, hierarchical_precision, hierarchical_recall, hierarchical_f, lca_distance), other_species_interval,
    calibration, abstention.

    Args:
        predictions: of the pictures with a label.
        lineage: per class, its seven names; None where the benchmark has no taxonomy.
        draws: of the intervals by drawing again; 0 leaves their ends None.
        seed: of the draws.
    """
    confidence_N, is_right_N = predictions.confidence_N, predictions.is_right_N
    # classes without pictures are not drawn again, so the list may end with the last one that has some
    counts = predictions.counts(1, int(predictions.class_N.max(initial=-1)) + 1)
    others = cluster_bootstrap(*counts, draws, seed)
    return {
        "metrics": _headline_metrics(predictions, lineage, draws, seed),
        "other_species_interval": others.to_dict() if others else None,
        "calibration": calibration_bins(confidence_N, is_right_N),
        "abstention": abstention(confidence_N, is_right_N),
    }


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
