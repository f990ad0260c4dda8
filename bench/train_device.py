"""Training steps of both sides on an accelerator, at the largest batch of a list that fits both.

python -m bench.train --work DIR --parts step
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.process_tree import CommandFailed
from bench.train_readers import environment
from bench.train_report import OPEN_CLIP, StepRun

BATCH_SIZES = {
    "ViT-B-16": (2048, 1536, 1280, 1024, 768, 512, 256, 128),
    "ViT-L-14": (768, 640, 512, 384, 256, 192, 128, 64, 32),
}
SIDES = ("taxaflow", OPEN_CLIP)
TIME_LIMIT_S = 240


def measure_steps(work: Path) -> list[StepRun]:
    """Two runs per model, each in a process of its own.

    Raises:
        CommandFailed: no batch fits, or a side failed.
    """
    runs = []
    for model, sizes in BATCH_SIZES.items():
        runs += _at_one_batch(work, model, sizes)
    return runs


def _at_one_batch(work: Path, model: str, sizes: Sequence[int]) -> list[StepRun]:
    """Ours at the largest batch that fits, open_clip's at that; where that needs a smaller one, ours again."""
    ours = run_side(work, SIDES[0], model, sizes)
    peer = run_side(work, SIDES[1], model, [size for size in sizes if size <= ours.batch_size])
    if peer.batch_size < ours.batch_size:
        return [ours, run_side(work, SIDES[0], model, [peer.batch_size]), peer]
    return [ours, peer]


def run_side(work: Path, side: str, model: str, sizes: Sequence[int], more: Sequence[str] = ()) -> StepRun:
    """One side's steps at the first of these batches that fits.

    Raises:
        CommandFailed: it failed or took longer than TIME_LIMIT_S.
    """
    command = [sys.executable, "-m", "bench.train_step", "--side", side, "--model", model, *more]
    command += ["--batch-sizes", *map(str, sizes)]
    log = work / "logs" / f"step_{side}_{model}.log"
    settings = {**os.environ, **environment()}
    with log.open("w") as errors:
        try:
            done = subprocess.run(
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=settings,
                timeout=TIME_LIMIT_S,
                check=True,
                text=True,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            tail = "\n".join(log.read_text(errors="replace").strip().splitlines()[-5:])
            raise CommandFailed(f"{error}:\n{tail}") from error
    run = StepRun(**json.loads(done.stdout.splitlines()[-1]))
    print(f"{model}, {side}, batch {run.batch_size}: {max(run.images_per_s):.0f} images/s", file=sys.stderr)
    return run
