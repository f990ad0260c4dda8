"""An evaluation as its config says: every model on every benchmark, in this process or as one rank of torchrun.

All that can be refused is refused before the first file is written: settings, benchmarks, tasks, prompts, and the
first model, which is the only one that is not a published baseline.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from evaluation.benchmarks.benchmark import Benchmark
from evaluation.distributed import ProcessPlace, process_group
from evaluation.encoding.prompts import OPENAI, OPENAI_AND_PLAIN, class_prompts
from evaluation.evaluate import make_plan, run
from evaluation.loading.facts import HUB, LOCAL, ModelFacts
from evaluation.model import ModelRequest, resolve
from evaluation.open_encoder import open_encoder, set_precision
from evaluation.protocols import find_protocol
from evaluation.report.outcome import print_outcome
from evaluation.results.published_lines import append_line, check_wandb, log_to_wandb, published_metrics
from evaluation.run_options import RunOptions
from evaluation.settings.baselines import ModelChoice, brings_weights, choose
from evaluation.settings.chosen_benchmarks import open_chosen
from evaluation.settings.config import EvalConfig
from taxonomy.errors import WorkFailedError
from taxonomy.whole_file import write_whole

_LOG = logging.getLogger(__name__)

CONFIG_FILE = "config.toml"


@dataclass(frozen=True)
class Candidate:
    """A model to evaluate.

    Attributes:
        choice: which model.
        request: the same, with the settings of the run.
    """

    choice: ModelChoice
    request: ModelRequest


def run_config(config: EvalConfig, benchmarks: list[Benchmark] | None = None) -> list[dict[str, Any]]:
    """The records of all models, benchmarks and tasks, on rank 0, which writes and prints them; nothing elsewhere.

    Args:
        config: the settings.
        benchmarks: what they name, opened; None opens it.

    Raises:
        BadInputError: the config, a benchmark or a model cannot be used; nothing was written, unless the model is one
            of several.
        WorkFailedError: a download failed, results could not be written, or no picture of a benchmark could be read.
    """
    if config.report_to == "wandb":
        check_wandb()
    benchmarks = open_chosen(config) if benchmarks is None else benchmarks
    options = options_of(config)
    with process_group(config.device) as place:
        set_precision(config.precision, place.device)
        check_tasks(benchmarks, options)
        candidates = _candidates(config)
        with _one_after_the_other(place), _unsaid("evaluation.model"):  # it is said when the model is built
            for candidate in candidates:
                resolve(candidate.request)
        records = [
            record for candidate in candidates for record in _evaluate(candidate, benchmarks, config, options, place)
        ]
    if place.share.rank == 0:
        print_outcome(records, config.out_dir)
        _check_seen(records)
    return records


def _check_seen(records: list[dict[str, Any]]) -> None:
    """Check that no model was measured on nothing.

    Raises:
        WorkFailedError: not one picture of a benchmark could be read.
    """
    unseen = sorted({one["benchmark"] for one in records if one["num_unreadable"] and not one["num_images"]})
    if unseen:
        raise WorkFailedError(f"not one picture could be read of {', '.join(unseen)}: its results hold no figures")


def options_of(config: EvalConfig) -> RunOptions:
    """What an evaluation's settings ask about each benchmark."""
    return RunOptions(
        taxa=config.taxon,
        class_list=config.class_list,
        protocol=find_protocol(config.protocol),
        prompt_set=config.prompts,
        out=config.out_dir,
        cache_dir=config.embeddings_dir,
        precision=config.precision,
        batch_size=config.batch_size,
        num_workers=config.workers,
        few_shot=config.few_shot,
        linear_probe=config.linear_probe,
        seed=config.seed,
    )


def check_tasks(benchmarks: list[Benchmark], options: RunOptions) -> None:
    """Check that every benchmark has the tasks asked for, and every class of them its prompts.

    Raises:
        BadInputError: one has not.
    """
    for benchmark in benchmarks:
        tasks = make_plan(benchmark, options).tasks
        if options.effective_prompt_set in (OPENAI, OPENAI_AND_PLAIN):  # which take any name
            continue
        for task in tasks:
            for name in task.class_names:
                class_prompts(name, options.effective_prompt_set, task.fields)


def _candidates(config: EvalConfig) -> list[Candidate]:
    """The models in order, each once per activation."""
    candidates = []
    for choice in choose(config.model, config.pretrained, config.resume, config.baseline):
        if not brings_weights(choice):
            _LOG.warning("--model %s: neither --pretrained nor --resume: its weights are random", choice.model)
        request = ModelRequest(choice.model, choice.pretrained, force=config.force, image_size=config.image_size)
        if config.activation == "both":
            requests = [replace(request, activation=one, force=True) for one in ("gelu", "quickgelu")]
        else:
            requests = [replace(request, activation=config.activation)]
        candidates += [Candidate(choice, one) for one in requests]
    return candidates


@contextmanager
def _unsaid(name: str) -> Iterator[None]:
    """The block without what this logger says below errors."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _one_after_the_other(place: ProcessPlace) -> Iterator[None]:
    """The block on rank 0 first, then on the others at once: what it downloads is downloaded once."""
    if place.share.rank == 0:
        yield
    if place.share.size > 1:
        place.share.sum_over_ranks(torch.zeros(1))
    if place.share.rank != 0:
        yield


def _evaluate(
    candidate: Candidate, benchmarks: list[Benchmark], config: EvalConfig, options: RunOptions, place: ProcessPlace
) -> list[dict[str, Any]]:
    """One model on every benchmark; its line of figures is written when all are there."""
    with _one_after_the_other(place):
        encoder = open_encoder(candidate.request, place.device, config.precision)
    about = _about(candidate.choice, encoder.facts)
    if place.share.rank == 0:
        _write_config(config)
    own = replace(options, model=about)
    records = [record for benchmark in benchmarks for record in run(benchmark, encoder, own, place.share)]
    if place.share.rank == 0:
        _write_figures(records, benchmarks, about, config)
    return records


def _about(choice: ModelChoice, facts: ModelFacts) -> dict[str, Any]:
    """What results say of a model; no path of this machine."""
    return {
        "name": choice.label,
        "activation": facts.activation,
        "activation_source": facts.activation_source,
        "pretrained": _tag(facts.pretrained),
    }


def _tag(pretrained: str | None) -> str | None:
    """The tag or hub model that weights came from; None for files and folders."""
    if pretrained is None or pretrained.startswith(HUB):
        return pretrained
    is_place = pretrained.startswith(LOCAL) or "/" in pretrained or Path(pretrained).exists()
    return None if is_place else pretrained


def _write_config(config: EvalConfig) -> None:
    config.out_dir.mkdir(parents=True, exist_ok=True)
    write_whole(config.out_dir / CONFIG_FILE, config.to_toml().encode())


def _write_figures(
    records: list[dict[str, Any]], benchmarks: list[Benchmark], model: dict[str, Any], config: EvalConfig
) -> None:
    """The line in results.jsonl, and wandb's."""
    figures = published_metrics(records, {one.name: one.log_name for one in benchmarks})
    about = {
        "model": model["name"],
        "activation": model["activation"],
        "protocol": config.protocol,
        "class_list": config.class_list,
        "prompts": config.prompts or find_protocol(config.protocol).prompt_set,
        "precision": config.precision,
    }
    append_line(config.out_dir, figures, about)
    if config.report_to == "wandb":
        log_to_wandb(figures, config.name or model["name"], about, config.out_dir)
