"""The seven ranks, what counts as missing, the categories, and the identity of a taxon."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
"""From the root to the leaf. `species` holds the epithet only, as in the published metadata."""

MISSING_WORDS = frozenset({"nan", "none", "null", "n/a", "unknown"})
"""Words that stand for a missing value in some source, compared in lower case."""

CATEGORIES: Mapping[str, tuple[str, str]] = {
    "Aves": ("class", "Aves"),
    "Arachnida": ("class", "Arachnida"),
    "Insecta": ("class", "Insecta"),
    "Reptilia": ("class", "Reptilia"),
    "Plantae": ("kingdom", "Plantae"),
    "Fungi": ("kingdom", "Fungi"),
    "Mollusca": ("phylum", "Mollusca"),
}
"""Category -> (rank, name at that rank). Order matters: the first match wins. Source: BioTrove (NeurIPS 2024)."""

OTHER_CATEGORY = "other"

_SPACES = re.compile(r"\s+")


def clean(value: str | None) -> str | None:
    """The value with outer space removed and inner space single, or None where it means missing."""
    if value is None:
        return None
    text = _SPACES.sub(" ", value).strip()
    return None if not text or text.lower() in MISSING_WORDS else text


def category_of(lineage: Mapping[str, str | None]) -> str:
    """The category of a lineage of cleaned values; `other` where none matches."""
    for category, (rank, name) in CATEGORIES.items():
        if lineage.get(rank) == name:
            return category
    return OTHER_CATEGORY


@dataclass(frozen=True)
class Taxon:
    """A cleaned lineage with what follows from it.

    Attributes:
        lineage: the seven ranks, None where unknown.
        rank: the deepest rank known; None where not even a kingdom-to-genus name is.
        key: the text whose hash is the taxon's id; None where rank is None.
        category: one of CATEGORIES or `other`.
    """

    lineage: dict[str, str | None]
    rank: str | None
    key: str | None
    category: str


def resolve_taxon(raw_lineage: Mapping[str, str | None]) -> Taxon:
    """The taxon that a row's seven raw rank values stand for.

    A species needs kingdom, genus and epithet, since epithets repeat across genera and genera across kingdoms;
    a row that lacks one of them stands for the deepest of its other ranks. A `species` value that repeats the
    genus ("Quercus robur") is cut to the epithet.
    """
    lineage = {rank: clean(raw_lineage.get(rank)) for rank in RANKS}
    genus, species = lineage["genus"], lineage["species"]
    if genus and species and species.lower().startswith(genus.lower() + " "):
        lineage["species"] = species[len(genus) + 1 :]
    rank = _deepest_rank(lineage)
    return Taxon(lineage, rank, _taxon_key(lineage, rank), category_of(lineage))


def _deepest_rank(lineage: Mapping[str, str | None]) -> str | None:
    if lineage["kingdom"] and lineage["genus"] and lineage["species"]:
        return "species"
    return next((rank for rank in reversed(RANKS[:-1]) if lineage[rank]), None)


def _taxon_key(lineage: Mapping[str, str | None], rank: str | None) -> str | None:
    if rank is None:
        return None
    names = ("kingdom", "genus", "species") if rank == "species" else ("kingdom", rank)
    return "|".join([rank, *(_normalized(lineage[name]) for name in names)])


def _normalized(name: str | None) -> str:
    return unicodedata.normalize("NFC", name or "").lower()
