"""What evaluations measured of a model: their result files, with the paper's figures beside them. No torch.

A result is of a model only if its weights, its activation and what was done to its pictures are the model's.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.benchmarks.benchmark import CLASS_LISTS, COMMON_NAME, LABEL, NINE_LEVELS, SCIENTIFIC_NAME
from evaluation.benchmarks.published_figures import PAPERS_EIGHT, PUBLISHED_NUM_IMAGES, PUBLISHED_TOP1
from evaluation.encoding.preprocess import Preprocess
from evaluation.loading.facts import ModelFacts
from evaluation.protocols import PROTOCOLS
from evaluation.report.columns import title_of
from evaluation.results.result import file_name, read_results
from release.card.data import SeenNames
from release.card.result_facts import Figure, Measured, PublishedFigure
from release.card.words import one_line
from taxonomy.errors import BadInputError

_LOG = logging.getLogger(__name__)

_FEW = 3
_SAME_NAMES = {LABEL: (SCIENTIFIC_NAME, COMMON_NAME), "rollup_species": (SCIENTIFIC_NAME,)}
"""Taxon -> levels of the training records that hold names like its classes', where that is not the level itself."""


def read_measured(folders: Sequence[Path], model_hash: str, facts: ModelFacts, seen: SeenNames) -> tuple[Measured, ...]:
    """The results of a model's weights under any activation, headlines of the paper's benchmarks first.

    Args:
        folders: of `taxaflow eval --out`; results of other models in them are passed over.
        model_hash: of the weights and architecture.
        facts: what is done to the model's pictures; results with other pictures are left out, and said.
        seen: names in the training data; empty where they are not known.

    Raises:
        BadInputError: a folder holds no results, or none of this model, or two say different things of one task.
    """
    found: dict[tuple[Any, ...], tuple[Path, Mapping[str, Any]]] = {}
    for folder in folders:
        records = read_results(folder)
        own = [record for record in records if record["model"]["hash"] == model_hash]
        if not own:
            raise BadInputError(
                f"--results {folder}: none of its {len(records)} results is of this model ({model_hash[:8]}), "
                f"they are of {_models(records)}; evaluate this one: taxaflow eval --out {folder}"
            )
        for record in own:
            file = folder / file_name(record)
            if _has_its_pictures(record, facts, file):
                other, same = found.setdefault(_key(record), (file, record))
                _check_same(other, same, file, record)
    return in_order(_measured(record, seen) for _, record in found.values())


def in_order(measured: Iterable[Measured]) -> tuple[Measured, ...]:
    """Results as a card lists them."""
    return tuple(sorted(measured, key=_place))


def key_of(one: Measured) -> tuple[str | None, ...]:
    """What tells a result from others of the same weights."""
    return one.benchmark, one.taxon, one.class_list, one.protocol, one.activation


def pictures_of(facts: ModelFacts, protocol: str) -> Mapping[str, Any]:
    """What is done to a model's pictures under a protocol, of which `paper_sci` is `paper` with other prompts."""
    base = PROTOCOLS.get(protocol) or PROTOCOLS.get(protocol.split("_")[0])
    changes = {} if base is None else base.preprocess
    own = Preprocess.of(facts)
    return {**own.to_dict(), **{name: _as_json(value) for name, value in changes.items()}}


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _has_its_pictures(record: Mapping[str, Any], facts: ModelFacts, file: Path) -> bool:
    own = pictures_of(facts, record["protocol"])
    differing = [name for name, value in own.items() if record["preprocessing"].get(name) != value]
    if differing:
        name = differing[0]
        _LOG.warning(
            "--results %s is left out of the card: %s was %s, of this model it is %s",
            *(file, name, record["preprocessing"].get(name), own[name]),
        )
    return not differing


def _check_same(other: Path, same: Mapping[str, Any], file: Path, record: Mapping[str, Any]) -> None:
    differing = [name for name in record if name != "model" and record[name] != same.get(name)]
    if differing:
        raise BadInputError(
            f"--results: {other} and {file} are of one model and task and differ ({', '.join(differing[:_FEW])}): "
            "name the folder of one of them alone"
        )


def _key(record: Mapping[str, Any]) -> tuple[Any, ...]:
    names = ("benchmark", "taxon", "class_list", "protocol")
    return (*(record[name] for name in names), record["model"]["activation"])


def _models(records: Iterable[Mapping[str, Any]]) -> str:
    names = sorted({f"{record['model']['name'] or 'a model'} ({record['model']['hash'][:8]})" for record in records})
    return ", ".join(names[:_FEW]) + (", ..." if len(names) > _FEW else "")


def _place(one: Measured) -> tuple[Any, ...]:
    """Where a result stands in the card."""
    benchmark, taxon = one.benchmark, one.taxon
    rank = taxon.removeprefix("rollup_")
    return (
        PAPERS_EIGHT.index(benchmark) if benchmark in PAPERS_EIGHT else len(PAPERS_EIGHT),
        benchmark,
        CLASS_LISTS.index(one.class_list) if one.class_list in CLASS_LISTS else len(CLASS_LISTS),
        one.protocol,
        not one.headline,
        rank != taxon,
        NINE_LEVELS.index(rank) if rank in NINE_LEVELS else len(NINE_LEVELS),
        taxon,
        one.activation or "",
    )


def _measured(record: Mapping[str, Any], seen: SeenNames) -> Measured:
    benchmark = record["benchmark"]
    published = _published(benchmark) if record["headline"] else ()
    return Measured(
        benchmark=benchmark,
        title=title_of(benchmark),
        taxon=record["taxon"],
        class_list=record["class_list"],
        protocol=record["protocol"],
        headline=record["headline"],
        activation=record["model"]["activation"],
        precision=record.get("precision"),
        prompt_set=record["prompts"]["set"],
        logit_scale=_float(record["prompts"]["logit_scale"]),
        class_list_sha256=record["class_list_sha256"],
        num_classes=record["num_classes"],
        num_classes_seen=_num_seen(record, seen),
        num_images=record["num_images"],
        num_missing=record["num_missing"],
        num_unreadable=record["num_unreadable"],
        num_null_label=record["num_null_label"],
        chance=_float(record["chance"]),
        majority=_float(record["majority"]),
        interval_level=float(record["interval"]["level"]),
        interval_method=record["interval"]["method"],
        metrics={one_line(name): _figure(metric) for name, metric in record["metrics"].items()},
        mean_confidence=_mean_confidence(record["calibration"]),
        published=published,
        published_num_images=PUBLISHED_NUM_IMAGES.get(benchmark) if published else None,
    )


def _num_seen(record: Mapping[str, Any], seen: SeenNames) -> int | None:
    """Classes of the list that the training data names at the same level; None where that has no such level."""
    levels = _SAME_NAMES.get(record["taxon"], (record["taxon"].removeprefix("rollup_"),))
    if not any(one in seen for one in levels):
        return None
    names = frozenset().union(*(seen.get(one, frozenset()) for one in levels))
    return sum(one["name"] in names for one in record["per_class"])


def _published(benchmark: str) -> tuple[PublishedFigure, ...]:
    return tuple(
        PublishedFigure(model, figures[benchmark].top1, figures[benchmark].half_width)
        for model, figures in PUBLISHED_TOP1.items()
        if benchmark in figures
    )


def _figure(metric: Mapping[str, Any]) -> Figure:
    return Figure(_float(metric["value"]), _float(metric["low"]), _float(metric["high"]))


def _mean_confidence(bins: Sequence[Mapping[str, Any]] | None) -> float | None:
    filled = [(one["n"], one["confidence"]) for one in bins or () if one["n"] and one["confidence"] is not None]
    total = sum(n for n, _ in filled)
    return sum(n * confidence for n, confidence in filled) / total if total else None


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)
