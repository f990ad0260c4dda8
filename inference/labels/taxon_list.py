"""Which labels lie under the taxa of a list: what a region, a garden or a survey can hold.

Shapes: C labels, G groups of a rank.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from inference.labels.arrow import compute as pc
from inference.labels.labels import COLUMNS, NAME, Labels
from inference.labels.lineage_groups import Groups
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
    """A taxon as a list names it; `rank` None for any, or a label itself."""

    name: str
    rank: str | None = None


def read_taxa(path: Path) -> list[WantedTaxon]:
    """The taxa of a list, each once.

    Args:
        path: .txt with one name a line; .csv or .parquet with a column of names (scientific_name, label, name, taxon),
            or with columns of ranks, of which a row means the deepest that it fills.

    Raises:
        BadInputError: it cannot be read, or holds no name.
    """
    found = read_columns(path, _COLUMNS, NAME)
    if NAME in found:
        wanted = [WantedTaxon(name) for name in cleaned(found[NAME]).to_pylist() if name]
    else:
        columns = {rank: cleaned(found[rank]).to_pylist() for rank in RANKS if rank in found}
        rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
        wanted = [taxon for row in rows if (taxon := _deepest(row)) is not None]
    if not wanted:
        raise BadInputError(f"--only {path}: no name in it; give at least one taxon")
    return list({(one.name.lower(), one.rank): one for one in wanted}.values())


def _deepest(row: Mapping[str, str | None]) -> WantedTaxon | None:
    genus, species = row.get("genus"), row.get("species")
    if species:
        is_whole = not genus or species.lower().startswith(f"{genus.lower()} ")
        return WantedTaxon(species if is_whole else f"{genus} {species}", "species")
    rank = next((rank for rank in reversed(RANKS) if row.get(rank)), None)
    return None if rank is None else WantedTaxon(row[rank] or "", rank)


def labels_under(labels: Labels, groups: Mapping[str, Groups], wanted: Sequence[WantedTaxon], where: str) -> np.ndarray:
    """Numbers of the labels that are one of these taxa or lie under one, int64, ascending.

    Names are compared without regard to case; a name that stands in several branches, or at several ranks, means all.

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
        own = {one.name.lower(): one for one in wanted if rank is None or one.rank in (None, rank)}
        if not own:
            continue
        if rank is None:
            own = {name: one for name, one in own.items() if one.rank in (None, "species")}
        lower = pc.utf8_lower(names)
        is_hit = pc.is_in(lower, value_set=pa.array(list(own), pa.string())).to_numpy(zero_copy_only=False)
        is_found |= {own[name] for name in pc.unique(lower.filter(pa.array(is_hit))).to_pylist()}
        if rank is None:
            is_under_C |= is_hit
        else:
            code_C = groups[rank].code_C
            is_under_C |= np.append(is_hit, False)[code_C]  # -1 is the last
    missing = [one for one in wanted if one not in is_found]
    if missing:
        raise BadInputError(_unknown(missing, list(pools.values()), where))
    return np.flatnonzero(is_under_C)


def taxon_names(labels: Labels, rank: str, groups: Groups) -> pa.StringArray:
    """The names of a rank's taxa; a species as genus and epithet."""
    first = pa.array(groups.first_G)
    names = labels.lineage[rank].take(first).cast(pa.string())
    if rank != "species":
        return names
    return pc.binary_join_element_wise(labels.lineage["genus"].take(first).cast(pa.string()), names, " ")


def _unknown(missing: Sequence[WantedTaxon], pools: Sequence[pa.StringArray], where: str) -> str:
    said = []
    for one in missing[:_NAMES_SHOWN]:
        near = _near(one.name, pools)
        rank = f"{one.rank} " if one.rank else ""
        said.append(f"{rank}{one.name!r}" + (f" (near: {', '.join(near)})" if near else ""))
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
