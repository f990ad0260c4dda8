"""Captions as training sees them: species by popularity, any of the ten kinds."""

from __future__ import annotations

import numpy as np
import open_clip
import torch

from bench.species_pool import load_pool
from taxonomy.captions import CAPTION_KINDS, CaptionFields, captions
from taxonomy.ranks import RANKS

NUM_SPECIES = 30_000


def draw_texts(model: str, num_batches: int, batch_size: int) -> list[torch.Tensor]:
    """int64 token_BL of each batch, padded with 0 to the model's context; the same for the same sizes."""
    pool = load_pool(NUM_SPECIES, seed=0)
    ends = pool.weights_so_far()
    random = np.random.default_rng(0)
    places = np.searchsorted(ends, random.integers(ends[-1], size=num_batches * batch_size), side="right")
    rows = pool.species.take(places).to_pylist()
    texts = []
    for row in rows:
        kinds = captions(CaptionFields(row["scientificName"], row["common_name"], {rank: row[rank] for rank in RANKS}))
        texts.append(kinds[CAPTION_KINDS[int(random.integers(len(CAPTION_KINDS)))]])
    return list(open_clip.get_tokenizer(model)(texts).split(batch_size))
