"""Made-up embeddings in a file -> guesses, roll-ups and every metric but the bootstrap, timed.

Shapes: N pictures, C classes, D embedding.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.evaluate import Figure
from bench.species_pool import load_pool
from evaluation.encoding.features import Features
from evaluation.metrics.summary import measure, measure_details
from evaluation.scoring.guess import guess
from evaluation.scoring.rollup_sums import Rollup
from taxonomy.ranks import RANKS

GOAL_CORE_S, GOAL_GB = 120, 4
SCALE = 100.0


def measure_scores(num_images: int, num_classes: int, width: int) -> list[Figure]:
    """Core-seconds from mapped embeddings to all metrics, and the peak memory of this process."""
    lineages = _lineages(num_classes)
    with tempfile.TemporaryDirectory() as folder:
        class_N, class_CD = _write(Path(folder) / "images.npy", num_images, num_classes, width)
        image_ND = np.load(Path(folder) / "images.npy", mmap_mode="r")
        start_s = time.process_time()
        names = {rank: [str(lineage[place]) for lineage in lineages] for place, rank in enumerate(RANKS)}
        rollups = {rank: _rollup(own, class_N) for rank, own in names.items()}
        found, rolled = guess(Features(image_ND, np.arange(num_images), (), ()), class_CD, class_N, SCALE, rollups)
        guessed_s = time.process_time() - start_s
        measure(found, names[RANKS[-1]])
        measure_details(found, lineages, draws=0)
        for rank, predictions in rolled.items():
            measure(predictions, list(dict.fromkeys(names[rank])))
        total_s = time.process_time() - start_s
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    size = f"{num_classes:,} classes x {num_images:,} images x {width}"
    return [
        Figure(f"{size}: guesses and seven roll-ups", f"{guessed_s:.1f} core-s"),
        Figure(
            f"{size}: with all metrics", f"{total_s:.1f} core-s", f"<= {GOAL_CORE_S} core-s", total_s <= GOAL_CORE_S
        ),
        Figure(f"{size}: peak memory", f"{peak_gb:.2f} GB", f"<= {GOAL_GB} GB", peak_gb <= GOAL_GB),
    ]


def _lineages(num_classes: int) -> list[tuple[str | None, ...]]:
    """Seven names a class, the last as "Genus epithet"."""
    rows = load_pool(num_classes, seed=0).species.to_pylist()
    return [(*(row[rank] for rank in RANKS[:-1]), f"{row['genus']} {row['species']}") for row in rows]


def _rollup(names: list[str], class_N: np.ndarray) -> Rollup:
    number = {name: index for index, name in enumerate(dict.fromkeys(names))}
    code_C = np.array([number[name] for name in names])
    return Rollup(code_C, code_C[class_N], len(number))


def _write(path: Path, num_images: int, num_classes: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures scattered about their classes' directions into a file, block by block; their classes and directions."""
    random = np.random.default_rng(0)
    class_CD = _unit(random.standard_normal((num_classes, width), np.float32))
    class_N = random.integers(num_classes, size=num_images)
    images = np.lib.format.open_memmap(path, "w+", np.float32, (num_images, width))
    for start in range(0, num_images, 4096):
        class_BD = class_CD[class_N[start : start + 4096]]
        # at this noise the right class is often, not always, the nearest
        noise_BD = random.standard_normal(class_BD.shape, np.float32) * (5.5 / width**0.5)
        images[start : start + 4096] = _unit(class_BD + noise_BD)
    images.flush()
    return class_N, class_CD


def _unit(row_XD: np.ndarray) -> np.ndarray:
    return row_XD / np.linalg.norm(row_XD, axis=1, keepdims=True)
