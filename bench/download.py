"""Measures our downloader, img2dataset 1.47 and BioTrove's published one on the same loopback nginx, in turns.

    python -m bench.download --work DIR [--photos 5000] [--repeat 3] [--schemes http,https] [--ten] [--memory] ...

Needs nginx and openssl (Debian: nginx-light). Photos and the peers' environments are made in DIR once and used again;
each download starts from nothing and its output is deleted. Prints a table per list of photos, then the goals; every
single run is a line of DIR/runs.jsonl. Exit 1 where one of our runs lacks a photo or asked for one twice.

--ten also asks for the list ten times (at other addresses each time), --memory also downloads the list forty times
with ours alone; --latency puts bench/download_proxy.py in between. --skip-once leaves the list asked once out.
--report measures nothing and prints what DIR/runs.jsonl holds of this and earlier calls.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.download_ledger import GROUPS, WORKERS, ProcessLedger
from bench.download_ours import Ours
from bench.download_peers import (
    BIOTROVE_PINS,
    IMG2DATASET_PINS,
    BioTrove,
    Img2Dataset,
    Job,
    environment_python,
)
from bench.download_photos import make_photos, photo_urls, size_summary
from bench.download_report import DownloadRun, Setting, from_json, render
from bench.download_server import PhotoSite, Served, ServerFailed, free_ports, running, serve_photos
from bench.process_tree import CommandFailed, measure

Tool = Ours | Img2Dataset | BioTrove
SCHEMES = ("http", "https")
TRANSPORTS = ("curl", "requests")
PEERS = ("img2dataset", "img2dataset_skip_reencode", "biotrove")
TEN, FORTY = 10, 40


@dataclass(frozen=True)
class Place:
    """Where downloads find the photos and leave their files."""

    work: Path
    site: PhotoSite
    base_urls: dict[str, str]
    """By scheme; of the proxy where there is one."""


def in_turns(tools: Sequence[Tool], num_repeats: int) -> Iterator[Tool]:
    """Every tool once per repeat, every second time in reverse order."""
    for repeat in range(num_repeats):
        yield from tools if repeat % 2 == 0 else reversed(tools)


def run_tool(tool: Tool, setting: Setting, place: Place) -> DownloadRun:
    """One download from nothing; its files are deleted afterwards.

    Raises:
        CommandFailed: the tool ended with another exit code than 0.
    """
    folder = place.work / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.sync()  # what the run before left to be written must not slow this one
    job = Job(photo_urls(place.base_urls[setting.scheme], setting.num_photos, setting.num_copies), folder)
    command, ledger, served = tool.prepare(job), ProcessLedger(), list[Served]()
    certificates = dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(place.site.ca_file))
    log = place.work / "logs" / f"{tool.name.replace(' ', '_')}.log"
    log.parent.mkdir(exist_ok=True)
    with place.site.watched(served):
        usage = measure(command, log, {**certificates, **tool.environment()}, ledger.look)
    num_ok = tool.count_ok(job, usage.output)
    shutil.rmtree(folder)
    return DownloadRun(
        tool=tool.name,
        is_ours=tool.is_ours,
        setting=setting,
        wall_s=usage.wall_s,
        cpu_s={group: ledger.cpu_s(group) for group in GROUPS},
        kernel_cpu_s=usage.cpu_s,
        peak_rss_mb=ledger.peak_rss_of_one_mb(*([WORKERS] if tool.is_ours else [])),
        tree_rss_mb=max(ledger.peak_rss_mb, ledger.peak_rss_of_one_mb()),
        served=served[0],
        num_ok=num_ok,
    )


@contextlib.contextmanager
def open_place(work: Path, photos: Path, latency: bool) -> Iterator[Place]:
    """Runs the server, and the slow road to it where latency is wanted.

    Raises:
        ServerFailed: either does not come up.
    """
    with serve_photos(work / "nginx", photos) as site:
        if not latency:
            yield Place(work, site, {scheme: site.base_url(scheme) for scheme in SCHEMES})
            return
        ports = dict(zip(SCHEMES, free_ports(2), strict=True))
        certificate, key = site.cert_and_key
        command = [sys.executable, "-m", "bench.download_proxy", "--to-port", str(site.http_port)]
        command += ["--cert", str(certificate), "--key", str(key)]
        command += [argument for scheme in SCHEMES for argument in (f"--{scheme}-port", str(ports[scheme]))]
        with running(command, work / "proxy.out", tuple(ports.values())):
            yield Place(work, site, {scheme: f"{scheme}://127.0.0.1:{port}" for scheme, port in ports.items()})


def choose_tools(given: argparse.Namespace) -> list[Tool]:
    """Ours first, the default transport foremost; environments of peers are made where they are not there yet."""
    tools: list[Tool] = [Ours(transport) for transport in given.ours]
    for name in given.peers:
        if name == "biotrove":
            tools.append(BioTrove(environment_python(given.work / "biotrove-venv", BIOTROVE_PINS)))
        else:
            own = given.img2dataset_python
            python = own or environment_python(given.work / "img2dataset-venv", IMG2DATASET_PINS)
            tools.append(Img2Dataset(python, skip_reencode=name != "img2dataset"))
    return tools


def plan(given: argparse.Namespace, tools: Sequence[Tool]) -> Iterator[tuple[Tool, Setting]]:
    """Every run in its order."""
    sizes = [1] * (not given.skip_once) + [TEN] * given.ten
    for num_copies in sizes:
        for scheme in given.schemes:
            setting = Setting(scheme, given.photos, num_copies, given.latency)
            for tool in in_turns(tools, given.repeat):
                yield tool, setting
    if given.memory:
        yield tools[0], Setting(given.schemes[0], given.photos, FORTY, given.latency)


def names(allowed: Sequence[str], text: str) -> list[str]:
    """The names of a list with commas; an empty text is an empty list.

    Raises:
        argparse.ArgumentTypeError: one is not allowed.
    """
    found = [name for name in text.split(",") if name]
    if unknown := [name for name in found if name not in allowed]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(allowed)}")
    return found


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.download", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--photos", type=int, default=5000, help="distinct photos")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each tool per list")
    for flag, allowed, default in (("schemes", SCHEMES, SCHEMES), ("ours", TRANSPORTS, TRANSPORTS)):
        parser.add_argument(f"--{flag}", type=lambda text, allowed=allowed: names(allowed, text), default=default)
    parser.add_argument("--peers", type=lambda text: names(PEERS, text), default=("img2dataset", "biotrove"))
    parser.add_argument("--img2dataset-python", type=Path, metavar="PATH", help="of an environment that has it")
    parser.add_argument("--latency", action="store_true", help="50 ms per request, bodies in two flights")
    parser.add_argument("--ten", action="store_true", help="also ask for the list ten times")
    parser.add_argument("--memory", action="store_true", help="also ask for the list forty times, ours alone")
    parser.add_argument("--skip-once", action="store_true", help="leave out the list asked once")
    parser.add_argument("--report", action="store_true", help="only print what DIR/runs.jsonl holds")
    given = parser.parse_args(arguments)
    if given.memory and not given.ours:
        parser.error("--memory measures the first of --ours; name one")
    return given


def is_complete(run: DownloadRun) -> bool:
    """Whether a run of ours got every photo by one request each; true for the others' runs."""
    rows = run.setting.num_rows
    return not run.is_ours or (run.num_ok == rows and run.served.num_requests == rows)


def read_runs(log: Path) -> list[DownloadRun]:
    """Every run that a log of runs holds."""
    return [from_json(json.loads(line)) for line in log.read_text().splitlines()]


def measure_all(given: argparse.Namespace) -> list[DownloadRun]:
    """Makes what is needed and every run that was asked for, each logged as it ends.

    Raises:
        CommandFailed: a tool failed.
        ServerFailed: the server did not come up.
        subprocess.CalledProcessError: a peer could not be installed.
    """
    given.work.mkdir(parents=True, exist_ok=True)
    photos = make_photos(given.work / "photos", given.photos)
    print(f"{given.photos:,} photos, p5 / median / p95 = {size_summary(photos, given.photos)}", file=sys.stderr)
    runs: list[DownloadRun] = []
    tools = choose_tools(given)
    with open_place(given.work, photos, given.latency) as place, (given.work / "runs.jsonl").open("a") as log:
        for tool, setting in plan(given, tools):
            runs.append(run_tool(tool, setting, place))
            print(json.dumps(asdict(runs[-1])), file=log, flush=True)
            print(f"{setting}: {tool.name}: {runs[-1].cpu_ms:.2f} CPU-ms, {runs[-1].wall_s:.1f} s", file=sys.stderr)
    return runs


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints; 0 where each of our runs is complete."""
    given = parse(arguments)
    given.work = given.work.resolve()
    try:
        runs = read_runs(given.work / "runs.jsonl") if given.report else measure_all(given)
    except (CommandFailed, ServerFailed, FileNotFoundError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    print(render(runs))
    return 0 if all(map(is_complete, runs)) else 1


if __name__ == "__main__":
    sys.exit(main())
