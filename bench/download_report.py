"""What the runs of bench/download.py say: a table per list of photos, and the goals, met or missed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.download_ledger import WORKERS
from bench.download_server import Served

CPU_MS_GOAL = {"curl": 1.0, "requests": 2.0}
CPU_RATIO_GOAL = {"http": 2.5, "https": 30.0}
SPEED_RATIO_GOAL = 2.5
WORKER_RSS_MB_GOAL = 250.0
MEMORY_RATIO_GOAL = 1.05
"""No more memory, with room for what two runs of the same list differ by."""
PEER = "img2dataset"
CHECKED_FROM_S = 3.0


@dataclass(frozen=True)
class Setting:
    """What a run was asked to do."""

    scheme: str
    num_photos: int
    """Distinct ones."""
    num_copies: int = 1
    """How often the list was asked for, each time at other addresses."""
    latency: bool = False
    """Whether each request waited 50 ms and each body came in two flights 25 ms apart."""

    @property
    def num_rows(self) -> int:
        """Photos asked for."""
        return self.num_photos * self.num_copies

    def __str__(self) -> str:
        """As the title of a table."""
        times = f", asked {self.num_copies} times" if self.num_copies > 1 else ""
        road = ", 50 ms and two flights" if self.latency else ""
        return f"{self.scheme}, {self.num_photos:,} photos{times}{road}"


@dataclass(frozen=True)
class DownloadRun:
    """One tool's download of one list."""

    tool: str
    is_ours: bool
    setting: Setting
    wall_s: float
    cpu_s: dict[str, float]
    """By group of processes, see bench/download_ledger.py; as looked at."""
    kernel_cpu_s: float
    """What the kernel counts for the tree; without Spark's Python workers, which it counts for nobody."""
    peak_rss_mb: float
    """Of one process: for ours one Python worker, for others any."""
    tree_rss_mb: float
    """The largest sum over all processes."""
    served: Served
    num_ok: int
    """Photos that the tool says it has."""

    @property
    def cpu_ms(self) -> float:
        """CPU-ms per photo: of ours the Python workers, of others everything."""
        return 1e3 * (self.cpu_s[WORKERS] if self.is_ours else self.tree_cpu_s) / self.setting.num_rows

    @property
    def tree_cpu_s(self) -> float:
        """CPU of all processes, s; of others what the kernel counts, which is exact, of ours what was seen."""
        seen = sum(self.cpu_s.values())
        return seen if self.is_ours else max(seen, self.kernel_cpu_s)


@dataclass(frozen=True)
class Goal:
    """A figure and what it should be."""

    setting: Setting
    name: str
    value: float | None
    """None where what it needs was not measured."""
    limit: float | None
    """None: reported only."""
    at_most: bool = True

    @property
    def verdict(self) -> str:
        """Met, missed, reported or not measured."""
        if self.value is None:
            return "not measured"
        if self.limit is None:
            return "reported"
        return "met" if (self.value <= self.limit if self.at_most else self.value >= self.limit) else "missed"

    def __str__(self) -> str:
        """A row of the table of goals."""
        value = "-" if self.value is None else f"{self.value:,.2f}"
        limit = "-" if self.limit is None else f"{'≤' if self.at_most else '≥'} {self.limit:g}"
        return f"| {self.setting} | {self.name} | {value} | {limit} | {self.verdict} |"


COLUMNS = (
    ("images/s", 0, lambda run: run.served.images_per_s),
    ("wall s", 1, lambda run: run.wall_s),
    ("CPU-ms/image", 2, lambda run: run.cpu_ms),
    ("all processes", 2, lambda run: 1e3 * run.tree_cpu_s / run.setting.num_rows),
    ("peak RSS MB", 0, lambda run: run.peak_rss_mb),
    ("all processes", 0, lambda run: run.tree_rss_mb),
    ("ok", 0, lambda run: run.num_ok),
    ("requests", 0, lambda run: run.served.num_requests),
)
"""Heading, decimals, value."""


def render(runs: Sequence[DownloadRun]) -> str:
    """All that is printed, as Markdown: a table per setting in the order measured, then the goals."""
    parts = [setting_table(setting, of(runs, setting)) for setting in dict.fromkeys(run.setting for run in runs)]
    lines = ["| list | goal | value | wanted | |", "|---|---|---|---|---|", *map(str, goals(runs))]
    return "\n\n".join([*parts, "\n".join(lines), check_of_cpu(runs)])


def of(runs: Iterable[DownloadRun], setting: Setting) -> list[DownloadRun]:
    """The runs of one setting."""
    return [run for run in runs if run.setting == setting]


def setting_table(setting: Setting, runs: Sequence[DownloadRun]) -> str:
    """Medians of one setting, a row per tool; with smallest and largest where there were several runs."""
    lines = [f"**{setting}**", ""]
    lines += ["| tool | " + " | ".join(name for name, _, _ in COLUMNS) + " |", "|---" * (1 + len(COLUMNS)) + "|"]
    for tool in dict.fromkeys(run.tool for run in runs):
        own = [run for run in runs if run.tool == tool]
        cells = [spread([value(run) for run in own], decimals) for _, decimals, value in COLUMNS]
        lines.append(f"| {tool} | " + " | ".join(cells) + " |")
    num = len(runs) // max(1, len({run.tool for run in runs}))
    lines += ["", f"Median of {num} runs (smallest-largest). CPU-ms and peak RSS of ours: Python workers, one worker;"]
    lines.append(
        "of the others: all processes, the largest one. images/s: between the server's first and last request."
    )
    return "\n".join(lines)


def spread(values: Sequence[float], decimals: int) -> str:
    """The median, and smallest and largest where they differ."""
    middle, low, high = (f"{one:,.{decimals}f}" for one in (statistics.median(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low}-{high})"


def median(runs: Iterable[DownloadRun], tool: str, value: Callable[[DownloadRun], float]) -> float | None:
    """A tool's median of a value; None where it did not run."""
    values = [value(run) for run in runs if run.tool == tool]
    return statistics.median(values) if values else None


def goals(runs: Sequence[DownloadRun]) -> list[Goal]:
    """What was wanted of ours, for each setting measured; the first of our tools is the default one."""
    ours = list(dict.fromkeys(run.tool for run in runs if run.is_ours))
    found: list[Goal] = []
    for setting in dict.fromkeys(run.setting for run in runs):
        here = of(runs, setting)
        found += [goal for tool in ours for goal in _own_goals(setting, here, tool)]
        if ours and any(run.tool == PEER for run in here):
            found += _goals_beside_the_peer(setting, here, ours[0])
    found += [goal for tool in ours for goal in _memory_goals(runs, tool)]
    return found + [goal for tool in dict.fromkeys(run.tool for run in runs) for goal in _further_cost(runs, tool)]


def _own_goals(setting: Setting, runs: Sequence[DownloadRun], tool: str) -> list[Goal]:
    cpu_ms, rss = median(runs, tool, lambda run: run.cpu_ms), median(runs, tool, lambda run: run.peak_rss_mb)
    if cpu_ms is None:
        return []
    limit = CPU_MS_GOAL.get(tool.split()[-1])
    return [
        Goal(setting, f"CPU-ms per image, {tool}", cpu_ms, limit),
        Goal(setting, f"peak RSS of a Python worker, MB, {tool}", rss, WORKER_RSS_MB_GOAL),
    ]


def _goals_beside_the_peer(setting: Setting, runs: Sequence[DownloadRun], tool: str) -> list[Goal]:
    cpu = ratio(runs, PEER, tool, lambda run: run.cpu_ms)
    speed = ratio(runs, tool, PEER, lambda run: run.served.images_per_s)
    speed_limit = (
        SPEED_RATIO_GOAL if (setting.num_copies, setting.scheme, setting.latency) == (10, "http", False) else None
    )
    return [
        Goal(setting, f"CPU-ms, {PEER} / {tool}", cpu, CPU_RATIO_GOAL[setting.scheme], at_most=False),
        Goal(setting, f"images/s, {tool} / {PEER}", speed, speed_limit, at_most=False),
    ]


def _memory_goals(runs: Sequence[DownloadRun], tool: str) -> Iterator[Goal]:
    """The memory for the longest lists beside that for the list asked once."""
    for setting, long_run, short_run in _many_and_once(runs, tool, lambda run: run.peak_rss_mb):
        if setting.num_copies > 10:
            name = f"peak RSS of a Python worker / the same for the list asked once, {tool}"
            yield Goal(setting, name, long_run / short_run, MEMORY_RATIO_GOAL)


def _further_cost(runs: Sequence[DownloadRun], tool: str) -> Iterator[Goal]:
    """What a photo costs once everything has started: what a longer list costs more, per photo that it has more."""
    for setting, long_run, short_run in _many_and_once(runs, tool, lambda run: run.cpu_ms * run.setting.num_rows):
        num_more = setting.num_rows - setting.num_photos
        name = f"CPU-ms per image beyond the first {setting.num_photos:,}, {tool}"
        yield Goal(setting, name, (long_run - short_run) / num_more, None)


def _many_and_once(
    runs: Sequence[DownloadRun], tool: str, value: Callable[[DownloadRun], float]
) -> Iterator[tuple[Setting, float, float]]:
    """Each setting that asks for its list many times, a tool's median there, and for the same list asked once."""
    for setting in dict.fromkeys(run.setting for run in runs if run.setting.num_copies > 1):
        long_run = median(of(runs, setting), tool, value)
        short_run = median(of(runs, replace(setting, num_copies=1)), tool, value)
        if long_run is not None and short_run is not None:
            yield setting, long_run, short_run


def ratio(runs: Sequence[DownloadRun], upper: str, lower: str, value: Callable[[DownloadRun], float]) -> float | None:
    """Median of one tool over median of another; None where one is missing or 0."""
    above, below = median(runs, upper, value), median(runs, lower, value)
    return None if above is None or not below else above / below


def check_of_cpu(runs: Sequence[DownloadRun]) -> str:
    """How much of what the kernel counts for the peers was seen by looking; of short runs the end weighs too much."""
    long_runs = [run for run in runs if not run.is_ours and run.kernel_cpu_s and run.wall_s >= CHECKED_FROM_S]
    shares = [sum(run.cpu_s.values()) / run.kernel_cpu_s for run in long_runs]
    if not shares:
        return "CPU time of ours is as seen in /proc; no peer ran long enough to compare it with the kernel's own sums."
    return f"CPU time of ours is as seen in /proc; of the peers' that shows {min(shares):.1%} to {max(shares):.1%}."


def from_json(record: dict[str, Any]) -> DownloadRun:
    """A run out of what dataclasses.asdict made of it."""
    return DownloadRun(**{**record, "setting": Setting(**record["setting"]), "served": Served(**record["served"])})
