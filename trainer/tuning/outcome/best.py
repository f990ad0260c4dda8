"""The best trial: which it is, what becomes of the others' checkpoints, and its recipe."""

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from taxonomy.toml_text import to_toml
from trainer.tuning.plan.space import DEFAULT_TRIAL, NAMES
from trainer.tuning.search_folder import SearchFolder
from trainer.tuning.trials.folder import OK, TrialResult


def best_trial(results: Sequence[TrialResult]) -> TrialResult | None:
    """Of the trials that were trained to the end, the one with the highest metric; of equals the first.

    Those stopped early are left out: their metric is one of fewer steps.
    """
    whole = [one for one in results if one.status == OK and one.metric is not None]
    return max(whole, key=lambda one: (one.metric or 0.0, -one.trial), default=None)


def remove_checkpoints(folder: SearchFolder, results: Sequence[TrialResult]) -> None:
    """Remove the checkpoints of trials that are done and can neither become the best nor are the default.

    A trial that is worse than the best so far never becomes the best.
    """
    best = best_trial(results)
    for result in results:
        files = folder.trial(result.trial)
        if result.trial not in (DEFAULT_TRIAL, best and best.trial) and not files.is_running():
            shutil.rmtree(files.path / "checkpoints", ignore_errors=True)


def best_recipe(base: Mapping[str, Any], best: TrialResult, about: Mapping[str, Any]) -> str:
    """The best trial's settings as TOML that `--recipe` takes, with where they come from.

    Args:
        base: the settings as the recipe and the flags gave them.
        best: the trial.
        about: as for the page.
    """
    where = "the recipe's own settings, trial 0" if best.trial == about["default"] else f"trial {best.trial}"
    lines = [
        f"# The best of {about['num_trials']} trials over {', '.join(NAMES)}: {where}.",
        f"# Begun from the recipe {about['recipe']!r}; scheduler {about['scheduler']}, seed {about['seed']}.",
        f"# Chosen by {about['metric']}: {best.metric:.4f} after {best.steps:,} steps. On test: see comparison.json.",
    ]
    searched = {name: best.settings[name] for name in NAMES}
    return "\n".join(lines) + "\n\n" + to_toml(searched) + "\n" + to_toml({**base, **dict.fromkeys(NAMES)})
