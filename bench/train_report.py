"""What the runs of bench/train.py say: tables of the data path, the transform and the step, and the goals."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench.download_report import spread

OURS = {"exact": "taxaflow exact", "fast": "taxaflow fast"}
OPEN_CLIP = "open_clip"
RATIO_GOAL = 2.0
DIFFERENCE_GOAL = 3.0
"""Levels of 255."""
STEP_RATIO_GOAL = 1.6
MFU_GOALS = {"ViT-B-16": 0.40, "ViT-L-14": 0.45}
NO_DEVICE = "There is no accelerator here: images/s and MFU of the training step were not measured."


@dataclass(frozen=True)
class Setting:
    """What readers were asked to do.

    Attributes:
        photos: what they read, in words.
        edge_px: the photos' long edge.
        batch_size, workers: of the loader.
        warm_up: batches read before measuring.
        num_batches: measured.
    """

    photos: str
    edge_px: int
    batch_size: int
    workers: int
    warm_up: int
    num_batches: int


@dataclass(frozen=True)
class ReaderRun:
    """One run of a data path; see bench.train_window.Window.

    Attributes:
        whole_cpu_s: of the process tree from start to end, start-up and warm-up included.
    """

    reader: str
    shards: str
    setting: Setting
    repeat: int
    samples: int
    wall_s: float
    cpu_s: float
    first_batch_s: float
    whole_cpu_s: float

    @property
    def samples_per_s(self) -> float:
        """In steady state."""
        return self.samples / self.wall_s

    @property
    def cpu_ms(self) -> float:
        """Per sample in steady state, of the whole process tree."""
        return 1e3 * self.cpu_s / self.samples


@dataclass(frozen=True)
class TransformResult:
    """One run of bench/train_transform.py on photos of one size."""

    edge_px: int
    repeat: int
    cpu_ms: dict[str, float]
    num_photos: int
    difference: float
    largest_difference: float


@dataclass(frozen=True)
class StepRun:
    """One side's training steps on an accelerator; see bench/train_step.py."""

    device: str
    model: str
    side: str
    batch_size: int
    step_s: list[float]
    """Seconds per step, one number per window of steps."""
    mfu: float | None
    peak_mb: float
    texts: str

    @property
    def images_per_s(self) -> list[float]:
        """By window."""
        return [self.batch_size / seconds for seconds in self.step_s]


@dataclass(frozen=True)
class Goal:
    """A figure and what it should be; None where what it needs was not measured."""

    name: str
    value: float | None
    limit: float
    at_most: bool = False

    def __str__(self) -> str:
        """A row of the table of goals."""
        limit = f"{'≤' if self.at_most else '≥'} {self.limit:g}"
        if self.value is None:
            return f"| {self.name} | - | {limit} | not measured |"
        met = self.value <= self.limit if self.at_most else self.value >= self.limit
        return f"| {self.name} | {self.value:,.3g} | {limit} | {'met' if met else 'missed'} |"


@dataclass(frozen=True)
class Results:
    """All that was measured.

    Attributes:
        has_device: whether there was an accelerator; None where steps were not asked for.
    """

    readers: Sequence[ReaderRun] = ()
    transforms: Sequence[TransformResult] = ()
    steps: Sequence[StepRun] = ()
    has_device: bool | None = None


READER_COLUMNS: tuple[tuple[str, int, Callable[[ReaderRun], float]], ...] = (
    ("samples/s", 0, lambda run: run.samples_per_s),
    ("CPU-ms/sample", 2, lambda run: run.cpu_ms),
    ("first batch after s", 1, lambda run: run.first_batch_s),
    ("CPU s, whole run", 1, lambda run: run.whole_cpu_s),
)
"""Heading, decimals, value."""


def render(results: Results) -> str:
    """All that is printed, as Markdown."""
    parts = [reader_table(setting, results.readers) for setting in _distinct(run.setting for run in results.readers)]
    parts += [
        transform_table(edge, results.transforms) for edge in _distinct(run.edge_px for run in results.transforms)
    ]
    if results.has_device is not None:
        parts.append(step_table(results.steps) if results.has_device else NO_DEVICE)
    parts.append("\n".join(["| goal | value | wanted | |", "|---|---|---|---|", *map(str, goals(results))]))
    return "\n\n".join(parts)


def reader_table(setting: Setting, all_runs: Sequence[ReaderRun]) -> str:
    """Medians of the readers of one setting, with smallest and largest where there were several runs."""
    runs = [run for run in all_runs if run.setting == setting]
    workers = f"{setting.workers} worker process{'es' if setting.workers > 1 else ''}"
    lines = [f"**Data path: {setting.photos}; batches of {setting.batch_size} at 224 px, {workers}**", ""]
    lines += _heading("reader", "shards", *(name for name, _, _ in READER_COLUMNS))
    for reader, shards in _distinct((run.reader, run.shards) for run in runs):
        own = [run for run in runs if (run.reader, run.shards) == (reader, shards)]
        cells = [spread([value(run) for run in own], decimals) for _, decimals, value in READER_COLUMNS]
        lines.append(f"| {reader} | {shards} | {' | '.join(cells)} |")
    num = max(run.repeat for run in runs) + 1
    lines += [
        "",
        f"Median of {num} run{'s' if num > 1 else ''} (smallest-largest), {setting.num_batches} batches each, behind",
        f"{setting.warm_up} to warm up; CPU of all processes. Batches of ours are uint8, normalised on the device;",
        "open_clip's are normalised float32. Caches are warm, readers take turns, every process has one thread.",
    ]
    return "\n".join(lines)


def transform_table(edge_px: int, all_runs: Sequence[TransformResult]) -> str:
    """Medians of the transforms alone on photos of one size."""
    runs = [run for run in all_runs if run.edge_px == edge_px]
    lines = [f"**Transform alone: {runs[0].num_photos:,} photos of {edge_px} px in memory, one process**", ""]
    lines += _heading("transform", "CPU-ms/photo", "photos/s")
    for name in runs[0].cpu_ms:
        values = [run.cpu_ms[name] for run in runs]
        lines.append(f"| {name} | {spread(values, 2)} | {spread([1e3 / one for one in values], 0)} |")
    worst = max(run.largest_difference for run in runs)
    lines += ["", f"Fast differs from exact, same crops, by {runs[0].difference:.3f} levels of 255 on average over"]
    lines.append(f"photos, by {worst:.3f} in the photo with the largest mean difference.")
    return "\n".join(lines)


def step_table(runs: Sequence[StepRun]) -> str:
    """Steps of both sides, by model."""
    lines = [f"**Training step on {', '.join(_distinct(run.device for run in runs))}, bf16 autocast**", ""]
    lines += _heading("model", "side", "batch", "images/s", "MFU", "peak MB", "texts")
    for run in runs:
        mfu = "-" if run.mfu is None else f"{run.mfu:.1%}"
        cells = (run.model, run.side, str(run.batch_size), spread(run.images_per_s, 0), mfu, f"{run.peak_mb:,.0f}")
        lines.append(f"| {' | '.join(cells)} | {run.texts} |")
    lines += [
        "",
        "images/s: median over windows (smallest-largest). MFU counts the work done: ours encodes each distinct",
    ]
    lines.append("text once at the batch's longest, open_clip every text at 77 tokens.")
    return "\n".join(lines)


def goals(results: Results) -> Iterator[Goal]:
    """What was wanted of ours."""
    for setting in _distinct(run.setting for run in results.readers):
        yield from _reader_goals(setting, [run for run in results.readers if run.setting == setting])
    for edge_px in _distinct(run.edge_px for run in results.transforms):
        runs = [run for run in results.transforms if run.edge_px == edge_px]
        peer, own = ([run.cpu_ms[name] for run in runs] for name in (OPEN_CLIP, OURS["fast"]))
        name = f"{edge_px} px, transform alone: CPU-ms, {OPEN_CLIP} / {OURS['fast']}"
        yield Goal(name, statistics.median(peer) / statistics.median(own), RATIO_GOAL)
        difference = max(run.difference for run in runs)
        yield Goal(f"{edge_px} px: mean difference of fast to exact, levels", difference, DIFFERENCE_GOAL, at_most=True)
    for model in MFU_GOALS if results.has_device else ():
        yield from _step_goals(model, {run.side: run for run in results.steps if run.model == model})


def _reader_goals(setting: Setting, runs: Sequence[ReaderRun]) -> Iterator[Goal]:
    values: tuple[tuple[str, Callable[[ReaderRun], float], bool], ...] = (
        ("samples/s", lambda run: run.samples_per_s, True),
        ("CPU-ms", lambda run: run.cpu_ms, False),
    )
    peers = [run for run in runs if run.reader == OPEN_CLIP]
    for shards in _distinct(run.shards for run in runs):
        own = [run for run in runs if (run.reader, run.shards) == (OURS["fast"], shards)]
        for name, value, more_is_better in values:
            ratio = None
            if own and peers:
                ratio = statistics.median(map(value, own)) / statistics.median(map(value, peers))
            sides = (OURS["fast"], OPEN_CLIP) if more_is_better else (OPEN_CLIP, OURS["fast"])
            label = f"{setting.edge_px} px, {shards}: {name}, {' / '.join(sides)}"
            yield Goal(label, ratio if ratio is None or more_is_better else 1 / ratio, RATIO_GOAL)


def _step_goals(model: str, sides: dict[str, StepRun]) -> Iterator[Goal]:
    ours, peer = sides.get("taxaflow"), sides.get(OPEN_CLIP)
    ratio = statistics.median(ours.images_per_s) / statistics.median(peer.images_per_s) if ours and peer else None
    yield Goal(f"{model}: images/s, taxaflow / {OPEN_CLIP}", ratio, STEP_RATIO_GOAL)
    yield Goal(f"{model}: MFU", ours.mfu if ours else None, MFU_GOALS[model])


def _heading(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))
