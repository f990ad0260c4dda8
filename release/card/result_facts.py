"""What a model card says of the evaluations of the model."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A metric with the ends of its interval."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class PublishedFigure:
    """A published top-1 of another model on the same benchmark, percent, with the half width of its interval."""

    model: str
    top1: float
    half_width: float


@dataclass(frozen=True)
class Measured:
    """One result of the evaluation; fields as in its file, but for those below.

    Attributes:
        title: what people call the benchmark.
        interval_level: share of repetitions that intervals are to cover.
        num_classes_seen: classes whose name is in the training split; None where that is not known.
        mean_confidence: of the first guesses; None where it was not measured.
        published: figures of the paper; empty but for headlines.
        published_num_images: pictures as the paper counts them.
    """

    benchmark: str
    title: str
    taxon: str
    class_list: str
    protocol: str
    headline: bool
    activation: str | None
    precision: str | None
    prompt_set: str
    logit_scale: float | None
    class_list_sha256: str
    num_classes: int
    num_classes_seen: int | None
    num_images: int
    num_missing: int
    num_unreadable: int
    num_null_label: int
    chance: float | None
    majority: float | None
    interval_level: float
    interval_method: str
    metrics: Mapping[str, Figure]
    mean_confidence: float | None = None
    published: tuple[PublishedFigure, ...] = ()
    published_num_images: int | None = None

    @property
    def top1(self) -> Figure:
        """Share of right first guesses."""
        return self.metrics["top1"]
