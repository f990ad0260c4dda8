"""Records sorted into a table: a column per model, a row per benchmark and class list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from evaluation.benchmarks.benchmark import CLASS_LISTS, COMMON_NAME, NINE_LEVELS, PUBLISHED
from evaluation.benchmarks.published_figures import PAPERS_EIGHT
from evaluation.benchmarks.registry import REGISTRY
from taxonomy.errors import BadInputError

Record = Mapping[str, Any]

_ORDER = (*PAPERS_EIGHT, *(name for name in REGISTRY if name not in PAPERS_EIGHT))


@dataclass(frozen=True)
class Column:
    """One model as it was run: equal weights with another activation or protocol are another column.

    Attributes:
        key: hash, activation, protocol.
        label: unique on the page: the name, and what tells it from others of that name.
        name: the model's.
    """

    key: tuple[str, str, str]
    label: str
    name: str


@dataclass(frozen=True)
class Row:
    """One benchmark with one class list.

    Attributes:
        benchmark: its name.
        class_list: "published" or "fixed".
        taxon: the level that tables show: the headline if any model has it.
        tasks: taxon -> column -> record, levels in the order of the ranks, then roll-ups.
    """

    benchmark: str
    class_list: str
    taxon: str
    tasks: Mapping[str, Mapping[Column, Record]] = field(hash=False)

    @property
    def title(self) -> str:
        """What people call it; the corrected list and a level that is not the published one are named."""
        extras = [] if self.class_list == PUBLISHED else [f"{self.class_list} list"]
        extras += [] if any(record["headline"] for record in self.shown.values()) else [self.taxon]
        title = title_of(self.benchmark)
        return f"{title} ({', '.join(extras)})" if extras else title

    @property
    def shown(self) -> Mapping[Column, Record]:
        """Column -> record of the level that tables show."""
        return self.tasks[self.taxon]

    @cached_property
    def first(self) -> Record:
        """Any record, for what all share: classes, chance."""
        return next(iter(self.shown.values()))


def title_of(benchmark: str) -> str:
    """What people call a benchmark; those that are not published go by their name."""
    return REGISTRY[benchmark].title if benchmark in REGISTRY else benchmark


def columns_of(records: Sequence[Record]) -> list[Column]:
    """A column per (hash, activation, protocol), by name, activation and protocol; labels are unique."""
    names = {key_of(record): _short_name(record["model"]["name"]) for record in records}
    keys = sorted(names, key=lambda key: (names[key].casefold(), key[1], key[2], key[0]))
    several_protocols = len({key[2] for key in keys}) > 1
    labels: dict[tuple[str, str, str], str] = {}
    for key in keys:
        alike = [other for other in keys if names[other] == names[key]]
        parts = [names[key]]
        parts += [key[1]] if len({other[1] for other in alike}) > 1 else []
        parts += [key[2]] if several_protocols else []
        parts += [key[0][:8]] if len({other[0] for other in alike}) > 1 else []
        labels[key] = ", ".join(parts)
    return [Column(key, labels[key], names[key]) for key in keys]


def rows_of(records: Sequence[Record], columns: Sequence[Column]) -> list[Row]:
    """Published lists first, the paper's benchmarks first among them; columns in their order."""
    by_key = {column.key: column for column in columns}
    groups: dict[tuple[str, str], dict[str, dict[Column, Record]]] = {}
    for record in records:
        tasks = groups.setdefault((record["benchmark"], record["class_list"]), {})
        tasks.setdefault(record["taxon"], {})[by_key[key_of(record)]] = record
    rows = []
    for benchmark, class_list in sorted(groups, key=_place):
        tasks = groups[benchmark, class_list]
        ordered = {
            taxon: {column: tasks[taxon][column] for column in columns if column in tasks[taxon]}
            for taxon in sorted(tasks, key=_level)
        }
        rows.append(Row(benchmark, class_list, _shown_level(ordered), ordered))
    return rows


def find_column(columns: Sequence[Column], asked: str) -> Column:
    """The column that a user names by label, name, or at least four digits of the hash.

    Raises:
        BadInputError: none, or several.
    """
    found = [column for column in columns if column.label == asked]
    found = found or [column for column in columns if column.name in (asked, _short_name(asked))]
    found = found or [column for column in columns if len(asked) >= 4 and column.key[0].startswith(asked)]
    if len(found) != 1:
        labels = "; ".join(column.label for column in columns)
        raise BadInputError(f"--against {asked}: {'several models' if found else 'no such model'}; there are: {labels}")
    return found[0]


def _short_name(name: str) -> str:
    """A checkpoint goes by its run and file: where it lay on some machine says nothing."""
    if name.count("/") < 2:
        return name or "model"
    return "/".join([part for part in name.split("/") if part not in ("", "checkpoints")][-2:])


def key_of(record: Record) -> tuple[str, str, str]:
    """Key of the record's column."""
    model = record["model"]
    return model["hash"], model["activation"] or "", record["protocol"]


def _place(group: tuple[str, str]) -> tuple[int, int, str]:
    benchmark, class_list = group
    return CLASS_LISTS.index(class_list), _ORDER.index(benchmark) if benchmark in _ORDER else len(_ORDER), benchmark


def _level(taxon: str) -> tuple[bool, int, str]:
    rank = taxon.removeprefix("rollup_")
    return rank != taxon, NINE_LEVELS.index(rank) if rank in NINE_LEVELS else len(NINE_LEVELS), taxon


def _shown_level(tasks: Mapping[str, Mapping[Column, Record]]) -> str:
    """The headline, else the finest level."""
    headlines = [taxon for taxon, models in tasks.items() if any(record["headline"] for record in models.values())]
    direct = [taxon for taxon in tasks if not taxon.startswith("rollup_")]
    fine = [taxon for taxon in direct if taxon != COMMON_NAME]
    return (headlines or fine[-1:] or direct or list(tasks))[-1]
