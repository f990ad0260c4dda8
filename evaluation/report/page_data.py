"""What the page's script draws a benchmark from: its tasks with classes, curves and confusions, and small pictures."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from evaluation.report import words
from evaluation.report.columns import Column, Record, Row
from evaluation.report.figures import colour, published_of
from evaluation.results.thumbnails import MAX_PAIRS

MAX_CLASSES = 3000
"""Classes of one task in the page; of more, those found worst."""

MAX_THUMBNAIL_BYTES = 40_000
"""Larger files are no thumbnails."""

MAX_PICTURES_BYTES = 12_000_000
"""Of all thumbnails together; a page of ten models stays one that can be sent."""

_THUMBNAIL = re.compile(r"thumbnails/[A-Za-z0-9_][A-Za-z0-9._-]*/\d+\.jpg")


def script_data(folder: Path, rows: Sequence[Row], columns: Sequence[Column]) -> dict[str, Any]:
    """JSON-able: models, benchmarks with their tasks, and the pictures by their path below the folder of results."""
    benchmarks = [_benchmark(row, columns) for row in rows]
    return {
        "models": [{"label": column.label, "colour": colour(columns, column)} for column in columns],
        "metrics": words.METRICS,
        "benchmarks": benchmarks,
        "pictures": _pictures(folder, [record for row in rows for record in row.shown.values()]),
    }


def _benchmark(row: Row, columns: Sequence[Column]) -> dict[str, Any]:
    return {
        "title": row.title,
        "shown": list(row.tasks).index(row.taxon),
        "published": [figure for figure in published_of(row) if figure],
        "tasks": [_task(taxon, models, columns, taxon == row.taxon) for taxon, models in row.tasks.items()],
    }


def _task(taxon: str, models: Mapping[Column, Record], columns: Sequence[Column], has_pictures: bool) -> dict[str, Any]:
    first = next(iter(models.values()))
    alike = {column: record for column, record in models.items() if _names(record) == _names(first)}
    kept = _kept_classes(list(alike.values()))
    return {
        "level": words.level(taxon),
        "rank": taxon.removeprefix("rollup_"),
        "is_rolled_up": taxon.startswith("rollup_"),
        "num_classes": first["num_classes"],
        "chance": first["chance"],
        "majority": first["majority"],
        "names": [first["per_class"][place]["name"] for place in kept],
        "models": [
            _model(columns.index(column), record, kept if column in alike else [], has_pictures)
            for column, record in models.items()
        ],
    }


def _names(record: Record) -> list[str]:
    return [row["name"] for row in record["per_class"]]


def _kept_classes(records: Sequence[Record]) -> list[int]:
    """Places in the class list of the classes shown, in its order."""
    tables = [record["per_class"] for record in records]
    shown = [place for place in range(len(tables[0])) if any(table[place]["n"] for table in tables)]
    if len(shown) <= MAX_CLASSES:
        return shown
    right = {place: sum(table[place]["right"] / max(1, table[place]["n"]) for table in tables) for place in shown}
    worst = sorted(shown, key=lambda place: (right[place], -tables[0][place]["n"], place))
    return sorted(worst[:MAX_CLASSES])


def _model(number: int, record: Record, kept: Sequence[int], has_pictures: bool) -> dict[str, Any]:
    """`confusions`: true, guessed, count, share, examples as [key, picture or null]."""
    return {
        "model": number,
        "images": record["num_images"],
        "metrics": {name: list(metric.values()) for name, metric in record["metrics"].items()},
        "paper": _ends(record["paper_interval"]),
        "others": _ends(record["other_species_interval"]),
        "n": [record["per_class"][place]["n"] for place in kept],
        "right": [record["per_class"][place]["right"] for place in kept],
        "bins": [
            [each["confidence"], each["accuracy"], each["n"]] for each in record["calibration"] or [] if each["n"]
        ],
        "curve": _curve(record["abstention"]),
        "aurc": (record["abstention"] or {}).get("aurc"),
        "shots": _shots(record),
        "confusions": [_confusion(each, has_pictures) for each in record["confusions"]],
    }


def _ends(metric: Mapping[str, float | None] | None) -> list[float | None] | None:
    return None if metric is None else [metric["low"], metric["high"]]


def _curve(abstention: Mapping[str, Any] | None) -> list[list[float]]:
    """Coverage, accuracy, threshold of each point that has pictures."""
    points = (abstention or {}).get("curve", [])
    return [[each["coverage"], each["accuracy"], each["threshold"]] for each in points if each["n"]]


def _shots(record: Record) -> list[list[Any]]:
    """What, mean, standard deviation and what it is over, of each few-shot figure and probe."""
    few, probe = record["few_shot"] or {}, record["linear_probe"] or {}
    found = [(f"{k}-shot", each) for k, each in few.get("shots", {}).items()]
    found.append((f"linear probe, {probe.get('k')} a class", probe.get("few_shot")))
    found.append(("linear probe, 4 of 5 pictures", probe.get("stratified")))
    return [
        [name, each["top1"]["mean"], each["top1"]["std"], _extent(each)]
        for name, each in found
        if each and each["top1"]["mean"] is not None
    ]


def _extent(shots: Mapping[str, Any]) -> str:
    """Over how many classes and pictures a few-shot figure is: classes with too few pictures are left out."""
    num_classes = shots["num_classes"]
    if "num_queries" not in shots:
        return f"{num_classes:,} classes, {shots['num_images']:,} pictures"
    total = num_classes + shots["num_classes_left_out"]
    return f"{num_classes:,} of {total:,} classes, {shots['num_queries']:,} pictures"


def _confusion(confusion: Mapping[str, Any], has_pictures: bool) -> list[Any]:
    examples = [[each["key"], _picture_of(each)] for each in confusion["examples"] if has_pictures]
    return [confusion["true"], confusion["guessed"], confusion["count"], confusion["share"], examples]


def _picture_of(example: Mapping[str, Any]) -> str | None:
    """Its path if it is one of a thumbnail; a result file from elsewhere may name any file."""
    path = example["thumbnail"]
    return path if path and _THUMBNAIL.fullmatch(path) else None


def _pictures(folder: Path, records: Sequence[Record]) -> dict[str, str]:
    """Path -> data address of the thumbnails that are there: the first of each confusion before any second one."""
    places: dict[str, tuple[int, int]] = {}
    for record in records:
        for rank, confusion in enumerate(record["confusions"][:MAX_PAIRS]):
            for place, example in enumerate(confusion["examples"]):
                path = _picture_of(example)
                if path:
                    places[path] = min(places.get(path, (place, rank)), (place, rank))
    found: dict[str, str] = {}
    room = MAX_PICTURES_BYTES
    for path in sorted(places, key=lambda path: (places[path], path)):
        content = _jpeg(folder / path)
        room -= len(content or b"")
        if content and room >= 0:
            found[path] = "data:image/jpeg;base64," + base64.b64encode(content).decode()
    return dict(sorted(found.items()))


def _jpeg(path: Path) -> bytes | None:
    try:
        content = path.read_bytes() if path.stat().st_size <= MAX_THUMBNAIL_BYTES else b""
    except OSError:
        return None
    return content if content.startswith(b"\xff\xd8\xff") else None


def as_script_data(value: object) -> Markup:
    """JSON that may stand inside a script element, whatever the texts in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # the signs that could end the element are gone
