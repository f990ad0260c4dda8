"""The taxa above labels: which labels belong to one taxon of a rank, by its whole path from the kingdom down.

So Prunella the plant and Prunella the bird are two taxa. Where a list contradicts itself, as with one genus in two
families, each path is a taxon too; `conflicts` tells people.

Shapes: C labels, G groups of a rank.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from inference.labels.arrow import compute as pc
from inference.labels.labels import Labels
from taxonomy.ranks import RANKS

_SHOWN = 5


@dataclass(frozen=True)
class Groups:
    """The taxa of one rank, numbered in the order of their first labels.

    Attributes:
        code_C: int32, the taxon of each label; -1 where the list does not say it.
        first_G: int64, the first label of each.
    """

    code_C: np.ndarray
    first_G: np.ndarray


def lineage_groups(labels: Labels) -> dict[str, Groups]:
    """Rank -> its taxa, of the ranks that the list has; a species is known by genus and epithet."""
    path_C = np.zeros(len(labels), np.int64)
    found: dict[str, Groups] = {}
    is_genus_known_C = np.zeros(len(labels), bool)
    for rank in RANKS:
        if rank not in labels.lineage:
            continue
        own_C, num_names = _codes(labels.lineage[rank])
        path_C, _ = _codes(pa.array(path_C * (num_names + 1) + own_C + 1).dictionary_encode())
        is_known_C = own_C >= 0
        if rank == "genus":
            is_genus_known_C = is_known_C
        if rank == "species":
            is_known_C = is_known_C & is_genus_known_C
        if is_known_C.any():
            found[rank] = _numbered(path_C, is_known_C)
    return found


def _codes(column: pa.DictionaryArray) -> tuple[np.ndarray, int]:
    """(int64 codes, -1 for null; number of distinct values)."""
    code_C = column.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return code_C, len(column.dictionary)


def _numbered(path_C: np.ndarray, is_known_C: np.ndarray) -> Groups:
    code_C, num_groups = _codes(pa.array(path_C, mask=~is_known_C).dictionary_encode())
    first_G = np.empty(num_groups, np.int64)
    known_K = np.flatnonzero(is_known_C)
    first_G[code_C[known_K[::-1]]] = known_K[::-1]  # the last one assigned stays: the first label
    return Groups(code_C.astype(np.int32), first_G)


def conflicts(labels: Labels, groups: Mapping[str, Groups]) -> list[str]:
    """A line on names that differ in case alone, and one per rank with names under several parents in one kingdom."""
    lines = _differing_in_case(labels, groups)
    for rank, own in groups.items():
        if rank in ("kingdom", "species"):
            continue
        names = pc.take(labels.lineage[rank], pa.array(own.first_G)).cast(pa.string())
        kingdom = labels.lineage.get("kingdom")
        above = pa.nulls(len(names), pa.string()) if kingdom is None else kingdom.take(pa.array(own.first_G))
        pairs = pc.binary_join_element_wise(above.cast(pa.string()).fill_null(""), names, "\x1f")
        counts = pc.value_counts(pairs)
        twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
        if len(twice):
            one, two = own.first_G[pc.equal(pairs, twice[0]).to_numpy(zero_copy_only=False)][:2]
            name = twice[0].as_py().split("\x1f")[1]
            lines.append(
                f"{rank} {name} stands under {path_text(labels, one, rank)} and under {path_text(labels, two, rank)}"
                + (f", and {len(twice) - 1:,} more {rank} names likewise" if len(twice) > 1 else "")
                + ": counted as different taxa"
            )
    return lines


def _differing_in_case(labels: Labels, groups: Mapping[str, Groups]) -> list[str]:
    """One line on all of them, or none."""
    found = []
    for rank, own in groups.items():
        names = pc.unique(taxon_names(labels, rank, own))
        lower = pc.utf8_lower(names)
        counts = pc.value_counts(lower)
        twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
        spellings: dict[str, list[str]] = {}
        for name in names.filter(pc.is_in(lower, value_set=twice)).to_pylist():
            spellings.setdefault(name.lower(), []).append(name)
        found += [f"{rank} {' and '.join(alike)}" for alike in spellings.values()]
    if not found:
        return []
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    return [f"names differ in case alone: {', '.join(found[:_SHOWN])}{more}: counted as different taxa"]


def taxon_names(labels: Labels, rank: str, groups: Groups) -> pa.StringArray:
    """The names of a rank's taxa; a species as genus and epithet."""
    first = pa.array(groups.first_G)
    names = labels.lineage[rank].take(first).cast(pa.string())
    if rank != "species":
        return names
    return pc.binary_join_element_wise(labels.lineage["genus"].take(first).cast(pa.string()), names, " ")


def path_text(labels: Labels, number: int, rank: str) -> str:
    """What a label's rank stands under, as "Animalia > Chordata > Aves"."""
    above = labels.path(int(number))[: RANKS.index(rank)]
    return " > ".join(name or "?" for name in above)
