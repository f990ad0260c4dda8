"""80 prompts a class -> class embeddings: ours, and class by class as published evaluators do it, timed.

Shapes: C classes, D embedding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from bench.evaluate import Figure
from bench.species_pool import load_pool
from evaluation.encoding.class_vectors import class_matrix
from evaluation.encoding.encoder import OpenClipEncoder
from evaluation.encoding.prompts import OPENAI, openai_templates
from evaluation.model import ModelRequest, build_model, get_tokenizer

GOAL_TIMES = 10

TINY: dict[str, Any] = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 64, "layers": 2, "head_width": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}
"""As recipe `tiny`."""


def measure_prompts(model: str, num_classes: int, num_by_class: int = 8) -> list[Figure]:
    """Core-seconds a class of both ways, for species with real names; both ways must agree.

    Args:
        model: "tiny", or a name of open_clip's, with random weights.
        num_classes: encoded by ours.
        num_by_class: encoded class by class, spread over the list: each takes as long as any other.
    """
    encoder = _encoder(model)
    names = list(dict.fromkeys(load_pool(num_classes, seed=0).species["scientificName"].to_pylist()))
    few = range(0, len(names), max(1, len(names) // num_by_class))[:num_by_class]
    encoder.encode_texts(["a warm start"])
    peer_s, peer_CD = _timed(lambda: _class_by_class(encoder, [names[number] for number in few]))
    own_s, own_CD = _timed(lambda: class_matrix(names, {}, OPENAI, encoder))
    apart = float(np.abs(own_CD[list(few)] - peer_CD).max())
    assert apart < 1e-5, f"the two ways differ by {apart}"
    peer_ms, own_ms = 1000 * peer_s / len(few), 1000 * own_s / len(names)
    what = f"80 prompts a class, {len(names):,} species, {model}"
    return [
        Figure(f"{what}: class by class", f"{peer_ms:.1f} core-ms a class"),
        Figure(f"{what}: ours (largest difference {apart:.0e})", f"{own_ms:.2f} core-ms a class"),
        Figure(f"{what}: times faster", f"{peer_ms / own_ms:.1f}", f">= {GOAL_TIMES}", peer_ms >= GOAL_TIMES * own_ms),
    ]


def _encoder(name: str) -> OpenClipEncoder:
    torch.manual_seed(0)
    request = ModelRequest(name, model_config=TINY if name == "tiny" else None)
    model, facts = build_model(request)
    return OpenClipEncoder(model.eval(), facts, get_tokenizer(facts), torch.device("cpu"))


@torch.no_grad()
def _class_by_class(encoder: OpenClipEncoder, names: Sequence[str]) -> np.ndarray:
    """Each class's prompts as a batch of its own, padded to the full context."""
    rows = []
    for name in names:
        token_VL = encoder.tokenizer([template(name) for template in openai_templates()])
        mean_D = encoder.model.encode_text(token_VL, normalize=True).mean(0)
        rows.append(mean_D / mean_D.norm())
    return torch.stack(rows).numpy()


def _timed(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    start_s = time.process_time()
    made = work()
    return time.process_time() - start_s, made
