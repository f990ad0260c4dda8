"""The page of `count`, reports/taxa.html: one file, no network, drawn in the browser from the numbers inside it.

Names come from strangers: Jinja escapes them in the markup, `_as_script_data` in the data, and the page's own script
only ever sets them as text. A content policy in the page forbids everything that is not in the file.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from spark_jobs import taxa_figures
from taxonomy.ranks import CATEGORIES, OTHER_CATEGORY, RANKS
from taxonomy.whole_file import write_whole

NUM_TOP_SPECIES = 40
"""Species in the list of the most photographed. Source: BioTrove's figures."""

_TEMPLATE = "taxa_page.html.jinja"
_ALL_CATEGORIES = (*CATEGORIES, OTHER_CATEGORY)


@dataclass(frozen=True)
class Thresholds:
    """The thresholds asked for: fewer photos than `rare`, more photos than `cap`."""

    rare: int
    cap: int


def render(species: pd.DataFrame, categories: pd.DataFrame, thresholds: Thresholds) -> str:
    """The page's HTML; equal rows give equal text, in whatever order they come.

    Args:
        species: the rows of species_counts, missing texts None.
        categories: the rows of category_counts.
        thresholds: drawn into the figures and the first values of the page's own filter.
    """
    ordered = species.sort_values(["num_photos", "taxon_id"], ascending=[False, True], kind="stable")
    num_photos = ordered["num_photos"].to_numpy()
    category_rows = _category_rows(categories)
    context = {
        "totals": _totals(ordered, thresholds),
        "categories": category_rows,
        "top_species": _top_rows(ordered),
        "kept": taxa_figures.kept_by(num_photos, _thresholds_shown(thresholds)),
        "thresholds": thresholds,
        "data": _as_script_data(_script_data(ordered, [row["category"] for row in category_rows], thresholds)),
        "listed": min(len(ordered), taxa_figures.LISTED_SPECIES),
    }
    return _environment().get_template(_TEMPLATE).render(context)


def write(path: Path, text: str) -> bool:
    """Write the page, whole or not at all; False where the file has these bytes already."""
    content = text.encode()
    if path.exists() and path.read_bytes() == content:
        return False
    write_whole(path, content)
    return True


def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"num": format_number, "short": format_short_number, "share": format_share}
    return environment


def _totals(species: pd.DataFrame, thresholds: Thresholds) -> dict[str, Any]:
    num_photos = species["num_photos"]
    frequent = num_photos[num_photos >= thresholds.rare]
    return {
        "photos": int(num_photos.sum()),
        "species": len(species),
        "groups": int(species["num_groups"].sum()),
        "top_photos": int(num_photos.head(NUM_TOP_SPECIES).sum()),
        "median": float(num_photos.median()) if len(species) else 0.0,
        "half": taxa_figures.species_with_half(num_photos.to_numpy()),
        "frequent_species": len(frequent),
        "frequent_photos": int(frequent.sum()),
        "over_cap": int((num_photos > thresholds.cap).sum()),
        "capped_photos": int(num_photos.clip(upper=thresholds.cap).sum()),
    }


def _category_rows(categories: pd.DataFrame) -> list[dict[str, Any]]:
    """Most photos first; every list of categories on the page has this order."""
    rows = categories.to_dict("records")
    most_photos = max((row["num_photos"] for row in rows), default=1)
    most_species = max((row["num_species"] for row in rows), default=1)
    for row in rows:
        row["colour"] = _colour(row["category"])
        row["photos_percent"] = _percent(row["num_photos"], most_photos)
        row["species_percent"] = _percent(row["num_species"], most_species)
    return sorted(rows, key=lambda row: (-row["num_photos"], row["colour"]))


def _top_rows(ordered: pd.DataFrame) -> list[dict[str, Any]]:
    top = ordered.head(NUM_TOP_SPECIES)
    most_photos = max(top["num_photos"].tolist(), default=1)
    return [
        {
            "name": " ".join(part for part in (row["genus"], row["species"]) if part),
            "common_name": row["common_name"],
            "category": row["category"],
            "colour": _colour(row["category"]),
            "num_photos": row["num_photos"],
            "percent": _percent(row["num_photos"], most_photos),
        }
        for row in top.to_dict("records")
    ]


def _colour(category: str) -> int:
    """The number of the category's colour, the same whichever categories are there."""
    return _ALL_CATEGORIES.index(category)


def _thresholds_shown(thresholds: Thresholds) -> list[int]:
    return [*taxa_figures.COMMON_THRESHOLDS, max(thresholds.rare, 1), thresholds.cap]


def _script_data(ordered: pd.DataFrame, categories: list[str], thresholds: Thresholds) -> dict[str, Any]:
    return {
        "categories": categories,
        "colours": [_colour(category) for category in categories],
        "ranks": RANKS,
        "thresholds": asdict(thresholds),
        "tail": taxa_figures.rank_abundance(ordered),
        "histogram": taxa_figures.histogram(ordered["num_photos"].to_numpy()),
        "frequencies": taxa_figures.frequencies(ordered),
        "taxonomy": taxa_figures.taxonomy_tree(ordered, categories, taxa_figures.LISTED_SPECIES),
    }


def _as_script_data(value: object) -> Markup:
    """JSON that may stand inside a script element, whatever the texts in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # the signs that could end the element are gone


def format_number(value: float) -> str:
    """The number with thousands separated, one decimal at most."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def format_short_number(value: float) -> str:
    """The number as people say it: 950, 12.3 k, 4.6 M."""
    for unit_size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        # Three digits decide: 999,950 is 1 M, not 1,000 k.
        rounded = float(f"{value:.3g}")
        if rounded >= max(unit_size, 1e4):
            return f"{rounded / unit_size:g} {unit}"
    return format_number(value)


def format_share(part: float, whole: float) -> str:
    """A part as a percentage: one decimal below 10 %, never 0 % for something nor 100 % for less than all."""
    if not whole or not part:
        return "0 %"
    percent = 100 * part / whole
    if part < whole and percent >= 99.95:
        return "> 99.9 %"
    if percent < 0.1:
        return "< 0.1 %"
    return f"{percent:.1f} %" if percent < 10 or 99 < percent < 100 else f"{percent:.0f} %"


def _percent(part: float, whole: float) -> str:
    """The length of a bar as a CSS percentage."""
    return f"{100 * part / whole:.2f}%"
