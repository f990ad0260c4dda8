"""One answer about a picture, and the ranks of answers. No torch."""

from dataclasses import dataclass

from taxonomy.ranks import RANKS

LABEL = "label"
"""The rank of the labels themselves."""

FROM_DEEPEST = (LABEL, *reversed(RANKS))
"""Ranks in the order of backing off."""


@dataclass(frozen=True)
class Guess:
    """One answer.

    Attributes:
        rank: "label", or one of the seven.
        number: of the label, or of the taxon among those of the rank.
        probability: softmax over the labels that take part, summed over those of the taxon.
        cosine: of the label, or of the best label of the taxon.
    """

    rank: str
    number: int
    probability: float
    cosine: float
