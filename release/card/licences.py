"""What a picture's licence, as its record spells it, allows. No legal advice: the terms that the letters stand for.

Source: creativecommons.org/share-your-work/cclicenses, the four terms BY, SA, NC, ND; iNaturalist writes CC-BY-NC.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evaluation.report.words import number, percent
from release.card.card_facts import TRAIN, DataRecord, LicenceCount

_WORDS = re.compile(r"[a-z0-9]+")
_PUBLIC = frozenset({"cc0", "pd", "pdm", "pddl"})
_TERMS = {"nc": ("nc", "noncommercial"), "nd": ("nd", "noderivatives", "noderivs"), "sa": ("sa", "sharealike")}


@dataclass(frozen=True)
class _Kind:
    """Pictures with something in common, and the sentence about them."""

    has: Callable[[str | None], bool]
    sentence: str


def is_public(licence: str | None) -> bool:
    """Whether it is a dedication to the public domain."""
    return bool(_words(licence) & _PUBLIC) or "publicdomain" in "".join(_WORDS.findall((licence or "").lower()))


def has_term(licence: str | None, term: str) -> bool:
    """Whether a licence has the term "nc", "nd" or "sa"."""
    return bool(_words(licence) & set(_TERMS[term]))


def statements(data: DataRecord) -> list[str]:
    """A sentence for each kind of licence that users of the model must know of; about the training pictures."""
    licences = data.licences or ()
    total = sum(one.pictures.get(TRAIN, 0) for one in licences)
    if not total:
        return []
    said = []
    for kind in _KINDS:
        found = sum(one.pictures.get(TRAIN, 0) for one in licences if kind.has(one.licence))
        share = f"{number(found)} of {number(total)} training pictures ({percent(found / total)} %)"
        said += [f"{share} {kind.sentence}"] if found else []
    return said + _unnamed(licences)


def _unnamed(licences: Sequence[LicenceCount]) -> list[str]:
    found = sum(one.without_attribution for one in licences if not is_public(one.licence))
    if not found:
        return []
    which = "1 picture" if found == 1 else f"{number(found)} pictures"
    return [f"Without an author's name, of all splits and leaving out the public domain: {which}."]


def _words(licence: str | None) -> frozenset[str]:
    return frozenset(_WORDS.findall((licence or "").lower()))


_KINDS = (
    _Kind(
        lambda licence: has_term(licence, "nc"),
        "are under licences with NC (no commercial use). A model trained on them may not be free for commercial use: "
        "settle that before you use it commercially.",
    ),
    _Kind(
        lambda licence: has_term(licence, "nd"),
        "are under licences with ND (no adapted versions). The pictures may be shared as they are only.",
    ),
    _Kind(
        lambda licence: has_term(licence, "sa"),
        "are under licences with SA (share alike): adapted versions of the pictures keep the licence.",
    ),
    _Kind(
        lambda licence: licence is None,
        "have no licence in their record: nothing is known to allow more than the law of the land does.",
    ),
    _Kind(
        lambda licence: "reserved" in _words(licence) or _words(licence) == {"c"},
        "are marked as all rights reserved.",
    ),
)
