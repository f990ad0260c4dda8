"""Random batches of pairs as the losses see them: several pairs of a taxon, captions of several kinds, shared names."""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from trainer.steps.distinct_texts import DistinctTexts, distinct

NUM_TEXTS = 64
NUM_SHARED = 3
"""The last texts are common names that several taxa share."""


@dataclass(frozen=True)
class Pairs:
    """N pairs; image_ND unit rows, text_ND the unit row of every pair's text, text_N its number."""

    image_ND: torch.Tensor
    text_ND: torch.Tensor
    text_N: torch.Tensor
    taxon_N: torch.Tensor
    logit_scale: torch.Tensor

    def __len__(self) -> int:
        return len(self.taxon_N)

    def part(self, rank: int, size: int) -> "Pairs":
        """The pairs of one rank."""
        own = slice(rank * len(self) // size, (rank + 1) * len(self) // size)
        return Pairs(self.image_ND[own], self.text_ND[own], self.text_N[own], self.taxon_N[own], self.logit_scale)

    def texts(self) -> tuple[DistinctTexts, torch.Tensor]:
        """The distinct texts and the unit rows of them."""
        texts = distinct(torch.stack([torch.full_like(self.text_N, 49406), self.text_N], dim=1).int())
        first_V = [texts.inverse_N.tolist().index(v) for v in range(len(texts.token_VL))]
        return texts, self.text_ND[first_V]


def random_pairs(seed: int, num_pairs: int, num_taxa: int, num_kinds: int = 3, share: float = 0.3) -> Pairs:
    """N random pairs: every taxon has `num_kinds` texts of its own; a pair has a shared name with probability `share`.

    Taxon ids are large and in no order, as those of a checklist are.
    """
    generator = torch.Generator().manual_seed(seed)

    def whole(high: int) -> torch.Tensor:
        return torch.randint(high, (num_pairs,), generator=generator)

    taxon_N = whole(num_taxa)
    text_N = (taxon_N * num_kinds + whole(num_kinds)) % (NUM_TEXTS - NUM_SHARED)
    shared_N = torch.rand(num_pairs, generator=generator) < share
    text_N = torch.where(shared_N, NUM_TEXTS - 1 - taxon_N % NUM_SHARED, text_N)
    return _pairs(generator, text_N, (taxon_N * 7919 + 2**40) % 1_000_003)


def unique_pairs(seed: int, num_pairs: int) -> Pairs:
    """N pairs of N taxa with N texts: what the published loss takes every batch to be."""
    generator = torch.Generator().manual_seed(seed)
    return _pairs(generator, torch.randperm(NUM_TEXTS, generator=generator)[:num_pairs], torch.arange(num_pairs) * 31)


def given_pairs(text: list[int], taxon: list[int]) -> Pairs:
    """Pairs of given texts and taxa."""
    return _pairs(torch.Generator().manual_seed(0), torch.tensor(text), torch.tensor(taxon))


def _pairs(generator: torch.Generator, text_N: torch.Tensor, taxon_N: torch.Tensor) -> Pairs:
    image_ND = torch.randn(len(taxon_N), 8, generator=generator, dtype=torch.float64)
    table_TD = torch.randn(NUM_TEXTS, 8, generator=generator, dtype=torch.float64)
    logit_scale = torch.rand((), generator=generator, dtype=torch.float64) * 3
    return Pairs(F.normalize(image_ND, dim=1), F.normalize(table_TD, dim=1)[text_N], text_N, taxon_N, logit_scale)
