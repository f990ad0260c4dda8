"""What a search leaves for people: the table of trials, the page, the best recipe."""

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.results.whole_file import write_whole
from taxonomy.toml_text import to_toml
from trainer.tuning.page import write_page
from trainer.tuning.search_folder import SearchFolder, write_json
from trainer.tuning.space import DEFAULT, NAMES
from trainer.tuning.trial_folder import OK, RUNNING, Result, TrialFolder
from trainer.tuning.trial_run import Spec


def best_of(results: Sequence[Result]) -> Result | None:
    """Of the trials that were trained to the end, the one with the highest metric; of equals the first.

    Those stopped early are left out: their metric is one of fewer steps.
    """
    whole = [one for one in results if one.status == OK and one.metric is not None]
    return max(whole, key=lambda one: (one.metric or 0.0, -one.trial), default=None)


def drop_checkpoints(folder: SearchFolder, results: Sequence[Result]) -> None:
    """Remove the checkpoints of trials that are done and can neither become the best nor are the default.

    A trial that is worse than the best so far never becomes the best.
    """
    best = best_of(results)
    for result in results:
        files = folder.trial(result.trial)
        if result.trial not in (DEFAULT, best and best.trial) and not files.is_running():
            shutil.rmtree(files.path / "checkpoints", ignore_errors=True)


def write_tables(folder: SearchFolder, specs: Sequence[Spec], about: Mapping[str, Any]) -> Path:
    """The page's path: it, trials.csv and trials.json are written from what the trials' folders say.

    Raises:
        WorkFailedError: one could not be written.
    """
    rows = [_row(spec) for spec in specs if spec.files.path.is_dir()]
    write_json(folder.path / "trials.json", rows)
    write_whole(folder.path / "trials.csv", _csv(rows).encode())
    return write_page(folder.path, rows, about)


def _row(spec: Spec) -> dict[str, Any]:
    """A trial as the page wants it."""
    files: TrialFolder = spec.files
    result, evaluations = files.result(), files.evaluations(spec.metric)
    return {
        "trial": spec.number,
        "status": RUNNING if result is None else result.status,
        "settings": dict(spec.settings),
        "metric": evaluations[-1][1] if result is None and evaluations else result and result.metric,
        "steps": files.steps() if result is None else result.steps,
        "seconds": files.seconds() if result is None else result.seconds,
        "curve": files.curve(),
        "evals": evaluations,
        "reason": result and result.reason,
    }


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    plain = ("metric", "steps", "seconds", "reason")
    table.writerow(["trial", "status", *NAMES, *plain])
    for row in rows:
        settings = [repr(row["settings"][name]) for name in NAMES]
        table.writerow([row["trial"], row["status"], *settings, *(row[name] for name in plain)])
    return text.getvalue()


def best_recipe(base: Mapping[str, Any], best: Result, about: Mapping[str, Any]) -> str:
    """The best trial's settings as TOML that `--recipe` takes, with where they come from.

    Args:
        base: the settings as the recipe and the flags gave them.
        best: the trial.
        about: as for the page.
    """
    where = "the recipe's own settings, trial 0" if best.trial == about["default"] else f"trial {best.trial}"
    lines = [
        f"# The best of {about['num_trials']} trials over {', '.join(NAMES)}: {where}.",
        f"# Begun from the recipe {about['recipe']}; scheduler {about['scheduler']}, seed {about['seed']}.",
        f"# Chosen by {about['metric']}: {best.metric:.4f} after {best.steps:,} steps. On test: see comparison.json.",
    ]
    searched = {name: best.settings[name] for name in NAMES}
    return "\n".join(lines) + "\n\n" + to_toml(searched) + "\n" + to_toml({**base, **dict.fromkeys(NAMES)})
