"""A small record as an evaluation writes it, to be changed by tests."""

from typing import Any

import numpy as np

from evaluation.results.result import SCHEMA_VERSION, names_sha256
from evaluation.scoring.predictions import Predictions

NAMES = ("Turdus merula", "Turdus pilaris", "Quercus robur")


def predictions() -> Predictions:
    """Six pictures of three classes: four right, two blackbirds taken for fieldfares, the later one surer."""
    guess_NK = np.array([[0, 1, 2], [1, 0, 2], [1, 2, 0], [1, 0, 2], [1, 0, 2], [2, 0, 1]])
    score_NK = np.array(
        [[0.9, 0.2, 0.1], [0.5, 0.4, 0], [0.7, 0.2, 0], [0.6, 0.3, 0.1], [0.8, 0.1, 0], [0.3, 0.2, 0.1]]
    )
    confidence_N = np.array([0.99, 0.6, 0.8, 0.7, 0.9, 0.55], np.float32)
    row_N, class_N = np.array([0, 1, 2, 4, 5, 7]), np.array([0, 0, 0, 1, 1, 2])
    return Predictions(row_N, class_N, guess_NK, score_NK.astype(np.float32), confidence_N, 1)


def record(**changes: Any) -> dict[str, Any]:
    """The record of `predictions()`, with fields replaced."""
    metric = {"value": 2 / 3, "low": 0.3, "high": 1.0}
    whole = {
        "schema_version": SCHEMA_VERSION,
        "benchmark": "garden",
        "taxon": "scientific_name",
        "class_list": "published",
        "protocol": "default",
        "headline": True,
        "model": {"name": "ViT-B-16", "hash": "ab" * 32, "activation": "gelu", "activation_source": "checkpoint"}
        | {"pretrained": None},
        "preprocessing": {"image_size": 224, "interpolation": "bicubic", "resize_mode": "shortest"},
        "prompts": {"set": "openai81", "logit_scale": 100.0},
        "class_list_sha256": names_sha256(NAMES),
        "num_classes": 3,
        "n_rows": 8,
        "num_images": 6,
        "num_missing": 1,
        "num_unreadable": 1,
        "num_null_label": 0,
        "num_near_ties": 1,
        "chance": 1 / 3,
        "majority": 0.5,
        "interval": {"method": "stratified by class", "level": 0.95},
        "paper_interval": metric,
        "other_species_interval": None,
        "metrics": {"top1": metric, "balanced_accuracy": metric},
        "per_class": [
            {"name": name, "n": n, "right": right, "recall": right / n}
            for name, n, right in zip(NAMES, (3, 2, 1), (1, 2, 1), strict=True)
        ],
        "confusions": [{"true": NAMES[0], "guessed": NAMES[1], "count": 2, "share": 2 / 3, "examples": []}],
        "calibration": None,
        "abstention": None,
        "few_shot": None,
        "linear_probe": None,
        "unreadable": [{"key": "b/6.jpg", "reason": "truncated"}],
        "missing": ["b/3.jpg"],
    }
    return whole | changes
