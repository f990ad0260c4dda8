"""The record of one task: what its result file says.

Source: docs/design.md, Evaluation; every field stands in results/result_schema.json.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.benchmarks.benchmark import SCIENTIFIC_NAME, Benchmark
from evaluation.benchmarks.task import Task
from evaluation.benchmarks.tasks import lineage_of
from evaluation.encoding.encoder import Encoder
from evaluation.encoding.features import Features
from evaluation.metrics.few_shot import few_shot
from evaluation.metrics.linear_probe import linear_probe
from evaluation.metrics.splits import Split, make_split
from evaluation.metrics.summary import measure, measure_details
from evaluation.results.result import NUM_LISTED, SCHEMA_VERSION, complete, names_sha256
from evaluation.run_options import RunOptions
from evaluation.scoring.predictions import Predictions


@dataclass(frozen=True)
class Scored:
    """A task with its guesses.

    Attributes:
        task: the class list and the class of every row.
        predictions: the guesses that the record is about.
        among_all: Confounding alone: the guesses among all classes, beside those within the pair.
    """

    task: Task
    predictions: Predictions
    among_all: Predictions | None = None


def make_record(
    scored: Scored, benchmark: Benchmark, features: Features, encoder: Encoder, options: RunOptions
) -> dict[str, Any]:
    """JSON-able: figures of the task, and what they were made with. Holds no time and no path of a machine."""
    is_headline = scored.task.taxon == benchmark.headline
    record = origin_of(scored.task, benchmark, encoder, options) | _counts(scored, benchmark, features)
    figures = _figures(scored, benchmark, options, has_details=is_headline and options.details)
    return complete(record | figures | {"headline": is_headline})


def origin_of(task: Task, benchmark: Benchmark, encoder: Encoder, options: RunOptions) -> dict[str, Any]:
    """The part of a record that is known before any picture is looked at: what is measured, and with what."""
    scale = options.protocol.logit_scale or encoder.logit_scale
    return {
        "schema_version": SCHEMA_VERSION,
        "benchmark": task.benchmark,
        "taxon": task.taxon,
        "class_list": task.class_list,
        "protocol": options.protocol_name,
        "model": {"name": "", "activation": None, **options.model, "hash": encoder.hash},
        "precision": options.precision,
        "preprocessing": encoder.preprocess.to_dict(),
        "prompts": {"set": options.effective_prompt_set, "logit_scale": scale},
        "class_list_sha256": names_sha256(task.class_names),
        "rows_sha256": names_sha256(benchmark.rows.keys),
        "num_classes": len(task.class_names),
    }


def _counts(scored: Scored, benchmark: Benchmark, features: Features) -> dict[str, Any]:
    """n_rows = num_images + num_missing + num_unreadable + num_null_label; a row counts once, in this order."""
    keys, class_R = benchmark.rows.keys, scored.task.class_R
    missing = [row for row in features.missing if class_R[row] >= 0]
    unreadable = [(row, reason) for row, reason in features.unreadable if class_R[row] >= 0]
    return {
        "n_rows": len(benchmark.rows),
        "num_images": len(scored.predictions),
        "num_missing": len(missing),
        "num_unreadable": len(unreadable),
        "num_null_label": scored.task.num_null_label,
        "num_near_ties": scored.predictions.num_near_ties,
        "missing": [keys[row] for row in missing[:NUM_LISTED]],
        "unreadable": [{"key": keys[row], "reason": reason} for row, reason in unreadable[:NUM_LISTED]],
    }


def _figures(scored: Scored, benchmark: Benchmark, options: RunOptions, has_details: bool) -> dict[str, Any]:
    task, predictions = scored.task, scored.predictions
    figures = measure(predictions, task.class_names, num_choices=2 if task.pair_of_R else None)
    if has_details:
        lineage = lineage_of(task, benchmark) if task.taxon == SCIENTIFIC_NAME else None
        details = measure_details(predictions, lineage, seed=options.seed)
        figures |= details | {"metrics": figures["metrics"] | details["metrics"]}
    if scored.among_all is not None:
        beside = measure(scored.among_all, task.class_names)
        figures["metrics"] |= {f"among_all_{name}": value for name, value in beside["metrics"].items()}
    return figures


def learnt_from_labels(
    task: Task, benchmark: Benchmark, features: Features, options: RunOptions
) -> tuple[dict[str, Any], Split]:
    """Few-shot and probe, as far as they were asked for, and the split they share.

    Readable pictures with a label take part, each once: a repeat would be asked for what was learnt from it.
    """
    class_N = task.class_R[features.row_N]
    is_kept_N = class_N >= 0
    if task.distinct_R is not None:
        is_kept_N &= task.distinct_R[features.row_N]
    rows: list[int] = features.row_N.tolist()
    keys_N = [benchmark.rows.keys[row] for row in rows]
    kept_N = np.flatnonzero(is_kept_N & _is_first(keys_N, class_N))
    image_ND, class_N = features.image_ND[kept_N], class_N[kept_N]
    split = make_split(class_N, [keys_N[place] for place in kept_N.tolist()])
    learnt: dict[str, Any] = {}
    if options.few_shot:
        learnt["few_shot"] = few_shot(image_ND, split)
    if options.linear_probe:
        learnt["linear_probe"] = linear_probe(image_ND, split)
    return learnt, split


def _is_first(keys_N: Sequence[str], class_N: np.ndarray) -> np.ndarray:
    """Mask [N], bool: False where an earlier picture has the same key and class."""
    seen: set[tuple[str, int]] = set()
    is_first_N = np.ones(len(keys_N), bool)
    for place, pair in enumerate(zip(keys_N, class_N.tolist(), strict=True)):
        is_first_N[place] = pair not in seen
        seen.add(pair)
    return is_first_N
