"""Serves the kinds of trouble of tests/fault_matrix.py to our downloader, to img2dataset 1.47 and to BioTrove's.

    python -m bench.fault_matrix --work DIR [--img2dataset-python PATH] [--biotrove-python PATH] [--peers ...]

Run it at the root of the project, whose tests it shares; it takes six minutes, most of them waiting. Environments of
the peers are made in DIR once. Prints a Markdown table: a row per kind, wrong outcomes in bold, and how many kinds each
ended rightly. Exit 1 where ours did not end all of them so.

One rule for all: where the picture can be had it must be stored, upright, in its colours, as a training loader sees
it (opened by Pillow, converted to RGB, tags and profiles ignored; any format and size will do); everywhere else nothing
may be stored. Nothing may keep a run alive for HUNG_S, and no body may be read without limit. Ours must also name the
right status. Requests in excess of what a kind is worth are told, but not held against anyone.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.download_peers import BIOTROVE_PINS, environment_python
from bench.fault_tools import HUNG_S, IMG2DATASET_FAULT_PINS, BioTroveTool, Img2DatasetTool, OurTool, Outcome, Tool
from bench.process_tree import CommandFailed
from tests.fault_matrix import ENDLESS_BYTES, Flood, Kind, Photo, make_kinds, mismatch
from tests.fault_server import FaultServer

PEERS = ("img2dataset", "biotrove")


@dataclass(frozen=True)
class Verdict:
    """Whether a photo, or a whole kind, ended rightly, and how, in a few words."""

    is_right: bool
    words: str


def judge(photo: Photo, outcome: Outcome) -> Verdict:
    """The one rule."""
    if outcome.is_hung:
        return Verdict(False, f"hung, killed after {HUNG_S} s")
    if photo.picture is None:
        return _judge_refusal(photo, outcome)
    if outcome.data is None:
        return Verdict(False, "lost")
    wrong = mismatch(outcome.data, photo.picture)
    return Verdict(wrong is None, "ok" if wrong is None else f"stored: {wrong}")


def _judge_refusal(photo: Photo, outcome: Outcome) -> Verdict:
    """Of a photo of which nothing may be stored."""
    if outcome.data is not None:
        return Verdict(False, f"stored: {_size(outcome.data)}")
    if isinstance(photo.behaviour, Flood) and photo.behaviour.num_sent >= ENDLESS_BYTES:
        return Verdict(False, f"{photo.behaviour.num_sent >> 20} MiB read")
    if outcome.status is None:
        return Verdict(True, "refused")
    return Verdict(outcome.status is photo.status, outcome.status.value)


def _size(data: bytes) -> str:
    return f"{len(data) >> 20} MiB" if len(data) >= 2**20 else f"{len(data):,} bytes"


def judge_kind(kind: Kind, outcomes: Sequence[Outcome]) -> Verdict:
    """Right where each photo is; requests beyond what they are worth are added to the words."""
    verdicts = [judge(photo, outcome) for photo, outcome in zip(kind.photos, outcomes, strict=True)]
    words = "; ".join(dict.fromkeys(verdict.words for verdict in verdicts))
    asked = sum(outcome.num_requests for outcome in outcomes)
    worth = sum(photo.num_requests for photo in kind.photos)
    return Verdict(all(one.is_right for one in verdicts), words + (f" ({asked} requests)" if asked > worth else ""))


def run_tool(tool: Tool, kinds: Sequence[Kind], work: Path) -> list[Verdict]:
    """One tool on all kinds: each that is slow in a run of its own, the rest in one, or each alone where it must be.

    Raises:
        CommandFailed: the tool ended with another exit code than 0.
    """
    alone = [kind for kind in kinds if kind.is_slow or tool.one_kind_per_run]
    together = [kind for kind in kinds if kind not in alone]
    found: dict[str, Verdict] = {}
    for number, group in enumerate(groups := [together] * bool(together) + [[kind] for kind in alone], 1):
        print(f"{tool.name}: run {number} of {len(groups)}: {', '.join(kind.name for kind in group)}", file=sys.stderr)
        found |= run_group(tool, group, work / "faults")
    return [found[kind.name] for kind in kinds]


def run_group(tool: Tool, kinds: Sequence[Kind], folder: Path) -> dict[str, Verdict]:
    """One run of one tool; its files are deleted afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with FaultServer() as server:
        urls = {kind.name: kind.serve(server) for kind in kinds}
        outcomes = tool.download([url for group in urls.values() for url in group], folder)
        asked = server.counts()
    verdicts = {}
    for kind in kinds:
        mine = [outcomes.pop(0) for _ in kind.photos]
        paths = [path for photo in kind.photos for path in photo.others]
        mine[0].num_requests += sum(asked[path] for path in paths)
        for outcome, url in zip(mine, urls[kind.name], strict=True):
            outcome.num_requests += asked[url.removeprefix(server.url(""))]
        verdicts[kind.name] = judge_kind(kind, mine)
    shutil.rmtree(folder)
    return verdicts


def expected(kind: Kind) -> str:
    """What a kind should be, as the table says."""
    return ", ".join(dict.fromkeys(photo.status.value for photo in kind.photos))


def render(kinds: Sequence[Kind], found: dict[str, list[Verdict]]) -> str:
    """The table; wrong outcomes are bold, the last row counts the right ones."""
    rows = [["fault", "should be", *found], ["---"] * (2 + len(found))]
    for row, kind in enumerate(kinds):
        cells = [verdicts[row] for verdicts in found.values()]
        rows.append([kind.name, expected(kind), *(one.words if one.is_right else f"**{one.words}**" for one in cells)])
    totals = [f"{sum(one.is_right for one in verdicts)} of {len(kinds)}" for verdicts in found.values()]
    rows.append(["right", "", *totals])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def choose_tools(given: argparse.Namespace) -> list[Tool]:
    """Ours, then the peers that are wanted."""
    tools: list[Tool] = [OurTool(given.transport)]
    if "img2dataset" in given.peers:
        own = given.img2dataset_python
        folder = given.work / "img2dataset-faults-venv"
        tools.append(Img2DatasetTool(own or environment_python(folder, IMG2DATASET_FAULT_PINS)))
    if "biotrove" in given.peers:
        own = given.biotrove_python
        tools.append(BioTroveTool(own or environment_python(given.work / "biotrove-venv", BIOTROVE_PINS)))
    return tools


def main(arguments: list[str] | None = None) -> int:
    """Runs all and prints; 0 where ours is right throughout."""
    parser = argparse.ArgumentParser(prog="python -m bench.fault_matrix", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--transport", choices=("curl", "requests"), default="curl", help="of ours")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--img2dataset-python", type=Path, metavar="PATH", help="of an environment that has it")
    parser.add_argument("--biotrove-python", type=Path, metavar="PATH", help="of an environment with aiohttp")
    given = parser.parse_args(arguments)
    given.work = given.work.resolve()
    kinds = make_kinds()
    try:
        found = {tool.name: run_tool(tool, kinds, given.work) for tool in choose_tools(given)}
    except CommandFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(render(kinds, found))
    ours = next(iter(found.values()))
    return 0 if all(verdict.is_right for verdict in ours) else 1


if __name__ == "__main__":
    sys.exit(main())
