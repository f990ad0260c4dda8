"""What a picture's licence, as its record spells it, allows. No legal advice: the terms that the letters stand for.

Source: creativecommons.org/share-your-work/cclicenses, the four terms BY, SA, NC, ND; iNaturalist writes CC-BY-NC.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evaluation.report.words import number, percent
from release.card.data_facts import TRAIN, DataRecord, LicenceCount

_PUBLIC = re.compile(
    r"(?<![a-z])(?:public[\W_]*domain(?![a-z])|cc[\W_]*(?:0(?!\d|\.\d)|zero(?![a-z]))|pdm?(?![a-z])|pddl(?![a-z]))|"
    r"(?<![a-z])no rights reserved"
)
_DENIED = re.compile(
    r"(?<![a-z])(?:not|no longer|never|non|isn.?t)(?:\W+(?:yet|in|under|of|a|the|is))*\W+"
    r"(?:public[\W_]*domain|cc[\W_]*0)"
)
_RESERVED = re.compile(r"(?<!\bnot )\ball rights reserved|(?<!\bno )(?<!\bsome )(?<!\ball )\brights reserved")
_BARE_CLAIM = re.compile(r"\W*(?:\u00a9|c|copyright|copyrighted)\W*")
_TERM = "(?:by|nc|nd|sa)"
_CODE = re.compile(rf"(?<![a-z])(?:(?:cc[\W_]*{_TERM}|by)(?:[\W_]*{_TERM})*|{_TERM}(?:[\W_]+{_TERM})*)(?![a-z])")
"""Letters of terms in one run, as CC-BY-NC 4.0 or BYNCSA has them; `sand` is no run."""

_FILLER = re.compile(r"[\W\d_]|(?<![a-z])(?:v|ver|version|licen[cs]ed?|intl?|international|unported|generic)(?![a-z])")
"""What may stand beside the letters of terms without a meaning of its own."""

_PHRASES = {
    "nc": re.compile(r"(?<![a-z])(?:non|no|not for)[\W_]*commercial"),
    "nd": re.compile(r"(?<![a-z])no[\W_]*deriv"),
    "sa": re.compile(r"(?<![a-z])share[\W_]*alike"),
}
_NAMES = (
    (re.compile(r"creative[\W_]*commons(?:\.org/licen[cs]es/)?"), "cc"),
    (re.compile(r"(?<![a-z])attribution"), "by"),
)


@dataclass(frozen=True)
class _Kind:
    """Pictures with something in common, and the sentence about them."""

    has: Callable[[str | None], bool]
    sentence: str


def is_public(licence: str | None) -> bool:
    """Whether it is a dedication to the public domain."""
    text = _plain(licence)
    return _PUBLIC.search(text) is not None and _DENIED.search(text) is None


def has_term(licence: str | None, term: str) -> bool:
    """Whether a licence has the term "nc", "nd" or "sa"."""
    text = _plain(licence)
    return _PHRASES[term].search(text) is not None or term in _letters(text)


def is_reserved(licence: str | None) -> bool:
    """Whether it is marked as all rights reserved."""
    text = _plain(licence)
    return _RESERVED.search(text) is not None or _BARE_CLAIM.fullmatch(text) is not None


def is_understood(licence: str | None) -> bool:
    """Whether a text says what it allows, in words that are known here."""
    known = is_public(licence) or is_reserved(licence) or any(has_term(licence, term) for term in _PHRASES)
    return known or "by" in _letters(_plain(licence))


def statements(data: DataRecord) -> list[str]:
    """A sentence for each kind of licence that users of the model must know of; about the training pictures."""
    licences = data.licences or ()
    total = sum(one.pictures.get(TRAIN, 0) for one in licences)
    if not total:
        return []
    said = []
    for kind in _KINDS:
        found = sum(one.pictures.get(TRAIN, 0) for one in licences if kind.has(one.licence))
        said += [f"{_share(found, total)} {kind.sentence}"] if found else []
    return said + _not_understood(licences, total) + _unnamed(licences)


def _share(found: int, total: int) -> str:
    return f"{number(found)} of {number(total)} training pictures ({percent(found / total)} %)"


def _not_understood(licences: Sequence[LicenceCount], total: int) -> list[str]:
    texts = [one for one in licences if one.licence is not None and not is_understood(one.licence)]
    found = sum(one.pictures.get(TRAIN, 0) for one in texts)
    if not texts:
        return []
    which = "1 text of a licence was" if len(texts) == 1 else f"{number(len(texts))} texts of licences were"
    share = _share(found, total)
    return [f"{which} not understood: {share} are in none of the sentences above, and the table shows what they say."]


def _unnamed(licences: Sequence[LicenceCount]) -> list[str]:
    found = sum(one.without_attribution for one in licences if not is_public(one.licence))
    if not found:
        return []
    which = "1 picture" if found == 1 else f"{number(found)} pictures"
    return [f"Without an author's name, of all splits and leaving out the public domain: {which}."]


def _plain(licence: str | None) -> str:
    """The text in small letters, one blank for several, with Creative Commons' own names as their letters."""
    text = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", licence or "").lower())
    for pattern, letters in _NAMES:
        text = pattern.sub(letters, text)
    return text


def _letters(text: str) -> set[str]:
    """The terms in a run of letters; a lone pair of letters within a sentence, as in `Acme SA`, is none."""
    found: set[str] = set()
    for match in _CODE.finditer(text):
        terms = set(re.findall(_TERM, match[0].removeprefix("cc")))
        is_alone = not _FILLER.sub("", text[: match.start()] + text[match.end() :])
        if match[0].startswith("cc") or ("by" in terms and len(terms) > 1) or is_alone:
            found |= terms
    return found


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
    _Kind(is_reserved, "are marked as all rights reserved."),
)
