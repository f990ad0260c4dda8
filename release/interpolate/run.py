"""An interpolation as its config says: points made, evaluated and written, in this process.

All that can be refused is refused before the first file is written. A point whose result files are there, whole and of
the same weights, pictures and settings, is read and not evaluated again.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from evaluation.benchmarks.benchmark import Benchmark
from evaluation.distributed import find_device
from evaluation.encoding.encoder import Encoder, OpenClipEncoder, with_preprocess
from evaluation.evaluate import make_plan, run
from evaluation.loading.fingerprint import model_hash
from evaluation.model import get_tokenizer
from evaluation.open_encoder import autocast_of, set_precision
from evaluation.record import origin_of
from evaluation.report.columns import Record
from evaluation.results.published_lines import append_line, published_metrics
from evaluation.results.result import earlier_result
from evaluation.run_config import check_tasks, options_of
from evaluation.run_options import RunOptions
from inference.leftovers import sweep
from inference.sole_writer import sole_writer
from release.card.card_facts import Interpolated
from release.card.collect import collect_card_facts
from release.card.words import without_folders
from release.folder.released_folder import released_folder
from release.folder.write_folder import check_can_be_exported
from release.interpolate.choice import Choice, Point, choose_point, lines_of
from release.interpolate.config import CACHE, CONFIG_FILE, RESULTS, InterpolateConfig, digits
from release.interpolate.ends import Ends, open_ends
from release.interpolate.outcome import SWEEP_FILE, print_folders, write_outcome
from release.interpolate.page import FILE_NAME as PAGE_FILE
from taxonomy.whole_file import write_whole


def run_config(config: InterpolateConfig, benchmarks: Sequence[Benchmark] | None = None) -> list[Point]:
    """The points evaluated, their table printed and page written, the best one saved; none without benchmarks.

    Args:
        config: the settings.
        benchmarks: what they name, opened; None or empty only writes the points.

    Raises:
        BadInputError: the models cannot be averaged, the benchmarks not be used, or another run is writing there;
            nothing was written.
        WorkFailedError: a download failed, or something could not be written.
    """
    device = find_device(config.device)
    set_precision(config.precision, device)
    options = None
    if benchmarks:
        options = options_of(config.evaluation())
        check_tasks(list(benchmarks), options)
    ends = open_ends(config)
    check_can_be_exported(ends.facts)
    if options is None or not benchmarks:
        _write_config(config)
        print_folders([_save(ends, config, alpha, config.point_dir(alpha)) for alpha in config.points])
        return []
    with sole_writer(config.out_dir, config.out_dir / RESULTS):
        _remove_unfinished(config)
        return _swept(ends, config, benchmarks, options, device)


def _remove_unfinished(config: InterpolateConfig) -> None:
    """Remove what killed runs left under OUT, where it is all ours, and of our files in OUT."""
    for name in (CONFIG_FILE, SWEEP_FILE, PAGE_FILE):
        sweep(config.out_dir, "tmp", name)
    for folder in (config.out_dir / RESULTS, config.out_dir / CACHE):
        for below in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            sweep(below, "tmp")


def _swept(
    ends: Ends,
    config: InterpolateConfig,
    benchmarks: Sequence[Benchmark],
    options: RunOptions,
    device: torch.device,
) -> list[Point]:
    points = []
    for number, alpha in enumerate(config.points):
        _tell(f"point {number + 1} of {len(config.points)}: alpha {alpha}")
        points.append(_evaluated(ends, config, alpha, benchmarks, options, device))
        if config.save_all:
            _save(ends, config, alpha, config.point_dir(alpha))
    choice = choose_point(config.points, lines_of(points), config.choose_by)
    best = _save(ends, config, points[choice.number].alpha, config.best_dir, choice)
    write_outcome(config, points, choice, config.out_dir / RESULTS, best)
    return points


def _label(config: InterpolateConfig, alpha: float) -> str:
    return f"{config.label} alpha {digits(alpha)}"


def _save(ends: Ends, config: InterpolateConfig, alpha: float, folder: Path, choice: Choice | None = None) -> Path:
    """Write a point as every released model, with its own results in the card."""
    model, label = ends.load(alpha), _label(config, alpha)
    facts = replace(ends.facts, pretrained=label)
    first, last = (without_folders(end.label) for end in config.ends)
    made = Interpolated(first, last, alpha, choice and choice.rule, choice and choice.flatters)
    results = [config.out_dir / RESULTS] if config.has_benchmarks else []
    card = collect_card_facts(facts, model_hash(model, facts), label, None, results, interpolated=made)
    with released_folder(model, facts, card, folder):
        pass  # nothing beside the model and its card
    return folder


def _evaluated(
    ends: Ends,
    config: InterpolateConfig,
    alpha: float,
    benchmarks: Sequence[Benchmark],
    options: RunOptions,
    device: torch.device,
) -> Point:
    model, facts = ends.load(alpha).to(device), ends.facts
    encoder = OpenClipEncoder(model, facts, get_tokenizer(facts), device, autocast_of(config.precision, device))
    about = {
        "name": _label(config, alpha),
        "activation": facts.activation,
        "activation_source": facts.activation_source,
    }
    own = replace(options, model=about)
    earlier = [_earlier(benchmark, encoder, own) for benchmark in benchmarks]
    _write_config(config)
    records: list[Record] = []
    for benchmark, found in zip(benchmarks, earlier, strict=True):
        records += run(benchmark, encoder, own) if found is None else found
    if None in earlier and own.out is not None:
        figures = published_metrics(records, {one.name: one.log_name for one in benchmarks})
        line = {"model": about["name"], "activation": facts.activation, "protocol": own.protocol.name}
        line |= {"class_list": own.class_list, "prompts": own.effective_prompt_set, "precision": own.precision}
        append_line(own.out, figures, line)
    return Point(alpha, about["name"], encoder.hash, records)


def _write_config(config: InterpolateConfig) -> None:
    write_whole(config.out_dir / CONFIG_FILE, config.to_toml().encode())


def _earlier(benchmark: Benchmark, encoder: Encoder, options: RunOptions) -> list[Record] | None:
    """The records of an earlier run; None if one is not there or damaged.

    Raises:
        BadInputError: another result is in the place of one.
    """
    assert options.out is not None
    plan, shown = make_plan(benchmark, options), with_preprocess(encoder, options.protocol.preprocess)
    tasks = [*plan.tasks, *plan.rollups.values()]
    found = [earlier_result(options.out, origin_of(task, benchmark, shown, options)) for task in tasks]
    return None if None in found else [record for record in found if record is not None]


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)
