"""Measures the trainer's data path, its picture transform and its step beside open_clip 3.3.0's.

    python -m bench.train --work DIR [--edge-px 500] [--repeat 3]

Data path: shards of photos to batches at 224 px, one worker process, warm cache, readers in turns: samples/s and the
CPU time of all processes. Transform: one JPEG to one crop, in one process, and how far `--resize fast` is from exact.
Step: images/s and MFU of ViT-B/16 and ViT-L/14, on an accelerator alone. Photos, and an environment for open_clip's
loader, are made in DIR once and used again. Prints tables, then the goals; every run is a line of DIR/runs.jsonl.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from bench.process_tree import CommandFailed, measure
from bench.train_readers import environment, not_at_memory, peer_python, readers
from bench.train_report import ReaderRun, Results, Setting, StepRun, TransformResult, render
from bench.train_shards import Shards, make_shards

PARTS = ("data", "transform", "step")
WARM_UP = 4
TRANSFORMED = 550
"""Photos that the transforms are measured on, 50 of them to warm up."""


def setting_of(shards: Shards, given: argparse.Namespace) -> Setting:
    """What every reader is asked: `--passes` times about as many samples as there are."""
    num_batches = max(1, given.passes * shards.num_samples // given.batch_size)
    return Setting(shards.describe(), shards.edge_px, given.batch_size, given.workers, WARM_UP, num_batches)


def measure_readers(shards: Shards, given: argparse.Namespace, log: TextIO) -> list[ReaderRun]:
    """Every reader once per repeat, every second time in reverse order.

    Raises:
        CommandFailed: a reader failed.
        subprocess.CalledProcessError: the peer's environment could not be made.
    """
    peer = None if given.no_peer else peer_python(given.work / "open_clip-venv")
    measured, setting = readers(shards, peer), setting_of(shards, given)
    shards.warm()
    runs: list[ReaderRun] = []
    for repeat in range(given.repeat):
        for reader in measured[:: 1 if repeat % 2 == 0 else -1]:
            runs.append(reader.run(setting, given.work, repeat))
            note(log, "reader", runs[-1])
            figures = f"{runs[-1].samples_per_s:.0f} samples/s, {runs[-1].cpu_ms:.2f} CPU-ms"
            print(f"{reader.name}, {reader.shards}: {figures}", file=sys.stderr)
    return runs


def measure_transforms(shards: Shards, given: argparse.Namespace, log: TextIO) -> list[TransformResult]:
    """One process per repeat.

    Raises:
        CommandFailed: it failed.
    """
    command = [sys.executable, "-m", "bench.train_transform", "--most", str(TRANSFORMED)]
    command += ["--tars", *map(str, shards.tars("taxaflow"))]
    runs = []
    for repeat in range(given.repeat):
        usage = measure(command, given.work / "logs" / "transform.log", environment(), not_at_memory)
        found = json.loads(usage.output.splitlines()[-1])
        runs.append(TransformResult(edge_px=shards.edge_px, repeat=repeat, **found))
        note(log, "transform", runs[-1])
    return runs


def note(log: TextIO, kind: str, run: Any) -> None:
    """One line of the log of runs."""
    print(json.dumps({"kind": kind, **asdict(run)}), file=log, flush=True)


def measure_all(given: argparse.Namespace) -> Results:
    """Makes what is needed, then measures the parts asked for.

    Raises:
        CommandFailed: something measured failed.
        subprocess.CalledProcessError: the peer's environment could not be made.
    """
    (given.work / "logs").mkdir(parents=True, exist_ok=True)
    transforms, steps, found = [], [], []
    with (given.work / "runs.jsonl").open("a") as log:
        if {"data", "transform"} & set(given.parts):
            shards = make_shards(given.work, given.photos, given.edge_px)
            found = measure_readers(shards, given, log) if "data" in given.parts else []
            transforms = measure_transforms(shards, given, log) if "transform" in given.parts else []
        has_device = accelerator_is_there() if "step" in given.parts else None
        if has_device:
            from bench.train_device import measure_steps

            steps: list[StepRun] = measure_steps(given.work)
            for run in steps:
                note(log, "step", run)
    return Results(found, transforms, steps, has_device)


def accelerator_is_there() -> bool:
    """Whether torch sees a CUDA device."""
    import torch

    return torch.cuda.is_available()


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.train", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--edge-px", type=int, default=500, help="long edge of the photos")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each reader")
    parser.add_argument("--photos", type=int, default=3072, help="distinct photos")
    parser.add_argument("--passes", type=int, default=2, help="times that a reader reads about all photos")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--no-peer", action="store_true", help="leave open_clip's loader out")
    given = parser.parse_args(arguments)
    if given.batch_size > given.photos:
        parser.error(f"--batch-size {given.batch_size}: there are only {given.photos} photos")
    return given


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints; 0 where everything ran."""
    given = parse(arguments)
    given.work = given.work.resolve()
    try:
        results = measure_all(given)
    except (CommandFailed, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    print(render(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
