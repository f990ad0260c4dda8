"""Taxon -> caption text, in the ten kinds of the published dataset.

The one implementation: the captions table, the trainer and the evaluator all call it. A kind that needs a missing
field is absent, never filled with a word; a missing rank is left out of the taxon strings.

Source: texts as in the published BioTrove pairs (docs/design.md, Captions).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from taxonomy.ranks import RANKS


@dataclass(frozen=True)
class CaptionFields:
    """What captions are made of; None where missing.

    Attributes:
        scientific_name: the name as the row gives it ("Turdus merula").
        common_name: the taxon's common name.
        lineage: the seven ranks of the taxon, `species` the epithet.
    """

    scientific_name: str | None
    common_name: str | None
    lineage: Mapping[str, str | None]

    @property
    def taxon(self) -> str | None:
        """The known ranks, joined by a space; None where no rank is known."""
        return " ".join(name for rank in RANKS if (name := self.lineage.get(rank))) or None

    @property
    def tagged_taxon(self) -> str | None:
        """The known ranks, each behind its rank's name; None where no rank is known."""
        return " ".join(f"{rank} {name}" for rank in RANKS if (name := self.lineage.get(rank))) or None


def _photo_of(name: str | None) -> str | None:
    return f"a photo of {name}." if name else None


def _photo_with_common(name: str | None, common_name: str | None) -> str | None:
    return f"a photo of {name} with common name {common_name}." if name and common_name else None


def _bare(name: str | None) -> str | None:
    return f"{name}." if name else None


_MAKERS: Mapping[str, Callable[[CaptionFields], str | None]] = {
    "sci": lambda fields: _photo_of(fields.scientific_name),
    "com": lambda fields: _photo_of(fields.common_name),
    "taxon": lambda fields: _photo_of(fields.taxon),
    "sci_com": lambda fields: _photo_with_common(fields.scientific_name, fields.common_name),
    "taxon_com": lambda fields: _photo_with_common(fields.taxon, fields.common_name),
    "taxonTag": lambda fields: _photo_of(fields.tagged_taxon),
    "taxonTag_com": lambda fields: _photo_with_common(fields.tagged_taxon, fields.common_name),
    "scientific_name": lambda fields: _bare(fields.scientific_name),
    "common_name": lambda fields: _bare(fields.common_name),
    "taxonomic_name": lambda fields: _bare(fields.taxon),
}

CAPTION_KINDS = tuple(_MAKERS)
"""The ten kinds, in the order of the design and of the tar members."""

FALLBACK_KINDS: Mapping[str, str] = {
    "com": "sci",
    "common_name": "scientific_name",
    "sci_com": "sci",
    "taxon_com": "taxon",
    "taxonTag_com": "taxonTag",
}
"""In the biotrove layout alone: the kind whose text stands in where the common name is missing."""


def captions(fields: CaptionFields) -> dict[str, str]:
    """Kind -> text of every kind whose fields are known, in the order of CAPTION_KINDS."""
    made = {kind: maker(fields) for kind, maker in _MAKERS.items()}
    return {kind: text for kind, text in made.items() if text is not None}


def captions_with_fallback(fields: CaptionFields) -> dict[str, str]:
    """All ten kinds, for loaders that stop at a missing one.

    Raises:
        ValueError: scientific_name or every rank is missing, so that no text can stand in.
    """
    made = captions(fields)
    filled = {kind: made.get(kind) or made.get(FALLBACK_KINDS.get(kind, kind)) for kind in CAPTION_KINDS}
    complete = {kind: text for kind, text in filled.items() if text is not None}
    if len(complete) < len(CAPTION_KINDS):
        raise ValueError(
            f"no text for {sorted(set(filled) - set(complete))}: scientific_name={fields.scientific_name!r}"
        )
    return complete
