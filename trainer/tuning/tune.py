"""A search from its settings to its end: trials, the choice on val, one comparison on test."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.results.whole_file import write_whole
from taxonomy.errors import WorkFailedError
from trainer.tuning import ray_environment
from trainer.tuning.outcome import best_of, best_recipe, drop_checkpoints, write_tables
from trainer.tuning.prepare import Search
from trainer.tuning.progress import Progress, shown
from trainer.tuning.search_folder import compared
from trainer.tuning.signals import Asked
from trainer.tuning.space import DEFAULT
from trainer.tuning.trial_folder import Result, TrialFolder
from trainer.tuning.trial_run import settled


def run(search: Search) -> None:
    """Run the trials that are not done, choose, compare, write and say what came out.

    Raises:
        BadInputError: the folder is in use, or the trainer refuses the settings.
        WorkFailedError: trials could not be finished, or results not be written.
        KeyboardInterrupt: it was asked to stop by Ctrl-C; all trials are saved.
    """
    with search.folder.locked():
        search.folder.check(search.settings(), compared(dataclasses.asdict(search.shared)))
        search.folder.begin(search.settings(), compared(dataclasses.asdict(search.shared)))
        if not _run_trials(search):
            return
        results = [one for one in _results(search) if one is not None]
        _finish(search, results)


def _results(search: Search) -> list[Result | None]:
    return [spec.files.result() for spec in search.specs]


def _run_trials(search: Search) -> bool:
    """Whether all trials have a result."""
    specs = search.specs
    for spec in specs:  # what the files of a killed search already settle
        if not spec.files.is_running() and spec.files.result() is None and (result := settled(spec)) is not None:
            spec.files.finish(result)
    done = [result for result in _results(search) if result is not None]
    missing = [spec for spec in specs if spec.files.result() is None]
    if not missing:
        return True
    print(_opening(search, len(done)), file=sys.stderr, flush=True)
    progress = Progress(len(specs), search.config.metric, done)

    def tell(files: TrialFolder) -> None:
        spec = specs[files.number]
        result = files.result() or settled(spec)
        assert result is not None
        progress.tell(result)
        found = [one for one in _results(search) if one is not None]
        write_tables(search.folder, specs, search.about(best_of(found), None))
        if not search.config.keep_checkpoints:
            drop_checkpoints(search.folder, found)

    ray_environment.set_up(is_alone=search.config.address is None)
    from trainer.tuning.search import search as search_here

    with Asked() as asked:
        finished = [specs[result.trial].files for result in done]
        search_here(search.config, missing, finished, search.schedule, asked, tell)
    return _are_done(search, asked)


def _opening(search: Search, num_done: int) -> str:
    """What is ahead, and where to look meanwhile."""
    schedule, number = search.schedule, search.config.trials
    parts = [f"{number} trials of {schedule.total_steps:,} steps"]
    if schedule.rungs:
        parts.append(f"stopped early after step {' or '.join(f'{step:,}' for step in schedule.rungs)} if behind")
    if num_done:
        parts.append(f"goes on: {num_done} are done")
    return ", ".join(parts) + f"; each writes to {search.folder.path / 'trials' / 'trial_*' / 'output.log'}"


def _are_done(search: Search, asked: Asked) -> bool:
    """Whether all trials have a result; why not is said."""
    missing = [spec for spec in search.specs if spec.files.result() is None]
    if missing and asked.to_stop:
        found = [one for one in _results(search) if one is not None]
        write_tables(search.folder, search.specs, search.about(best_of(found), None))
        if asked.was_interrupted:
            raise KeyboardInterrupt
        number = search.config.trials - len(missing)
        said = f"stopped: {number} of {search.config.trials} trials are done, the others saved"
        print(f"{said}; run the same command again to go on", file=sys.stderr)
    elif missing:
        first = missing[0].files
        raise WorkFailedError(
            f"{len(missing)} of {search.config.trials} trials could not be finished, the first {first.name}: "
            f"{first.last_words() or 'it was never started'}; run the same command again to go on"
        )
    return not missing


def _finish(search: Search, results: Sequence[Result]) -> None:
    """Choose the best, compare it with the default on test, write and say everything."""
    best, default = best_of(results), results[DEFAULT]
    if best is None:
        write_tables(search.folder, search.specs, search.about(None, None))
        raise WorkFailedError(f"no trial was trained to the end, the first because: {results[0].reason}")
    comparison = None
    base = compared(dataclasses.asdict(search.base))
    write_whole(search.folder.best, best_recipe(base, best, search.about(best, None)).encode())
    if default.metric is not None:
        from trainer.tuning.comparison import compare_once

        comparison = compare_once(search.folder, search.config.manifest, search.base, best, default)
    if not search.config.keep_checkpoints:
        drop_checkpoints(search.folder, results)
    page = write_tables(search.folder, search.specs, search.about(best, comparison))
    print("\n".join([*_verdict(search, best, default, comparison), f"recipe: {search.folder.best}", f"page: {page}"]))


def _verdict(search: Search, best: Result, default: Result, comparison: Mapping[str, Any] | None) -> list[str]:
    """What came out, in lines."""
    name = search.config.metric
    lines = [f"best on val: trial {best.trial}, {shown(best.settings)}: {name} {_percent(best.metric)}"]
    if comparison is None:
        return [*lines, f"the default failed, so there is nothing to compare it with: {default.reason}"]
    pictures = f"on test ({comparison['num_images']:,} pictures)"
    difference = comparison["difference"]
    if comparison["best"]["top1"]["value"] is None:
        return [*lines, f"not one picture of the split {comparison['split']} could be read: nothing is compared"]
    if difference is None:
        return [*lines, f"it is the default; {pictures}: top-1 {_percent(comparison['best']['top1']['value'])}"]
    lines.append(f"default: {name} {_percent(default.metric)}")
    sides = [_percent(comparison[side]["top1"]["value"]) for side in ("best", "default")]
    top1 = difference["top1"]
    ends = f"{100 * top1['low']:+.1f} to {100 * top1['high']:+.1f}"
    lines.append(
        f"{pictures}: top-1 {sides[0]} against {sides[1]}, difference {100 * top1['value']:+.1f} points "
        f"(95 % interval {ends}), p = {difference['p_value']:.3g}"
    )
    return lines


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f} %"
