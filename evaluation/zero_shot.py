"""Zero-shot classification: class embeddings from prompts, accuracies with intervals, on one or many ranks.

Every rank takes its stride of the prompts and of the pictures; sums over ranks come twice, never inside a loop.

Shapes: N pictures, D embedding, C classes, K numbers of guesses.

Source: published protocol of CLIP (Radford et al. 2021, section 3.1); docs/design.md, Evaluation.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from evaluation.distributed import ALONE, Share
from evaluation.encoding.class_vectors import class_embeddings
from evaluation.encoding.encoder import Encoder
from evaluation.labelled_images import ImageBatch, LabelledImages, image_batches
from evaluation.loading.facts import ModelFacts
from evaluation.metrics.intervals import Metric, accuracy, balanced_accuracy, wilson
from evaluation.random_state import random_state_kept
from taxonomy.errors import BadInputError

TOP_KS = (1, 3, 5)
"""Numbers of guesses reported, as far as there are more classes than guesses."""


@dataclass(frozen=True)
class Counts:
    """What the pictures gave, over all ranks.

    Attributes:
        right_KC: int64, per number of guesses and class, the pictures whose class was among the guesses.
        shown_C: int64, pictures per class.
        num_unreadable: pictures left out.
        top_ks: the numbers of guesses.
    """

    right_KC: torch.Tensor
    shown_C: torch.Tensor
    num_unreadable: int
    top_ks: tuple[int, ...]


def count_right(
    batches: Iterable[ImageBatch],
    class_DC: torch.Tensor,
    encoder: Encoder,
    share: Share = ALONE,
    top_ks: Sequence[int] = TOP_KS,
) -> Counts:
    """Right guesses and pictures per class, over all ranks, one batch of scores in memory at a time.

    Args:
        batches: this rank's pictures.
        class_DC: class embeddings.
        encoder: encodes pictures.
        share: sums over ranks.
        top_ks: numbers of guesses beside 1; those not below the number of classes are left out.
    """
    num_classes = class_DC.shape[1]
    kept = (1, *(k for k in top_ks if 1 < k < num_classes))
    count_RC = torch.zeros(len(kept) + 1, num_classes, dtype=torch.int64, device=class_DC.device)
    num_unreadable = 0
    # fp64: a GPU's fp32 product may be TF32, whose three digits change places among close classes
    class_DC = class_DC.double()
    for batch in batches:
        num_unreadable += batch.num_unreadable
        if len(batch.class_N) == 0:
            continue
        class_N = batch.class_N.to(class_DC.device, non_blocking=True)
        score_NC = encoder.encode_images(batch.image_NSSC).to(class_DC.device).double() @ class_DC
        place_N = places(score_NC, class_N)
        hits_NR = torch.stack([place_N < k for k in kept] + [torch.ones_like(place_N, dtype=torch.bool)])
        count_RC.index_add_(1, class_N, hits_NR.long())
    extra_C = torch.zeros_like(count_RC[:1])
    extra_C[0, 0] = num_unreadable
    total_RC = share.sum_over_ranks(torch.cat([count_RC, extra_C])).cpu()
    return Counts(total_RC[:-2], total_RC[-2], int(total_RC[-1, 0]), kept)


def places(score_NC: torch.Tensor, class_N: torch.Tensor) -> torch.Tensor:
    """Place [N] of the right class in each row's order, 0 for the best; ties go to the lower class index.

    A score that is not a number is never right: its class comes last.
    """
    own_N1 = score_NC.gather(1, class_N[:, None])
    index_C = torch.arange(score_NC.shape[1], device=score_NC.device)
    is_behind_NC = (score_NC < own_N1) | ((score_NC == own_N1) & (index_C >= class_N[:, None]))
    return score_NC.shape[1] - is_behind_NC.sum(1)


@dataclass(frozen=True)
class ZeroShotResult:
    """Accuracies of one model on one set of pictures.

    Attributes:
        metrics: top1, top3, top5 (only k below the number of classes) and balanced_accuracy.
        paper_interval: top1 with Wilson's interval.
        chance: of a blind guess.
        majority: top1 of always guessing the most frequent class; None without pictures.
        num_images: readable pictures.
        num_classes: of the class list, with or without pictures.
        num_unreadable: pictures left out.
    """

    metrics: dict[str, Metric]
    paper_interval: Metric
    chance: float
    majority: float | None
    num_images: int
    num_classes: int
    num_unreadable: int

    def to_record(self) -> dict[str, Any]:
        """JSON-able: each metric with value, low, high beside the counts; null for what cannot be computed."""
        metrics = {name: metric.to_dict() for name, metric in self.metrics.items()}
        others = {
            "paper_interval": self.paper_interval.to_dict(),
            "chance": self.chance,
            "majority": self.majority,
            "num_images": self.num_images,
            "num_classes": self.num_classes,
            "num_unreadable": self.num_unreadable,
        }
        return metrics | others


def summarize(counts: Counts) -> ZeroShotResult:
    """The result of the counts."""
    shown = counts.shown_C.tolist()
    right = {k: counts.right_KC[index].tolist() for index, k in enumerate(counts.top_ks)}
    num_images = sum(shown)
    metrics = {f"top{k}": accuracy(right[k], shown) for k in counts.top_ks}
    return ZeroShotResult(
        metrics=metrics | {"balanced_accuracy": balanced_accuracy(right[1], shown)},
        paper_interval=wilson(sum(right[1]), num_images),
        chance=1 / len(shown),
        majority=max(shown) / num_images if num_images else None,
        num_images=num_images,
        num_classes=len(shown),
        num_unreadable=counts.num_unreadable,
    )


def evaluate(
    images: LabelledImages,
    prompts: Sequence[Sequence[str]],
    encoder: Encoder,
    facts: ModelFacts,
    batch_size: int = 256,
    num_workers: int = 0,
    share: Share = ALONE,
    worker_init: Callable[[int], None] | None = None,
) -> ZeroShotResult:
    """Zero-shot accuracies of the encoder, the same on every rank; random generators are left as they were.

    Args:
        images: the benchmark.
        prompts: the texts of every class, in the order of the class list.
        encoder: its model in evaluation mode.
        facts: size, interpolation and resize mode of the pictures.
        batch_size: pictures of one forward pass.
        num_workers: processes that decode; 0 decodes in this one.
        share: this rank's part.
        worker_init: called in each of these processes with its number.

    Raises:
        BadInputError: prompts and class list differ in length, or a class has no prompt.
    """
    if len(prompts) != len(images.class_names):
        raise BadInputError(f"{len(images.class_names)} classes, but prompts for {len(prompts)}")
    with random_state_kept():
        class_DC = class_embeddings(prompts, encoder, share)
        batches = image_batches(images, facts, batch_size, share.rank, share.size, num_workers, worker_init)
        return summarize(count_right(batches, class_DC, encoder, share))
