"""Which labels lie under the taxa of a list: what a region, a garden or a survey can hold.

Shapes: C labels, G groups of a rank.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from inference.labels.arrow import compute as pc
from inference.labels.labels import COLUMNS, NAME, Labels
from inference.labels.lineage_groups import Groups, taxon_names
from inference.labels.list_file import cleaned, read_columns
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS

_COLUMNS = {
    NAME: (*COLUMNS[NAME], "name", "taxon"),
    **{rank: (*COLUMNS[rank], rank.capitalize()) for rank in RANKS},
}

_NAMES_SHOWN = 5
_NAMES_COMPARED = 5_000


@dataclass(frozen=True)
class WantedTaxon:
    """A taxon as a list names it.

    Attributes:
        name: in any case.
        rank: None for any, or a label itself.
        above: (rank, name) of the taxa that it lies under, as far as the list says them.
    """

    name: str
    rank: str | None = None
    above: tuple[tuple[str, str], ...] = ()

    def may_be_at(self, rank: str | None) -> bool:
        """Whether a taxon of this rank can be meant; None for a label itself, which is a species as a rule."""
        return self.rank in (None, rank) or (rank is None and self.rank == "species")

    def fits(self, path: Mapping[str, str | None]) -> bool:
        """Whether nothing above a taxon of this name contradicts; `path` is rank -> name in lower case."""
        return all(path.get(rank) in (None, name.lower()) for rank, name in self.above)

    def __str__(self) -> str:
        """As messages name it."""
        under = f" under {' > '.join(name for _, name in self.above)}" if self.above else ""
        return f"{self.rank} {self.name!r}{under}" if self.rank else repr(self.name)


def read_taxa(path: Path) -> list[WantedTaxon]:
    """The taxa of a list, each once.

    Args:
        path: .txt with one name a line; .csv or .parquet with a column of names (scientific_name, label, name, taxon),
            or with columns of ranks. A row means its name, at any rank and wherever it stands; without one, the
            deepest rank that it fills, under all the others that it fills.

    Raises:
        BadInputError: it cannot be read, or holds no name.
    """
    found = read_columns(path, _COLUMNS, NAME)
    columns = {use: cleaned(found[use]).to_pylist() for use in (NAME, *RANKS) if use in found}
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    wanted = [taxon for row in rows if (taxon := _taxon(row)) is not None]
    if not wanted:
        raise BadInputError(f"--only {path}: no name in it; give at least one taxon")
    return list({(one.name.lower(), one.rank, one.above): one for one in wanted}.values())


def _taxon(row: Mapping[str, str | None]) -> WantedTaxon | None:
    if name := row.get(NAME):
        return WantedTaxon(name)
    filled = [(rank, name) for rank in RANKS if (name := row.get(rank))]
    if not filled:
        return None
    *above, (rank, name) = filled
    if rank == "species" and above and above[-1][0] == "genus":
        _, genus = above.pop()
        name = name if name.lower().startswith(f"{genus.lower()} ") else f"{genus} {name}"
    return WantedTaxon(name, rank, tuple(above))


def labels_under(labels: Labels, groups: Mapping[str, Groups], wanted: Sequence[WantedTaxon], where: str) -> np.ndarray:
    """Numbers of the labels that are one of these taxa or lie under one, int64, ascending.

    Names are compared without regard to case; a name that stands in several branches, or at several ranks, means all
    that fit what is said to be above it; what the label list does not know there contradicts nothing.

    Args:
        labels: the list.
        groups: its taxa.
        wanted: at least one.
        where: begins the message.

    Raises:
        BadInputError: a name means nothing here; names those, and what is near.
    """
    is_under_C = np.zeros(len(labels), bool)
    is_found: set[WantedTaxon] = set()
    pools = {None: labels.names} | {rank: taxon_names(labels, rank, own) for rank, own in groups.items()}
    for rank, names in pools.items():
        own: dict[str, list[WantedTaxon]] = {}
        for one in wanted:
            if one.may_be_at(rank):
                own.setdefault(one.name.lower(), []).append(one)
        is_hit = np.zeros(len(names), bool)
        for number, meant in _meant(labels, names, None if rank is None else groups[rank].first_G, own):
            is_hit[number] = bool(meant)
            is_found.update(meant)
        if rank is None:
            is_under_C |= is_hit
        else:
            code_C = groups[rank].code_C
            is_under_C |= np.append(is_hit, False)[code_C]  # -1 is the last
    missing = [one for one in wanted if one not in is_found]
    if missing:
        raise BadInputError(_unknown(missing, list(pools.values()), where))
    return np.flatnonzero(is_under_C)


def _meant(
    labels: Labels, names: pa.StringArray, first_G: np.ndarray | None, wanted: Mapping[str, Sequence[WantedTaxon]]
) -> Iterator[tuple[int, list[WantedTaxon]]]:
    """(number of a name, what is meant by it), of the names that are wanted; by their first labels, or one each."""
    lower = pc.utf8_lower(names)
    is_hit = pc.is_in(lower, value_set=pa.array(list(wanted), pa.string())).to_numpy(zero_copy_only=False)
    number_H = np.flatnonzero(is_hit)
    label_H = pa.array(number_H if first_G is None else first_G[number_H])
    said = {rank for own in wanted.values() for one in own for rank, _ in one.above} & labels.lineage.keys()
    above = {rank: pc.utf8_lower(labels.lineage[rank].take(label_H).cast(pa.string())).to_pylist() for rank in said}
    for place, (number, name) in enumerate(zip(number_H.tolist(), lower.take(number_H).to_pylist(), strict=True)):
        path = {rank: column[place] for rank, column in above.items()}
        yield number, [one for one in wanted[name] if one.fits(path)]


def _unknown(missing: Sequence[WantedTaxon], pools: Sequence[pa.StringArray], where: str) -> str:
    said = []
    for one in missing[:_NAMES_SHOWN]:
        near = _near(one.name, pools)
        said.append(f"{one}" + (f" (near: {', '.join(near)})" if near else ""))
    more = f" and {len(missing) - _NAMES_SHOWN:,} more" if len(missing) > _NAMES_SHOWN else ""
    verb = "is no label and no taxon" if len(missing) == 1 else "are no labels and no taxa"
    return f"{where}: {', '.join(said)}{more} {verb} of the label list; correct the names or leave them out"


def _near(name: str, pools: Sequence[pa.StringArray]) -> list[str]:
    """Up to three names that look like this one, of those that begin alike: all of a million would take minutes."""
    for length in (3, 1):
        begin = name[:length].lower()
        candidates: dict[str, str] = {}
        for names in pools:
            alike = names.filter(pc.starts_with(names, begin, ignore_case=True)).slice(0, _NAMES_COMPARED)
            candidates |= {text.lower(): text for text in alike.to_pylist()}
        close = difflib.get_close_matches(name.lower(), list(candidates), n=3, cutoff=0.7)
        if close:
            return [candidates[one] for one in close]
    return []
