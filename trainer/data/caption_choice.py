"""Which caption a pair is trained with: per pair over weighted kinds, one fixed kind, or one kind per step.

A pair lacks the kinds that need a field it has not (taxonomy/captions.py); the others' weights then count alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from taxonomy.captions import CAPTION_KINDS, FALLBACK_KINDS, CaptionFields, captions
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS, clean
from trainer.data.bad_samples import BadSample
from trainer.data.draws import hash64

PUBLISHED_KINDS = ("sci", "com", "taxon", "sci_com", "taxon_com")
"""The kinds that the published training drew from. Source: docs/design.md, Captions."""

ONLY_TEXT = "text"
"""The kind of a source that has one text per pair, of no known kind."""

_FIELD_KEYS = frozenset({"scientific_name", "kingdom"})
_KIND_OF_SUFFIX = {f"{kind}.txt".lower(): kind for kind in CAPTION_KINDS}


@dataclass(frozen=True)
class CaptionPolicy:
    """Which kinds pairs get, and how often.

    Attributes:
        kinds: of CAPTION_KINDS, or ONLY_TEXT; each once.
        weights: of the kinds, above 0; they need not sum to 1.
        one_kind_per_batch: every pair of an optimizer step gets one kind, on all ranks, as in the published training.
    """

    kinds: tuple[str, ...]
    weights: tuple[float, ...]
    one_kind_per_batch: bool = False

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in (*CAPTION_KINDS, ONLY_TEXT)]
        if unknown:
            raise BadInputError(
                f"--caption-kinds: no kind is called {unknown[0]!r}; allowed: {', '.join(CAPTION_KINDS)}"
            )
        if not self.kinds or len(set(self.kinds)) < len(self.kinds) or len(self.weights) != len(self.kinds):
            raise BadInputError(f"--caption-kinds: each kind needs one weight, got {self.kinds} and {self.weights}")
        if not all(0 < weight < float("inf") for weight in self.weights):
            raise BadInputError(f"--caption-kinds: weights must be above 0, got {self.weights}")

    @classmethod
    def fixed(cls, kind: str) -> "CaptionPolicy":
        """Always one kind."""
        return cls((kind,), (1.0,))

    @classmethod
    def weighted(cls, weights: Mapping[str, float]) -> "CaptionPolicy":
        """A kind per pair, drawn by weight."""
        return cls(tuple(weights), tuple(float(weight) for weight in weights.values()))

    @classmethod
    def every_kind(cls) -> "CaptionPolicy":
        """A kind per pair, all ten equally likely."""
        return cls(CAPTION_KINDS, (1.0,) * len(CAPTION_KINDS))

    @classmethod
    def published(cls) -> "CaptionPolicy":
        """One of the published five per optimizer step, as `--text_type random` meant."""
        return cls(PUBLISHED_KINDS, (1.0,) * len(PUBLISHED_KINDS), one_kind_per_batch=True)


def kind_of_step(policy: CaptionPolicy, seed: int, step: int) -> str | None:
    """The kind of all pairs of an optimizer step (counted over the run from 0); None where pairs differ."""
    if not policy.one_kind_per_batch:
        return None
    ends = np.cumsum(policy.weights)
    share = hash64(seed, step, 0x6B696E64) / 2**64
    return policy.kinds[min(int(np.searchsorted(ends, share * ends[-1], side="right")), len(ends) - 1)]


def choose(
    policy: CaptionPolicy, texts: Mapping[str, str], generator: np.random.Generator, step_kind: str | None = None
) -> tuple[str, str]:
    """The (kind, text) of one pair; takes exactly one number from the generator, so that a step's kind costs nothing.

    A kind asked for by the step falls back as in the published shards where the common name is missing (`com` to
    `sci`), and is reported as asked; otherwise pairs without names would miss from such steps.

    Args:
        policy: the kinds and weights.
        texts: kind -> text of the kinds that the pair has.
        generator: the pair's own.
        step_kind: what `kind_of_step` says.

    Raises:
        BadSample: no_caption: the pair has none of the kinds.
    """
    share = float(generator.random())
    if policy.one_kind_per_batch:
        assert step_kind is not None, "a policy of one kind per batch needs the step's kind"
        text = texts.get(step_kind) or texts.get(FALLBACK_KINDS.get(step_kind, step_kind))
        if text is None:
            raise BadSample("no_caption")
        return step_kind, text
    present = [(kind, weight) for kind, weight in zip(policy.kinds, policy.weights, strict=True) if texts.get(kind)]
    if not present:
        raise BadSample("no_caption")
    left = share * sum(weight for _, weight in present)
    for kind, weight in present:
        left -= weight
        if left < 0:
            return kind, texts[kind]
    return present[-1][0], texts[present[-1][0]]  # rounding


def texts_of_sample(record: Mapping[str, object], members: Mapping[str, str] | None = None) -> dict[str, str]:
    """Kind -> caption of a sample.

    Captions are made from the JSON where it has names or ranks; the text members count only where it has none, as in
    the published shards.

    Args:
        record: the JSON member; empty where there is none.
        members: suffix behind the key's dot (`taxon_com.txt`, any case) -> content, of the text members.
    """
    if _FIELD_KEYS.isdisjoint(record):
        named = {kind_of_suffix(suffix): clean(text) for suffix, text in (members or {}).items()}
        return {kind: text for kind, text in named.items() if kind is not None and text is not None}

    def value(name: str) -> str | None:
        raw = record.get(name)
        return clean(raw if raw is None or isinstance(raw, str) else str(raw))

    lineage = {rank: value(rank) for rank in RANKS}
    return captions(CaptionFields(value("scientific_name"), value("common_name"), lineage))


def kind_of_suffix(suffix: str) -> str | None:
    """The kind that a text member's suffix names, whatever its case (loaders lower it); None for any other member.

    A bare `txt` holds the `sci` caption in shards of the published layout and an unknown text elsewhere: ONLY_TEXT.
    """
    return ONLY_TEXT if suffix.lower() == "txt" else _KIND_OF_SUFFIX.get(suffix.lower())
