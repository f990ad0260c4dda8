"""Best and default on the test split, once: the same pictures through both models, compared picture by picture."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evaluation.benchmarks.benchmark import FIXED, SCIENTIFIC_NAME, Benchmark
from evaluation.benchmarks.shards import open_shards
from evaluation.distributed import find_device
from evaluation.evaluate import run
from evaluation.metrics.paired import compare
from evaluation.model import ModelRequest
from evaluation.open_encoder import open_encoder, set_precision
from evaluation.results.predictions_file import predictions_path, read_predictions
from evaluation.results.result import file_name
from evaluation.run_options import HEADLINE, RunOptions
from taxonomy.errors import WorkFailedError
from trainer.settings.config import TrainConfig
from trainer.tuning.search_folder import SearchFolder, write_json
from trainer.tuning.trials.folder import TrialResult

SPLIT = "test"
_FIGURES = ("top1", "balanced_accuracy")


def compare_once(
    folder: SearchFolder, manifest: Path, base: TrainConfig, best: TrialResult, default: TrialResult
) -> Mapping[str, Any]:
    """What comparison.json says: figures of both on test, and their difference, best less default; 95 % intervals.

    Where it exists and is of these two, it is read and nothing is evaluated; a search that got more trials may have
    another best. The two are evaluated as the trainer does on val; their results and guesses are kept in `test/`. If
    the best is the default, the difference is None.

    Raises:
        BadInputError: a checkpoint or the split cannot be used any more.
        WorkFailedError: no picture could be read, a result not be written, or comparison.json is damaged.
    """
    if (known := _read(folder.comparison)) is not None and known["best"]["trial"] == best.trial:
        return known
    benchmark = _benchmark(manifest)
    records = {one.trial: _evaluated(folder, benchmark, base, one) for one in (default, best)}
    content: dict[str, Any] = {
        "split": SPLIT,
        "benchmark": benchmark.name,
        "num_images": records[default.trial][0]["num_images"],
        "best": _side(best, records[best.trial][0]),
        "default": _side(default, records[default.trial][0]),
        "best_is_default": best.trial == default.trial,
        "difference": None,
    }
    if best.trial != default.trial:
        found = compare(*(read_predictions(records[one.trial][1]) for one in (best, default)))
        content["difference"] = {
            **{name: getattr(found, name).to_dict() for name in _FIGURES},
            "p_value": found.p_value,
            "num_only_best_right": found.num_only_a_right,
            "num_only_default_right": found.num_only_b_right,
            "num_images": found.num_images,
        }
    write_json(folder.comparison, content)
    return content


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
        return content if content["best"]["trial"] >= 0 else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WorkFailedError(f"{path} is damaged ({error}); remove it, and the comparison is made again") from error


def _benchmark(manifest: Path) -> Benchmark:
    """The test split without roll-ups, as the trainer takes the val split."""
    benchmark = open_shards(manifest, SPLIT, "--train-data")
    return replace(benchmark, rows=replace(benchmark.rows, lineage={}))


def _evaluated(
    folder: SearchFolder, benchmark: Benchmark, base: TrainConfig, result: TrialResult
) -> tuple[Mapping[str, Any], Path]:
    """The record of a trial's last checkpoint, and the file of its guesses."""
    trial, out = folder.trial(result.trial), folder.path / "test" / f"trial_{result.trial:03d}"
    device = find_device(base.device)
    set_precision("fp32", device)
    encoder = open_encoder(ModelRequest(str(trial.path)), device)
    options = RunOptions(
        taxa=(HEADLINE,),
        class_list=FIXED,
        prompt_set="sci" if benchmark.headline == SCIENTIFIC_NAME else "com",
        out=out,
        batch_size=base.zeroshot_batch_size,
        num_workers=base.workers,
        model={
            "name": trial.name,
            "activation": encoder.facts.activation,
            "activation_source": encoder.facts.activation_source,
        },
    )
    (record,) = run(benchmark, encoder, options)
    return record, predictions_path(out / file_name(record))


def _side(result: TrialResult, record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "trial": result.trial,
        "settings": dict(result.settings),
        "val": result.metric,
        **{name: record["metrics"][name] for name in _FIGURES},
    }
