"""What a training run recorded about itself: its settings, its log and where its checkpoint stands. No torch.

Read from `<logs>/<name>/` (config.toml, train.jsonl, checkpoints/step_*/state.json), from a checkpoint folder that
was moved elsewhere, or from the folder that `taxaflow export` made.
"""

import json
import statistics
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.loading.facts import STATE_FILE, STEP_FOLDER, WEIGHTS_FILE, newest_checkpoint
from release.card.card_facts import read_facts
from release.card.recipe import from_published, from_recipe, published_recipe, recipe_name, setting_texts
from release.card.run_facts import RunRecord, TrainingLog
from release.card.words import one_line
from taxonomy.errors import BadInputError


@dataclass(frozen=True)
class _Place:
    """Where the files of a run are; None where there is none."""

    run: Path | None
    checkpoint: Path | None


def read_run(path: Path) -> RunRecord | None:
    """What is recorded of the run that a model comes from; None where there is no record.

    Args:
        path: a run's folder (its newest checkpoint is meant), one of its checkpoints or files, a checkpoint folder by
            itself, or an exported folder.

    Raises:
        BadInputError: a record is there and cannot be read.
    """
    place = _place(path)
    if place is None:
        stored = read_facts(path) if path.is_dir() else None
        return stored.run if stored else None
    state = _read_json(place.checkpoint / STATE_FILE, dict) if place.checkpoint else {}
    config = _config(place, state)
    step = _whole(state.get("step"))
    recipe, is_built_in = recipe_name(config)
    ranks = _read_json(place.checkpoint / "ranks.json", list) if place.checkpoint else None
    return RunRecord(
        name=_name(place, config),
        recipe=recipe,
        is_built_in=is_built_in,
        from_recipe=from_recipe(config),
        published_recipe=published_recipe(config),
        from_published=from_published(config),
        settings=setting_texts(config),
        step=step,
        epoch=_whole(state.get("epoch")),
        samples_seen=_whole(state.get("samples_seen")),
        num_ranks=len(ranks) if ranks else None,
        data_sha256=_data_sha256(ranks or []),
        log=_log(place, step),
    )


def train_manifest(path: Path) -> Path | None:
    """The dataset's manifest that the run was started with, if it was one and is still there."""
    place = _place(path)
    if place is None:
        return None
    state = _read_json(place.checkpoint / STATE_FILE, dict) if place.checkpoint else {}
    config = _config(place, state)
    named = config.get("train_data")
    if config.get("dataset_type") != "shards" or not isinstance(named, str) or not Path(named).is_file():
        return None
    return Path(named)


def _place(path: Path) -> _Place | None:
    if path.name == WEIGHTS_FILE and (path.parent / STATE_FILE).is_file():
        path = path.parent
    if path.is_file():  # a file in the published form stands beside the checkpoints
        run = path.parent.parent
        return _Place(run, None) if path.parent.name == "checkpoints" and (run / "config.toml").is_file() else None
    if (path / STATE_FILE).is_file():
        run = path.parent.parent if path.parent.name == "checkpoints" else None
        is_run = run is not None and STEP_FOLDER.fullmatch(path.name) and (run / "train.jsonl").is_file()
        return _Place(run if is_run else None, path)
    newest = newest_checkpoint(path) if path.is_dir() else None
    return _Place(path, newest) if newest is not None or (path / "config.toml").is_file() else None


def _config(place: _Place, state: Mapping[str, Any]) -> Mapping[str, Any]:
    """The run's settings: those in the checkpoint, which hold its recipe, else those beside it."""
    if isinstance(state.get("config"), Mapping):
        return state["config"]
    file = place.run / "config.toml" if place.run else None
    if file is None or not file.is_file():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInputError(f"{file} cannot be read: {error}") from error


def _name(place: _Place, config: Mapping[str, Any]) -> str | None:
    name = place.run.resolve().name if place.run else config.get("name")
    return one_line(name) if isinstance(name, str) and name else None


def _data_sha256(ranks: list[Any]) -> str | None:
    first = ranks[0] if ranks and isinstance(ranks[0], Mapping) else {}
    position = first.get("position")
    found = position.get("data_sha256") if isinstance(position, Mapping) else None
    return found if isinstance(found, str) else None


def _log(place: _Place, step: int | None) -> TrainingLog | None:
    file = place.run / "train.jsonl" if place.run else None
    if file is None or not file.is_file() or (step is None and place.checkpoint is None):
        return None  # of a file whose step is not known no line is known to be of it
    try:
        with file.open("rb") as lines:
            return summary_of(lines, step)
    except OSError as error:
        raise BadInputError(f"{file}: {error.strerror}") from error


def summary_of(lines: Iterable[bytes], step: int | None) -> TrainingLog:
    """What the lines of a train.jsonl say.

    Args:
        lines: in their order.
        step: of the checkpoint; later lines only count as `later_steps`. None takes all.
    """
    steps, events, num_unreadable = _sorted_out(lines)
    last = max((line["step"] for line in (*steps, *events)), default=0)
    until = last if step is None else step
    steps, events = ([line for line in part if line["step"] <= until] for part in (steps, events))
    with_loss = [line for line in steps if _is_number(line.get("loss"))]
    evaluations = [line for line in events if line["event"] == "evaluation"]
    evaluation = evaluations[-1] if evaluations else {}
    rates = [line["images_per_s"] for line in steps if _is_number(line.get("images_per_s"))]
    return TrainingLog(
        first_step=with_loss[0]["step"] if with_loss else None,
        first_loss=with_loss[0]["loss"] if with_loss else None,
        last_step=with_loss[-1]["step"] if with_loss else None,
        last_loss=with_loss[-1]["loss"] if with_loss else None,
        images_per_s=statistics.median(rates) if rates else None,
        captions=_sums(steps, "captions"),
        bad_samples=_sums(steps, "bad_samples"),
        skipped_steps=max((_whole(line.get("skipped_steps")) or 0 for line in steps), default=0),
        resumes=tuple(line["step"] for line in events if line["event"] == "resume"),
        is_done=any(line["event"] == "done" and line["step"] == until for line in events),
        later_steps=max(0, last - until),
        num_unreadable_lines=num_unreadable,
        evaluation_step=evaluation.get("step"),
        evaluation={
            one_line(name): float(value)
            for name, value in evaluation.items()
            if name not in ("event", "step") and _is_number(value)
        },
    )


def _sorted_out(lines: Iterable[bytes]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
    """Logged steps, events, and how many lines are neither."""
    steps: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    num_unreadable = 0
    for line in lines:
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict) or _whole(content.get("step")) is None:
            num_unreadable += 1
        elif "event" in content:
            events.append(content)
        else:
            steps.append(content)
    return steps, events, num_unreadable


def _sums(lines: Iterable[Mapping[str, Any]], name: str) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for line in lines:
        counts = line.get(name)
        if isinstance(counts, Mapping):
            sums.update({one_line(key): value for key, value in counts.items() if _whole(value) is not None})
    return dict(sorted(sums.items()))


def _read_json(file: Path, kind: type) -> Any:
    """The content of a JSON file; an empty one of its kind where there is none.

    Raises:
        BadInputError: it is damaged or of another kind.
    """
    if not file.is_file():
        return kind()
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInputError(f"{file} cannot be read: {error}") from error
    if not isinstance(content, kind):
        raise BadInputError(f"{file} is no {'table' if kind is dict else 'list'}: the checkpoint is damaged")
    return content


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and value == value and abs(value) != float("inf")
