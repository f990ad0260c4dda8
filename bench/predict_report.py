"""What was measured of prediction beside pybioclip, and the table of it with its goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.evaluate import Figure

OURS, PEER = "taxaflow", "pybioclip"
HOLLOW, FULL = "hollow", "full"
CPU_GOAL, SPEED_GOAL = 1 / 3, 0.95
"""CPU time outside the forward pass over the peer's, at most; speed end to end over the peer's, at least."""


@dataclass(frozen=True)
class Run:
    """One command.

    Attributes:
        side: OURS or PEER.
        mode: HOLLOW or FULL.
        repeat: 0-based.
        pictures: named on its command line.
        wall_s: from its start to its end.
        cpu_s: of all its processes.
        peak_mb: its largest PSS, in units of 1,000,000 bytes.
    """

    side: str
    mode: str
    repeat: int
    pictures: int
    wall_s: float
    cpu_s: float
    peak_mb: float


Answer = tuple[str, float]
"""The first label of a photo, and its probability."""


@dataclass(frozen=True)
class Agreement:
    """Answers of both sides to the same photos.

    Attributes:
        same: photos with the same first label.
        total: photos.
        furthest: largest difference between the two probabilities of a photo.
    """

    same: int
    total: int
    furthest: float


def per_picture(runs: Sequence[Run], side: str, mode: str, what: str) -> list[float]:
    """Seconds that one more picture takes, of each repeat, ascending: `what` is wall_s or cpu_s.

    Not above 0 where the pictures are too few for the noise of the starts.
    """
    chosen = [run for run in runs if run.side == side and run.mode == mode]
    slopes = []
    for repeat in sorted({run.repeat for run in chosen}):
        few, many = sorted((run for run in chosen if run.repeat == repeat), key=lambda run: run.pictures)
        slopes.append((getattr(many, what) - getattr(few, what)) / (many.pictures - few.pictures))
    return sorted(slopes)


def figures_of(runs: Sequence[Run], agreement: Mapping[str, Agreement], own_flags: Sequence[str] = ()) -> list[Figure]:
    """The table: both sides, then ratios with their goals.

    Args:
        runs: of both sides, or of ours alone.
        agreement: mode -> how far their answers agree; empty without a peer.
        own_flags: further ones that ours was run with.
    """
    names = {PEER: PEER, OURS: " ".join([OURS, *own_flags])}
    sides = [side for side in (PEER, OURS) if any(run.side == side for run in runs)]
    modes = [mode for mode in (HOLLOW, FULL) if any(run.mode == mode for run in runs)]
    figures: list[Figure] = []
    if HOLLOW in modes:
        cpu = {side: per_picture(runs, side, HOLLOW, "cpu_s") for side in sides}
        figures += [Figure(f"{names[side]}: CPU outside the forward pass", _milliseconds(cpu[side])) for side in sides]
        figures += _ratio("CPU outside the forward pass, ours over pybioclip's", cpu, CPU_GOAL)
    if FULL in modes:
        wall = {side: per_picture(runs, side, FULL, "wall_s") for side in sides}
        figures += [Figure(f"{names[side]}: end to end, a picture", _milliseconds(wall[side])) for side in sides]
        figures += _ratio("time end to end, ours over pybioclip's", wall, 1 / SPEED_GOAL)
        figures += [_whole(runs, side, names[side]) for side in sides]
    for mode, one in agreement.items():
        value = f"{one.same} of {one.total}, probabilities within {one.furthest:.1e}"
        figures.append(Figure(f"same top-1, {mode}", value, f"{one.total}", one.same == one.total))
    return figures


def _milliseconds(seconds: Sequence[float]) -> str:
    few_most = f" ({1e3 * seconds[0]:.2f} to {1e3 * seconds[-1]:.2f})" if len(seconds) > 1 else ""
    speed = f", {1 / median(seconds):,.1f} a second" if median(seconds) > 0 else ", lost in noise: take more pictures"
    return f"{1e3 * median(seconds):.2f} ms{few_most}{speed}"


def _ratio(what: str, values: Mapping[str, Sequence[float]], most: float) -> list[Figure]:
    if PEER not in values:
        return []
    ours, peers = median(values[OURS]), median(values[PEER])
    ratio = ours / peers if peers > 0 else float("nan")
    return [Figure(what, f"{ratio:.3f}x", f"<= {most:.3f}x", ours > 0 and ratio <= most)]


def _whole(runs: Sequence[Run], side: str, name: str) -> Figure:
    """The largest full run of a side from start to end, and the memory it took."""
    full = [run for run in runs if run.side == side and run.mode == FULL]
    most = [run for run in full if run.pictures == max(one.pictures for one in full)]
    wall, peak = median(run.wall_s for run in most), max(run.peak_mb for run in most)
    return Figure(f"{name}: whole command, {most[0].pictures} pictures", f"{wall:.1f} s, peak {peak:,.0f} MB (PSS)")
