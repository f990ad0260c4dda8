"""One model on one benchmark: pictures encoded once, every task scored from them, a record per task.

Ranks share pictures, prompts and scores; rank 0 measures and writes. A record holds no time and no path of a
machine: the same cached features give the same bytes.

Shapes: N pictures, R rows, C classes, D embedding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.benchmarks.benchmark import SCIENTIFIC_NAME, Benchmark, check_pictures
from evaluation.benchmarks.task import Task
from evaluation.benchmarks.tasks import ROLLUP, lineage_of, make_task, rollup_tasks
from evaluation.distributed import ALONE, Share
from evaluation.encoding.class_vectors import class_matrix
from evaluation.encoding.encode_pictures import EncodeOptions, image_features
from evaluation.encoding.encoder import Encoder, with_preprocess
from evaluation.encoding.features import Features
from evaluation.random_state import random_state_kept
from evaluation.record import Scored, learnt_from_labels, make_record, origin_of
from evaluation.results.predictions_file import predictions_path, write_predictions
from evaluation.results.result import check_replaceable, file_name, names_sha256, split_file, write_result
from evaluation.results.thumbnails import example_rows, with_examples, write_thumbnails
from evaluation.run_options import ALL, HEADLINE, RunOptions
from evaluation.scoring.guess import guess, guess_pairs
from evaluation.scoring.rollup_sums import Rollup
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS
from taxonomy.whole_file import write_whole


@dataclass(frozen=True)
class Plan:
    """The tasks of a run.

    Attributes:
        tasks: those asked for by level, scored from prompts of their own class names.
        rollups: rank -> task scored from the probabilities of the scientific names.
        species: the task of the scientific names, which roll-ups are scored from; it may also be one of `tasks`. None
            without roll-ups.
    """

    tasks: list[Task]
    rollups: dict[str, Task]
    species: Task | None

    @property
    def asked(self) -> set[str]:
        """The levels asked for."""
        return {task.taxon for task in self.tasks}

    @property
    def scored(self) -> list[Task]:
        """The tasks whose classes are needed: those asked for, and the scientific names for roll-ups."""
        if self.species is None or self.species.taxon in self.asked:
            return self.tasks
        return [*self.tasks, self.species]


def run(
    benchmark: Benchmark, encoder: Encoder, options: RunOptions | None = None, share: Share = ALONE
) -> list[dict[str, Any]]:
    """The records of all tasks asked for, on rank 0; nothing on other ranks. Random generators are left as they were.

    Args:
        benchmark: rows and their pictures.
        encoder: the model, in evaluation mode.
        options: what is asked; None asks for everything the default protocol gives, and writes nothing.
        share: this rank's part.

    Raises:
        BadInputError: an unknown taxon, class list or prompt set, no picture of the benchmark was found, or the folder
            of results has another result in the place of one of these.
    """
    options = options or RunOptions()
    plan = make_plan(benchmark, options)
    check_pictures(benchmark)
    shown = with_preprocess(encoder, options.protocol.preprocess)
    if options.out is not None:
        for task in (*plan.tasks, *plan.rollups.values()):
            check_replaceable(options.out, origin_of(task, benchmark, shown, options))
    encoding = EncodeOptions(options.batch_size, options.num_workers, options.cache_dir, options.worker_init)
    with random_state_kept():
        features = image_features(benchmark.rows, shown, encoding, share, benchmark.name if options.progress else None)
        scored = _score(benchmark, plan, features, shown, options, share)
    return [_finish(one, benchmark, features, shown, options) for one in scored if share.rank == 0]


def make_plan(benchmark: Benchmark, options: RunOptions) -> Plan:
    """The tasks asked for; a rank's roll-up comes beside its own task.

    Raises:
        BadInputError: a taxon or class list that the benchmark does not have.
    """
    rollups = {task.taxon.removeprefix(ROLLUP): task for task in rollup_tasks(benchmark, options.class_list)}
    levels: dict[str, None] = {}
    ranks: dict[str, None] = {}
    for taxon in options.taxa:
        if taxon in (ALL, HEADLINE):
            levels |= dict.fromkeys(benchmark.levels if taxon == ALL else [benchmark.headline])
            ranks |= dict.fromkeys(rollups if taxon == ALL else ())
        elif taxon.startswith(ROLLUP):
            ranks[_known_rollup(taxon, rollups, benchmark)] = None
        else:
            levels[taxon] = None
            ranks |= dict.fromkeys(rollups if taxon == SCIENTIFIC_NAME else rollups.keys() & {taxon})
    tasks = [make_task(benchmark, level, options.class_list) for level in levels]
    species = next((task for task in tasks if task.taxon == SCIENTIFIC_NAME), None) if ranks else None
    if ranks and species is None:
        species = make_task(benchmark, SCIENTIFIC_NAME, options.class_list)
    return Plan(tasks, {rank: rollups[rank] for rank in RANKS if rank in ranks}, species)


def _known_rollup(taxon: str, rollups: Mapping[str, Task], benchmark: Benchmark) -> str:
    rank = taxon.removeprefix(ROLLUP)
    if rank not in rollups:
        allowed = ", ".join([*benchmark.levels, *(task.taxon for task in rollups.values())])
        raise BadInputError(f"--taxon {taxon}: {benchmark.name} has {allowed}")
    return rank


def _score(
    benchmark: Benchmark, plan: Plan, features: Features, encoder: Encoder, options: RunOptions, share: Share
) -> list[Scored]:
    """Guesses for every task, the same on every rank; the scientific names serve their own task and all roll-ups."""
    scale = options.protocol.logit_scale or encoder.logit_scale
    scored = []
    for task in plan.scored:
        class_CD = class_matrix(
            task.class_names, task.fields, options.effective_prompt_set, encoder, options.cache_dir, share
        )
        rollups = _rollups(plan, benchmark) if task is plan.species else {}
        found, rolled = guess(features, class_CD, task.class_R, scale, rollups, share)
        if task.pair_of_R:
            among_all = found if task.distinct_R is None else found.kept(task.distinct_R[found.row_N])
            found = guess_pairs(features, class_CD, task.class_R, task.pair_of_R, scale)
            scored.append(Scored(task, found, among_all))
        elif task.taxon in plan.asked:
            scored.append(Scored(task, found))
        scored += [Scored(plan.rollups[rank], predictions) for rank, predictions in rolled.items()]
    return scored


def _rollups(plan: Plan, benchmark: Benchmark) -> dict[str, Rollup]:
    """Rank -> the group of every scientific name, numbered as in the rank's task."""
    assert plan.species is not None
    lineage_C = lineage_of(plan.species, benchmark)
    made = {}
    for rank, task in plan.rollups.items():
        number = {name: index for index, name in enumerate(task.class_names)}
        place = RANKS.index(rank)
        code_C = np.array([number.get(lineage[place] or "", -1) if lineage else -1 for lineage in lineage_C])
        made[rank] = Rollup(code_C, task.class_R, len(task.class_names))
    return made


def _finish(
    scored: Scored, benchmark: Benchmark, features: Features, encoder: Encoder, options: RunOptions
) -> dict[str, Any]:
    """The record of a task, written with its guesses and pictures if that was asked for."""
    record = make_record(scored, benchmark, features, encoder, options)
    split = None
    if record["headline"] and (options.few_shot or options.linear_probe):
        learnt, split = learnt_from_labels(scored.task, benchmark, features, options)
        record |= learnt
    if options.out is None:
        return record
    if record["headline"]:
        record["confusions"] = _with_pictures(record["confusions"], scored, benchmark, options.out)
    if split is not None:
        write_whole(options.out / split_file(record), split.to_json().encode())
    write_predictions(predictions_path(options.out / file_name(record)), scored.predictions)
    write_result(options.out, record)
    return record


def _with_pictures(
    confusions: list[dict[str, Any]], scored: Scored, benchmark: Benchmark, out: Path
) -> list[dict[str, Any]]:
    names, predictions = scored.task.class_names, scored.predictions
    rows = example_rows(confusions, predictions, names)
    sources = {row: benchmark.rows.sources[row] for own in rows for row in own}
    files = write_thumbnails(out, benchmark.name, names_sha256(benchmark.rows.keys), sources)
    return with_examples(confusions, predictions, names, benchmark.rows.keys, files)
