"""A model's card: README.md for people and the model hub, made of records alone; equal records give equal bytes.

The text is Markdown, so Jinja's autoescape, which is for HTML, is off: it would leave `|`, `*` and `[` in a species
name as they are and turn an apostrophe into an entity. In its place every value that the template prints goes through
`escaped`, and none can be forgotten: only `Markdown`, made in this file, is printed as it is.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from evaluation.benchmarks.published_figures import SOURCE
from evaluation.report import words
from release.card.card_facts import CardFacts
from release.card.data_facts import DataRecord, LicenceCount
from release.card.front_matter import front_matter
from release.card.licences import statements
from release.card.limits import limits, name_of
from release.card.recipe import PUBLISHED
from release.card.result_facts import Measured
from release.card.words import Markdown, escaped

_TEMPLATE = "card.md.jinja"

MAX_LICENCES = 40
"""Rows of the table of licences; the rest is summed up in one."""


def write_card(facts: CardFacts) -> str:
    """The card's text, ending in a line feed."""
    headlines = [one for one in facts.results if one.headline]
    context = {
        "facts": facts,
        "front": Markdown(front_matter(facts)),
        "run": facts.run,
        "has_settings": facts.run is not None and bool(facts.run.settings),
        "is_published_recipe": facts.run is not None and facts.run.recipe in PUBLISHED and facts.run.is_built_in,
        "data": facts.data,
        "licence_rows": _licence_rows(facts.data),
        "statements": statements(facts.data) if facts.data else [],
        "headlines": headlines,
        "published": [one for one in headlines if one.published],
        "published_models": [one.model for one in next((one.published for one in headlines if one.published), ())],
        "source": SOURCE,
        "limits": limits(facts),
    }
    text = _environment().get_template(_TEMPLATE).render(context)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"


def _licence_rows(data: DataRecord | None) -> list[LicenceCount]:
    """The rows of the table: the most frequent licences, and the rest as one."""
    licences = list(data.licences or ()) if data else []
    if len(licences) <= MAX_LICENCES:
        return licences
    rest = licences[MAX_LICENCES:]
    splits = {name: sum(one.pictures.get(name, 0) for one in rest) for one in rest for name in one.pictures}
    others = LicenceCount(f"{len(rest)} others", splits, sum(one.without_attribution for one in rest))
    return [*licences[:MAX_LICENCES], others]


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,
        finalize=escaped,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "num": words.number,
        "level": words.level,
        "share": _share,
        "metric": lambda name: words.METRICS.get(name, name),
        "figure": _figure,
        "published": _published_cell,
        "result_name": name_of,
        "counts": _counts,
    }
    return environment


def _share(value: Any) -> str:
    """`80.7 (72.5 to 88.8)`, percent, of a figure; a plain share without the interval."""
    if value is None or isinstance(value, int | float):
        return words.percent(value)
    ends = words.interval({"low": value.low, "high": value.high})
    return words.percent(value.value) + (f" ({ends})" if ends else "")


def _figure(one: Measured, name: str) -> str:
    """A metric of a result: percent, but for the distance, which counts ranks."""
    figure = one.metrics.get(name)
    if figure is None:
        return words.NOTHING
    if name != "lca_distance":
        return _share(figure)
    ends = "" if figure.low is None or figure.high is None else f" ({figure.low:.2f} to {figure.high:.2f})"
    return ("" if figure.value is None else f"{figure.value:.2f}") + ends


def _counts(counts: Mapping[str, int]) -> str:
    """`sci 3,127, taxon 3,155`; empty for none."""
    return ", ".join(f"{name} {words.number(count)}" for name, count in counts.items())


def _published_cell(one: Measured, model: str) -> str:
    figures: Mapping[str, str] = {
        figure.model: f"{figure.top1:.1f} ± {figure.half_width:g}" for figure in one.published
    }
    return figures.get(model, words.NOTHING)
