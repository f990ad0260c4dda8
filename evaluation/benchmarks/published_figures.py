"""Figures of the BioTrove paper, for comparison. Published, not measured here.

Source: BioTrove (NeurIPS 2024), Table 5: zero-shot top-1, scientific names where there is a taxonomy, labels elsewhere;
the interval is the 95 % binomial one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

SOURCE = "BioTrove (NeurIPS 2024), Table 5"
"""What a reader is told about these figures."""


@dataclass(frozen=True)
class PublishedFigure:
    """A published accuracy.

    Attributes:
        top1: percent.
        half_width: of its 95 % interval, percentage points.
    """

    top1: float
    half_width: float


PUBLISHED_NUM_CLASSES: Mapping[str, int] = {
    "biotrove_unseen": 300,
    "biotrove_balanced": 2253,
    "bioclip_rare": 400,
    "fungi": 25,
    "insects2": 102,
    "birds525": 525,
    "biotrove_lifestages": 20,
    "deepweeds": 9,
}
"""Benchmark -> classes, the weights of the paper's mean."""

PAPERS_EIGHT = tuple(PUBLISHED_NUM_CLASSES)
"""The benchmarks of the paper's mean, in the order of its table."""

PUBLISHED_NUM_IMAGES: Mapping[str, int] = {
    "biotrove_unseen": 11983,
    "biotrove_balanced": 112209,
    "bioclip_rare": 11983,
    "fungi": 1000,
    "insects2": 4080,
    "birds525": 89885,
    "biotrove_lifestages": 600,
    "deepweeds": 17509,
}
"""Benchmark -> pictures as the paper counts them, or its file where the paper rounds; the file of biotrove_unseen has
3,000 rows."""

_ROWS: Mapping[str, tuple[tuple[float, float], ...]] = {
    "OpenAI CLIP ViT-B-16": (
        (12.9, 0.6), (7.3, 0.15), (10.9, 0.56), (11.5, 1.98), (10.2, 0.93), (50.0, 0.33), (56.5, 3.97), (10.3, 0.45),
    ),
    "BioCLIP ViT-B-16": (
        (68.2, 0.83), (62.2, 0.28), (30.2, 0.82), (45.1, 3.08), (20.8, 1.25), (68.7, 0.3), (18.0, 3.07), (19.9, 0.59),
    ),
    "MetaCLIP-CC ViT-L-14": (
        (24.9, 0.77), (15.4, 0.21), (20.5, 0.72), (24.6, 2.67), (16.1, 1.13), (70.1, 0.3), (64.3, 3.83), (14.7, 0.52),
    ),
    "BioTrove-CLIP-O ViT-B-16": (
        (47.1, 0.89), (91.1, 0.17), (22.9, 0.75), (43.2, 3.07), (16.5, 1.14), (47.8, 0.33), (28.0, 3.59), (17.0, 0.56),
    ),
    "BioTrove-CLIP-B ViT-B-16": (
        (53.8, 0.89), (82.2, 0.22), (23.7, 0.76), (53.9, 3.09), (16.9, 1.15), (57.1, 0.32), (15.0, 2.86), (18.4, 0.57),
    ),
    "BioTrove-CLIP-M ViT-L-14": (
        (44.3, 0.89), (91.1, 0.17), (21.8, 0.74), (54.7, 3.09), (5.1, 0.68), (42.5, 0.32), (26.3, 3.52), (49.9, 0.74),
    ),
}  # fmt: skip

PUBLISHED_TOP1: Mapping[str, Mapping[str, PublishedFigure]] = {
    model: {name: PublishedFigure(*figure) for name, figure in zip(PAPERS_EIGHT, figures, strict=True)}
    for model, figures in _ROWS.items()
}
"""Model -> benchmark -> published figure."""

PUBLISHED_WEIGHTED_MEAN: Mapping[str, float] = {
    "OpenAI CLIP ViT-B-16": 14.7,
    "BioCLIP ViT-B-16": 58.5,
    "MetaCLIP-CC ViT-L-14": 25.0,
    "BioTrove-CLIP-O ViT-B-16": 70.8,
    "BioTrove-CLIP-B ViT-B-16": 67.2,
    "BioTrove-CLIP-M ViT-L-14": 69.5,
}
"""Model -> mean top-1 over the eight benchmarks weighted by their classes, percent, as published."""
