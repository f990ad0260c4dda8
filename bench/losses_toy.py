"""The toy problem of bench/losses.py: made-up species with pictures and captions, two small towers, and their training.

A picture is a vector: a species' own place near its genus's, seen through a fixed nonlinear mixing with noise. Captions
are word numbers, of three kinds: genus and epithet; family, genus and epithet; a common name of two words. Epithets
are shared between genera, and adjectives of common names between species, so that texts must be read as a whole.

Shapes: B pairs, N pictures, V texts, L words, D embedding, P picture's numbers, F its factors, K species.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from trainer.distributed import Ranks
from trainer.steps.optim import AdamWSettings, LrSchedule, clamp_logit_scale, lr_at, make_optimizer, set_lr
from trainer.steps.step import ModelParts, StepSettings, step_inputs, train_step

NUM_SPECIES, NUM_GENERA, GENERA_PER_FAMILY = 100, 20, 4
NUM_EPITHETS, NUM_ADJECTIVES = 40, 30
NUM_KINDS = 3
FACTORS, PICTURE = 24, 192
SPECIES_SPREAD, NOISE = 0.4, 1.0
"""Of species around their genus, and of pictures around their species, where genera spread by 1."""
TAIL_EXPONENT = 1.0
"""Species k of 1, 2, ... has a share of pictures over k to this power."""
TEST_PICTURES_EACH = 40
EMBED_DIM, WIDTH = 64, 256


@dataclass(frozen=True)
class TrainOptions:
    """How both losses are trained."""

    steps: int = 320
    batch_size: int = 512
    lr: float = 2e-3
    weight_decay: float = 0.1
    warm_up: int = 20


@dataclass
class ToyPairs:
    """What the trainer's step takes of a batch; a picture stands for image_BHWC."""

    image_BHWC: torch.Tensor
    token_BL: torch.Tensor
    taxon_B: torch.Tensor


@dataclass(frozen=True)
class ToyProblem:
    """Pictures and captions of one seed.

    Attributes:
        train_NP: pictures, float32.
        train_taxon_N: int64, their species; 0 is the commonest.
        test_KNP: held-out pictures, as many of each species.
        token_KCL: int64, the captions of each species by kind; 0 fills up.
    """

    train_NP: torch.Tensor
    train_taxon_N: torch.Tensor
    test_KNP: torch.Tensor
    token_KCL: torch.Tensor

    @classmethod
    def make(cls, seed: int, num_pictures: int) -> ToyProblem:
        """The problem of a seed, with so many pictures to train on: another world of species for each seed."""
        random = torch.Generator().manual_seed(seed)
        genus_K = torch.arange(NUM_SPECIES)[torch.randperm(NUM_SPECIES, generator=random)] % NUM_GENERA
        genus = torch.randn(NUM_GENERA, FACTORS, generator=random)
        species_KF = genus[genus_K] + SPECIES_SPREAD * torch.randn(NUM_SPECIES, FACTORS, generator=random)
        mix = _Mixing(random)
        captions = _captions(genus_K, random)
        test_KN = torch.arange(NUM_SPECIES).repeat_interleave(TEST_PICTURES_EACH)
        test_NP = mix.pictures(species_KF[test_KN], random)
        share_K = torch.arange(1, NUM_SPECIES + 1) ** -TAIL_EXPONENT
        taxon_N = torch.multinomial(share_K, num_pictures, replacement=True, generator=random)
        return cls(
            train_NP=mix.pictures(species_KF[taxon_N], random),
            train_taxon_N=taxon_N,
            test_KNP=test_NP.view(NUM_SPECIES, TEST_PICTURES_EACH, PICTURE),
            token_KCL=captions,
        )

    def batches(self, batch_size: int, seed: int) -> Iterator[ToyPairs]:
        """Endless; the same for the same seed. Every epoch in a new order, a kind drawn per pair, the rest left out."""
        random = torch.Generator().manual_seed(seed)
        while True:
            order_N = torch.randperm(len(self.train_NP), generator=random)
            for item_B in order_N[: len(order_N) // batch_size * batch_size].split(batch_size):
                kind_B = torch.randint(NUM_KINDS, (batch_size,), generator=random)
                taxon_B = self.train_taxon_N[item_B]
                yield ToyPairs(self.train_NP[item_B], self.token_KCL[taxon_B, kind_B], taxon_B)


class _Mixing:
    """Factors to pictures: two random layers, and noise in the factors and on the picture."""

    def __init__(self, random: torch.Generator) -> None:
        self._in = torch.randn(FACTORS, PICTURE, generator=random) / FACTORS**0.5
        self._out = torch.randn(PICTURE, PICTURE, generator=random) / PICTURE**0.5

    def pictures(self, factor_NF: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """[N, P] around these factors."""
        seen_NF = factor_NF + NOISE * torch.randn(factor_NF.shape, generator=random)
        picture_NP = torch.tanh(seen_NF @ self._in) @ self._out
        return picture_NP + 0.3 * torch.randn(picture_NP.shape, generator=random)


def _captions(genus_K: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """[K, kinds, L] of word numbers from 1; no two species share a caption."""
    epithet_K = torch.empty(NUM_SPECIES, dtype=torch.int64)
    for genus in range(NUM_GENERA):  # an epithet comes once in a genus
        (members,) = torch.nonzero(genus_K == genus, as_tuple=True)
        epithet_K[members] = torch.randperm(NUM_EPITHETS, generator=random)[: len(members)]
    names = torch.randperm(NUM_ADJECTIVES**2, generator=random)[:NUM_SPECIES]
    words: list[torch.Tensor] = []
    start = 1
    for values, size in (
        (genus_K // GENERA_PER_FAMILY, NUM_GENERA),
        (genus_K, NUM_GENERA),
        (epithet_K, NUM_EPITHETS),
        (names // NUM_ADJECTIVES, NUM_ADJECTIVES),
        (names % NUM_ADJECTIVES, NUM_ADJECTIVES),
    ):
        words.append(values + start)
        start += size
    family, genus, epithet, first, second = words
    none = torch.zeros_like(family)
    kinds = ((genus, epithet, none), (family, genus, epithet), (first, second, none))
    return torch.stack([torch.stack(kind, dim=-1) for kind in kinds], dim=1)


VOCABULARY = 1 + 2 * NUM_GENERA + NUM_EPITHETS + 2 * NUM_ADJECTIVES
"""Words and the filler."""


class ToyTowers(nn.Module):
    """Picture and caption to unit rows [.., D]; weights from torch's generator."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(_layer(PICTURE, WIDTH), _layer(WIDTH, WIDTH), nn.Linear(WIDTH, EMBED_DIM))
        self.word = nn.Embedding(VOCABULARY, WIDTH, padding_idx=0)
        self.text = nn.Sequential(_layer(WIDTH, WIDTH), nn.Linear(WIDTH, EMBED_DIM))
        self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def encode_image(self, picture_BP: torch.Tensor) -> torch.Tensor:
        """Unit rows of pictures."""
        return F.normalize(self.image(picture_BP), dim=-1)

    def encode_text(self, token_VL: torch.Tensor) -> torch.Tensor:
        """Unit rows of captions: words are summed, then read together."""
        return F.normalize(self.text(self.word(token_VL).sum(dim=1)), dim=-1)


def _layer(width_in: int, width_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width_in, width_out), nn.LayerNorm(width_out), nn.GELU())


def train(towers: ToyTowers, problem: ToyProblem, loss: str, seed: int, options: TrainOptions) -> None:
    """Train the towers in place by the trainer's own step, loss, optimizer and learning rates."""
    parts = ModelParts(towers.encode_image, towers.encode_text, towers.logit_scale, None, list(towers.parameters()))
    optimizer = make_optimizer(towers, AdamWSettings(options.lr, options.weight_decay, 0.9, 0.98, 1e-6))
    schedule = LrSchedule("cosine", options.lr, options.warm_up, options.steps)
    device = torch.device("cpu")
    ranks, settings = Ranks(0, 1, 0, device), StepSettings(loss)
    batches = problem.batches(options.batch_size, seed)
    for step in range(options.steps):
        set_lr(optimizer, lr_at(step, schedule))
        train_step(parts, step_inputs([next(batches)], device), settings, ranks)
        optimizer.step()
        clamp_logit_scale(towers.logit_scale)


@torch.no_grad()
def balanced_accuracy(towers: ToyTowers, problem: ToyProblem) -> tuple[float, float]:
    """Mean over (all species, the rarer half of them) of the share of held-out pictures told right.

    A class is the mean of its captions' embeddings; the candidates are all species in both cases.
    """
    class_KD = towers.encode_text(problem.token_KCL.flatten(0, 1)).view(NUM_SPECIES, NUM_KINDS, -1).mean(dim=1)
    image_ND = towers.encode_image(problem.test_KNP.flatten(0, 1))
    guess_KN = (image_ND @ F.normalize(class_KD, dim=-1).T).argmax(dim=1).view(NUM_SPECIES, TEST_PICTURES_EACH)
    right_K = (guess_KN == torch.arange(NUM_SPECIES)[:, None]).float().mean(dim=1)
    return right_K.mean().item(), right_K[NUM_SPECIES // 2 :].mean().item()
