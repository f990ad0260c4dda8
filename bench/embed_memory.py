"""Measures whether `taxaflow embed` needs more memory for more pictures; prints a table.

    python -m bench.embed_memory [--images 1000 50000] [--edge 48] [--workers 2] [--format parquet]

Small JPEGs are drawn into a temporary folder and embedded with a model of recipe `tiny` and random weights by the
command itself, once per number of pictures. Memory is that of all its processes together at the moment when it was
most: what they own (anonymous and shared memory, each page once), and the sum of their RSS, which counts libraries and
what workers share once per process. The speed is that of the pictures that the longer run has more, so that starting
does not count.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from bench.process_tree import measure

GOAL_RATIO = 1.1
"""Of peak memories, by either count: what is flat."""

_LOOK_S = 0.2

_DISTINCT = 256
_PER_FOLDER = 5000


def draw_pictures(folder: Path, num: int, edge_px: int) -> None:
    """JPEGs of noise over waves, every file's content one of a few hundred; folders of 5,000."""
    contents = [_jpeg(seed, edge_px) for seed in range(min(num, _DISTINCT))]
    for number in range(num):
        path = folder / f"{number // _PER_FOLDER:04d}" / f"{number:08d}.jpg"
        if number % _PER_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(contents[number % len(contents)])


def _jpeg(seed: int, edge_px: int) -> bytes:
    from PIL import Image

    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 255, (4, 5, 3), dtype=np.uint8))
    file = io.BytesIO()
    coarse.resize((edge_px + 8, edge_px), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def write_tiny_model(folder: Path) -> None:
    """A model as recipe `tiny`, with random weights, as a folder that open_clip loads."""
    import torch
    from safetensors.torch import save_file

    from bench.evaluate_prompts import TINY
    from evaluation.model import ModelRequest, build_model

    folder.mkdir(parents=True)
    torch.manual_seed(0)
    model, _ = build_model(ModelRequest("tiny", model_config=TINY), torch.device("cpu"))
    config = {"model_cfg": TINY | {"quick_gelu": False}, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")


@dataclass(frozen=True)
class Run:
    """What the command used; memory in units of 1,000,000 bytes."""

    wall_s: float
    cpu_s: float
    own_mb: float
    rss_mb: float


class PeakMemory:
    """The most that this process's children and theirs hold at one time, of the times when it is called.

    Attributes:
        own_mb: anonymous and shared memory, a page of several processes counted once.
        rss_mb: the sum of RSS.
    """

    def __init__(self):
        self.own_mb, self.rss_mb = 0.0, 0.0
        self._next = 0.0

    def __call__(self, others: Set[int]) -> None:
        """Look, unless the last look was just now; children with these pids are left out."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LOOK_S
        own_kb, rss_kb = 0, 0
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.NoSuchProcess):
                for one in [child, *child.children(recursive=True)] if child.pid not in others else []:
                    held = _held_kb(one.pid)
                    own_kb += held.get("Pss_Anon", 0) + held.get("Pss_Shmem", 0)
                    rss_kb += held.get("Rss", 0)
        self.own_mb, self.rss_mb = max(self.own_mb, own_kb * 1.024e-3), max(self.rss_mb, rss_kb * 1.024e-3)


def _held_kb(pid: int) -> dict[str, int]:
    """Kind of memory -> kB of one process; empty where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {line.split(":")[0]: int(line.split()[1]) for line in lines}


def embed(work: Path, num: int, given: argparse.Namespace) -> Run:
    """What the command used for this many pictures, drawn now."""
    photos, out = work / f"photos_{num}", work / f"out_{num}"
    draw_pictures(photos, num, given.edge)
    command = [sys.executable, "-m", "taxaflow", "embed", str(photos), "--model", f"local-dir:{work / 'tiny'}"]
    command += ["--out", str(out), "--format", given.format, "--workers", str(given.workers), "--device", "cpu"]
    peak = PeakMemory()
    usage = measure(command, work / f"embed_{num}.log", look=peak)
    num_embedded = json.loads((out / "about.json").read_bytes())["num_embedded"]
    assert num_embedded == num, f"{num_embedded:,} of {num:,} pictures were embedded"
    return Run(usage.wall_s, usage.cpu_s, peak.own_mb, peak.rss_mb)


def render(runs: dict[int, Run]) -> str:
    """The table, as Markdown, with the ratio of the memories and the speed below."""
    lines = ["| pictures | peak memory, MB | peak RSS, MB | wall, s | CPU, s |", "|---|---|---|---|---|"]
    for num, one in runs.items():
        lines.append(f"| {num:,} | {one.own_mb:,.0f} | {one.rss_mb:,.0f} | {one.wall_s:.1f} | {one.cpu_s:.1f} |")
    few, many = min(runs), max(runs)
    if few < many:
        more_s, more_cpu_s = runs[many].wall_s - runs[few].wall_s, runs[many].cpu_s - runs[few].cpu_s
        own, rss = ratios(runs)
        verdict = "met" if max(own, rss) <= GOAL_RATIO else "MISSED"
        lines += [
            "",
            f"{many:,} to {few:,} pictures: memory x {own:.2f}, RSS x {rss:.2f} (goal <= {GOAL_RATIO}: {verdict})",
            f"{(many - few) / more_s:,.0f} images/s, {1000 * more_cpu_s / (many - few):.2f} CPU-ms per image",
        ]
    return "\n".join(lines)


def ratios(runs: dict[int, Run]) -> tuple[float, float]:
    """Peak memory and peak RSS of the most pictures to those of the fewest."""
    few, many = runs[min(runs)], runs[max(runs)]
    return many.own_mb / few.own_mb, many.rss_mb / few.rss_mb


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; 1 if the goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.embed_memory", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 50_000])
    parser.add_argument("--edge", type=int, default=48, help="of the pictures, px")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--format", choices=("parquet", "npy"), default="parquet")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as work:
        write_tiny_model(Path(work) / "tiny")
        runs = {num: embed(Path(work), num, given) for num in sorted(given.images)}
    print(render(runs))
    return int(max(ratios(runs)) > GOAL_RATIO)


if __name__ == "__main__":
    sys.exit(main())
