"""The tables of trials: trials.json, trials.csv and the page."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taxonomy.whole_file import write_whole
from trainer.tuning.page.page import write_page
from trainer.tuning.plan.space import NAMES
from trainer.tuning.search_folder import SearchFolder, write_json
from trainer.tuning.trials.folder import RUNNING, TrialFolder
from trainer.tuning.trials.spec import TrialSpec


def write_tables(folder: SearchFolder, specs: Sequence[TrialSpec], about: Mapping[str, Any]) -> Path:
    """The page's path: it, trials.csv and trials.json are written from what the trials' folders say.

    Raises:
        WorkFailedError: one could not be written.
    """
    rows = [_row(spec) for spec in specs if spec.files.path.is_dir()]
    write_json(folder.path / "trials.json", rows)
    write_whole(folder.path / "trials.csv", _csv(rows).encode())
    return write_page(folder.path, rows, about)


def _row(spec: TrialSpec) -> dict[str, Any]:
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
