"""What the page's own markup shows: places of dots and bars, texts of cells. The rest is drawn from page_data."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.benchmarks.benchmark import PUBLISHED
from evaluation.benchmarks.published_figures import PUBLISHED_NUM_CLASSES, PUBLISHED_TOP1
from evaluation.report import words
from evaluation.report.columns import Column, Record, Row, key_of, title_of
from evaluation.report.summaries import AGGREGATES, Pair, aggregates_of, published_aggregates

NUM_COLOURS = 7
"""Colours of models; an eighth model has the first one's again."""


_LEFT_OUT = {
    "num_missing": "without a file",
    "num_unreadable": "that cannot be read",
    "num_null_label": "without a label",
}


def colour(columns: Sequence[Column], column: Column) -> int:
    """Number of the model's colour."""
    return list(columns).index(column) % NUM_COLOURS


def overview(rows: Sequence[Row], columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Per benchmark: title, counts, a lane per model, and the published figures where the class list is that one."""
    return [
        {
            "number": number,
            "title": row.title,
            "classes": words.number(row.first["num_classes"]),
            "published_classes": _other_classes(row),
            "images": words.counts([record["num_images"] for record in row.shown.values()]),
            "chance": _place(row.first["chance"]),
            "majority": _place(row.first["majority"]),
            "chance_text": f"chance {words.percent(row.first['chance'])} %",
            "majority_text": f"always the most frequent class {words.percent(row.first['majority'])} %",
            "lanes": [_lane(column, columns, row.shown[column]) for column in columns if column in row.shown],
            "cells": [_cell(row.shown.get(column)) for column in columns],
            "published": published_of(row),
        }
        for number, row in enumerate(rows)
    ]


def _other_classes(row: Row) -> str:
    """Number of classes of the published figures where it is another one; empty where they can be compared."""
    number = PUBLISHED_NUM_CLASSES.get(row.benchmark)
    return words.number(number) if number != row.first["num_classes"] and published_of(row) else ""


def published_of(row: Row) -> list[dict[str, Any] | None]:
    """Per published model its figure, None where there is none; empty where the row is no published task."""
    is_published = row.class_list == PUBLISHED and row.first["headline"]
    figures = [models.get(row.benchmark) if is_published else None for models in PUBLISHED_TOP1.values()]
    if not any(figures):
        return []
    return [
        figure
        and {
            "name": name,
            "left": _place(figure.top1 / 100),
            "value": f"{figure.top1:.1f}",
            "interval": f"\N{PLUS-MINUS SIGN} {figure.half_width:.2g}",
        }
        for name, figure in zip(PUBLISHED_TOP1, figures, strict=True)
    ]


def _lane(column: Column, columns: Sequence[Column], record: Record) -> dict[str, Any]:
    metric = record["metrics"]["top1"]
    return {
        "label": column.label,
        "colour": colour(columns, column),
        "dot": _place(metric["value"]),
        "low": _place(metric["low"]),
        "width": _place(None if metric["low"] is None else metric["high"] - metric["low"]),
        "value": words.percent(metric["value"]),
        "interval": words.interval(metric),
    }


def _cell(record: Record | None) -> dict[str, str]:
    metric = record["metrics"]["top1"] if record else None
    return {"value": words.percent(metric["value"] if metric else None), "interval": words.interval(metric)}


def aggregate_table(rows: Sequence[Row], columns: Sequence[Column]) -> dict[str, Any]:
    """Rows of the four aggregates with a cell per model and per published model, and what each model lacks."""
    own = [aggregates_of(rows, column) for column in columns]
    papers = list(published_aggregates().values())
    lacking: dict[tuple[str, ...], list[str]] = {}
    for column, made in zip(columns, own, strict=True):
        lacking.setdefault(made["unweighted"].missing, []).append(column.label)
    return {
        "rows": [
            {
                "title": title,
                "cells": [words.percent(made[name].value) for made in own],
                "published": [words.percent(made[name].value) for made in papers],
            }
            for name, title in AGGREGATES.items()
        ],
        "missing": [
            (words.and_list(labels), words.and_list([title_of(name) for name in names]))
            for names, labels in lacking.items()
            if names
        ],
    }


def pair_tables(pairs: Mapping[Column, Sequence[Pair]], columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Per model the rows of its comparison; bars share one scale, from the widest interval of all."""
    made = [pair.comparison for own in pairs.values() for pair in own if pair.comparison]
    ends = [abs(end) for one in made for end in (one.top1.low, one.top1.high) if end is not None]
    scale = max([*ends, 0.01])
    return [
        {"label": column.label, "colour": colour(columns, column), "rows": [_pair_row(pair, scale) for pair in own]}
        for column, own in pairs.items()
    ]


def _pair_row(pair: Pair, scale: float) -> dict[str, Any]:
    one = pair.comparison
    if one is None:
        return {"title": pair.row.title, "reason": pair.reason}
    top1, balanced = one.top1.to_dict(), one.balanced_accuracy.to_dict()
    low, high = one.top1.low or 0, one.top1.high or 0
    known = {name: 0.5 + (end or 0) / scale / 2 for name, end in top1.items()}
    return {
        "title": pair.row.title,
        "reason": "",
        "images": words.number(one.num_images),
        "top1": words.points(top1["value"]),
        "interval": words.points_interval(top1),
        "balanced": words.points(balanced["value"]),
        "p_value": words.probability(one.p_value),
        "only_model": words.number(one.num_only_a_right),
        "only_base": words.number(one.num_only_b_right),
        "is_clear": low > 0 or high < 0,
        "dot": _place(known["value"]),
        "low": _place(known["low"]),
        "width": _place(known["high"] - known["low"]),
    }


def left_out(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Per benchmark with pictures left out, what each group of models with the same ones left out."""
    found = []
    for row in rows:
        groups: dict[str, dict[str, Any]] = {}
        for column, record in row.shown.items():
            counts = {name: record[name] for name in ("n_rows", "num_missing", "num_unreadable", "num_null_label")}
            lists = {"missing": record["missing"], "unreadable": record["unreadable"]}
            same = groups.setdefault(repr((counts, lists)), {**counts, **lists, "models": []})
            same["models"].append(column.label)
        for group in groups.values():
            counts = [f"{words.number(group[name])} {what}" for name, what in _LEFT_OUT.items() if group[name]]
            if counts:
                of_models = words.and_list(group["models"]) if len(groups) > 1 else ""
                found.append({"title": row.title, **group, "of_models": of_models, "counts": words.and_list(counts)})
    return found


def model_facts(columns: Sequence[Column], records: Sequence[Record]) -> list[dict[str, Any]]:
    """Per model what its figures were made with; several values where its benchmarks differ."""
    by_key: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        by_key.setdefault(key_of(record), []).append(record)
    return [_facts(column, columns, by_key[column.key]) for column in columns]


def _facts(column: Column, columns: Sequence[Column], own: Sequence[Record]) -> dict[str, Any]:
    model, shown = own[0]["model"], own[0]["preprocessing"]
    source = f", by {model['activation_source']}" if model["activation_source"] else ""
    scales = {words.number(record["prompts"]["logit_scale"]) for record in own}
    size = f"{shown['image_size']} px" if "image_size" in shown else ""
    return {
        "label": column.label,
        "colour": colour(columns, column),
        "hash": model["hash"],
        "pretrained": model["pretrained"] or words.NOTHING,
        "activation": f"{model['activation']}{source}" if model["activation"] else words.NOTHING,
        "protocol": column.key[2],
        "prompts": words.and_list(sorted({record["prompts"]["set"] for record in own})),
        "scale": words.and_list(sorted(scales)),
        "preprocessing": ", ".join(
            str(part) for part in (size, shown.get("interpolation"), shown.get("resize_mode")) if part
        ),
    }


def _place(share: float | None) -> str | None:
    """A share as a CSS percentage, kept inside the track."""
    return None if share is None else f"{100 * min(max(share, 0), 1):.2f}%"
