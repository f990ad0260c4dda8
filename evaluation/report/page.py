"""The page of `report`: one file, no network, drawn in the browser from the figures inside it.

Names come from strangers: Jinja escapes them in the markup, `as_script_data` in the data, and the page's own script
only ever sets them as text. A content policy in the page forbids everything that is not in the file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from evaluation.benchmarks.published_figures import PUBLISHED_TOP1, SOURCE
from evaluation.report import figures, words
from evaluation.report.columns import Column, columns_of, find_column, rows_of
from evaluation.report.page_data import MAX_CLASSES, as_script_data, script_data
from evaluation.report.summaries import pairs_against
from evaluation.results.result import read_results
from taxonomy.whole_file import write_whole

FILE_NAME = "report.html"
_TEMPLATE = "page.html.jinja"


def write_report(results_dir: Path, out: Path | None = None, against: str | None = None) -> Path:
    """Path of the page, there whole; equal results give equal bytes.

    Args:
        results_dir: folder of result files, with predictions and thumbnails beside them.
        out: the page; None writes report.html into the folder of results.
        against: label, name or hash of the model that all others are compared with; None takes the first.

    Raises:
        BadInputError: no results, a damaged one, or no such model.
        WorkFailedError: the page could not be written, as on a full disk.
    """
    text = render(results_dir, read_results(results_dir), against)
    path = out or results_dir / FILE_NAME
    write_whole(path, text.encode())
    return path


def render(folder: Path, records: Sequence[Mapping[str, Any]], against: str | None = None) -> str:
    """The page's HTML; equal records give equal text, in whatever order they come.

    Args:
        folder: of the results, for predictions and thumbnails.
        records: at least one.
        against: as for `write_report`.

    Raises:
        BadInputError: no such model.
    """
    columns = columns_of(records)
    base = find_column(columns, against) if against else columns[0]
    rows = rows_of(records, columns)
    pairs = pairs_against(folder, rows, columns, base)
    context = {
        "columns": [{"label": column.label, "colour": figures.colour(columns, column)} for column in columns],
        "published": list(PUBLISHED_TOP1),
        "source": SOURCE,
        "overview": figures.overview(rows, columns),
        "aggregates": figures.aggregate_table(rows, columns),
        "base": base.label,
        "pairs": figures.pair_tables(pairs, columns),
        "left_out": figures.left_out(rows),
        "facts": figures.model_facts(columns, records),
        "nothing": words.NOTHING,
        "max_classes": MAX_CLASSES,
        "data": as_script_data(script_data(folder, rows, columns)),
        **_headings(columns, rows),
    }
    return _environment().get_template(_TEMPLATE).render(context)


def _headings(columns: Sequence[Column], rows: Sequence[Any]) -> dict[str, Any]:
    num_benchmarks = len({row.benchmark for row in rows})
    models = f"{len(columns)} model{'s' if len(columns) > 1 else ''}"
    benchmarks = f"{num_benchmarks} benchmark{'s' if num_benchmarks > 1 else ''}"
    images = {row.benchmark: max(record["num_images"] for record in row.shown.values()) for row in rows}
    return {"heading": f"{models} on {benchmarks}", "num_images": words.number(sum(images.values()))}


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["num"] = words.number
    return environment
