"""A search from its settings to its end: trials, the choice on val, one comparison on test."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from taxonomy.errors import WorkFailedError
from taxonomy.whole_file import write_whole
from trainer.tuning.outcome.best import best_recipe, best_trial, remove_checkpoints
from trainer.tuning.outcome.progress import Progress, format_settings
from trainer.tuning.outcome.tables import write_tables
from trainer.tuning.plan.space import DEFAULT_TRIAL
from trainer.tuning.prepare import Search
from trainer.tuning.ray_search import environment as ray_environment
from trainer.tuning.ray_search.stop_request import StopRequest
from trainer.tuning.search_folder import shared_settings
from trainer.tuning.trials.folder import TrialFolder, TrialResult
from trainer.tuning.trials.result import derive_result


def run(search: Search) -> None:
    """Run the trials that are not done, choose, compare, write and say what came out.

    Raises:
        BadInputError: the folder is in use, or the trainer refuses the settings.
        WorkFailedError: trials could not be finished, or results not be written.
        KeyboardInterrupt: it was asked to stop by Ctrl-C; all trials are saved.
    """
    with search.folder.locked():
        search.folder.check(search.settings(), shared_settings(dataclasses.asdict(search.shared)))
        search.folder.begin(search.settings(), shared_settings(dataclasses.asdict(search.shared)))
        if not _run_trials(search):
            return
        results = [one for one in _results(search) if one is not None]
        _finish(search, results)


def _results(search: Search) -> list[TrialResult | None]:
    return [spec.files.result() for spec in search.specs]


def _run_trials(search: Search) -> bool:
    """Whether all trials have a result."""
    specs = search.specs
    for spec in specs:  # what the files of a killed search already determine
        if not spec.files.is_running() and spec.files.result() is None and (result := derive_result(spec)) is not None:
            spec.files.write_result(result)
    done = [result for result in _results(search) if result is not None]
    missing = [spec for spec in specs if spec.files.result() is None]
    if not missing:
        return True
    print(_opening(search, len(done)), file=sys.stderr, flush=True)
    progress = Progress(len(specs), search.config.metric, done)

    def on_done(files: TrialFolder) -> None:
        spec = specs[files.number]
        result = files.result() or derive_result(spec)
        assert result is not None
        progress.report(result)
        found = [one for one in _results(search) if one is not None]
        write_tables(search.folder, specs, search.about(best_trial(found), None))
        if not search.config.keep_checkpoints:
            remove_checkpoints(search.folder, found)

    ray_environment.set_up(is_alone=search.config.address is None)
    from trainer.tuning.ray_search.search import search as search_here

    with StopRequest() as stop_request:
        finished = [specs[result.trial].files for result in done]
        search_here(search.config, missing, finished, search.schedule, stop_request, on_done)
    return _are_done(search, stop_request)


def _opening(search: Search, num_done: int) -> str:
    """What is ahead, and where to look meanwhile."""
    schedule, number = search.schedule, search.config.trials
    parts = [f"{number} trials of {schedule.total_steps:,} steps"]
    if schedule.rungs:
        parts.append(f"stopped early after step {' or '.join(f'{step:,}' for step in schedule.rungs)} if behind")
    if num_done:
        parts.append(f"goes on: {num_done} are done")
    return ", ".join(parts) + f"; each writes to {search.folder.path / 'trials' / 'trial_*' / 'output.log'}"


def _are_done(search: Search, stop_request: StopRequest) -> bool:
    """Whether all trials have a result; why not is said."""
    missing = [spec for spec in search.specs if spec.files.result() is None]
    if missing and stop_request.is_set:
        found = [one for one in _results(search) if one is not None]
        write_tables(search.folder, search.specs, search.about(best_trial(found), None))
        if stop_request.is_ctrl_c:
            raise KeyboardInterrupt
        number = search.config.trials - len(missing)
        said = f"stopped: {number} of {search.config.trials} trials are done, the others saved"
        print(f"{said}; run the same command again to go on", file=sys.stderr)
    elif missing:
        first = missing[0].files
        raise WorkFailedError(
            f"{len(missing)} of {search.config.trials} trials could not be finished, the first {first.name}: "
            f"{first.last_output_line() or 'it was never started'}; run the same command again to go on"
        )
    return not missing


def _finish(search: Search, results: Sequence[TrialResult]) -> None:
    """Choose the best, compare it with the default on test, write and say everything."""
    best, default = best_trial(results), results[DEFAULT_TRIAL]
    if best is None:
        write_tables(search.folder, search.specs, search.about(None, None))
        raise WorkFailedError(f"no trial was trained to the end, the first because: {results[0].reason}")
    comparison = None
    base = shared_settings(dataclasses.asdict(search.base))
    write_whole(search.folder.best, best_recipe(base, best, search.about(best, None)).encode())
    if default.metric is not None:
        from trainer.tuning.outcome.comparison import compare_once

        comparison = compare_once(search.folder, search.config.manifest, search.base, best, default)
    if not search.config.keep_checkpoints:
        remove_checkpoints(search.folder, results)
    page = write_tables(search.folder, search.specs, search.about(best, comparison))
    print("\n".join([*_verdict(search, best, default, comparison), f"recipe: {search.folder.best}", f"page: {page}"]))


def _verdict(
    search: Search, best: TrialResult, default: TrialResult, comparison: Mapping[str, Any] | None
) -> list[str]:
    """What came out, in lines."""
    name = search.config.metric
    lines = [f"best on val: trial {best.trial}, {format_settings(best.settings)}: {name} {_percent(best.metric)}"]
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
    interval = f"{100 * top1['low']:+.1f} to {100 * top1['high']:+.1f}"
    lines.append(
        f"{pictures}: top-1 {sides[0]} against {sides[1]}, difference {100 * top1['value']:+.1f} points "
        f"(95 % interval {interval}), p = {difference['p_value']:.3g}"
    )
    return lines


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f} %"
