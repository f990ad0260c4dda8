"""Measures `taxaflow predict` beside pybioclip's CustomLabelsClassifier: the same model, photos, labels and prompts.

    python -m bench.predict --work DIR [--repeat 3] [--hollow 200 2000] [--full 64 320] [--threads 1] [--resize fast]
                            [--no-peer]

The model is a ViT-B/16 of random weights in a folder that both open without network (`local-dir:`), the photos are
JPEGs of 500 x 375 px, the labels get OpenAI's 80 prompts. Both commands run as users run them, in turns. Every figure
per picture is a difference of two runs, over many pictures and over few, so that imports, the model and the labels do
not count. Outside the forward pass: the same commands with the forward pass of pictures taken out
(bench/predict_hollow.py), CPU time of all processes; pybioclip's is mostly torch's threads waiting for each other in
small steps, so that --threads 1 shows another ratio. pybioclip is installed in DIR once. Prints a table, then whether
the goals are met; every run is a line of DIR/runs.jsonl.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from bench.download_peers import environment_python
from bench.evaluate import render
from bench.predict_report import FULL, HOLLOW, OURS, PEER, Agreement, Answer, Run, figures_of
from bench.process_tree import CommandFailed, measure

PYBIOCLIP = "pybioclip==2.1.6"
SHARED_PACKAGES = ("torch", "open_clip_torch", "Pillow")
"""Both sides have them in one version: nothing that they do alike may differ."""
SIZES = {HOLLOW: [200, 2000], FULL: [64, 320]}
"""Photos of the small and of the large runs: enough that what a start takes, give or take half a second, is little."""
PROJECT = Path(__file__).resolve().parent.parent
LABELS = ("Turdus merula", "Amanita muscaria", "Quercus robur")
"""Few: pybioclip encodes 80 texts of each whenever it starts."""

_COLUMNS = {OURS: ("picture", "taxon", "probability"), PEER: ("file_name", "classification", "score")}

OFFLINE = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class World:
    """What both sides are given.

    Attributes:
        model: folder of the model.
        photos: files, the first of which the small runs take.
        labels: file with a label a line.
        out: folder for what is written.
        peer_python: interpreter of pybioclip's environment; None leaves it out.
        environment: variables of both sides.
        own_flags: further ones of taxaflow.
    """

    model: Path
    photos: Sequence[Path]
    labels: Path
    out: Path
    peer_python: Path | None
    environment: Mapping[str, str] = field(default_factory=lambda: OFFLINE)
    own_flags: Sequence[str] = ()

    def command(self, side: str, mode: str, number: int) -> list[str]:
        """The command line of one run over the first `number` photos."""
        photos = [str(path) for path in self.photos[:number]]
        written = ["--output" if side == PEER else "--out", str(self.answers(side, mode))]
        model = ["--model", f"local-dir:{self.model}", "--device", "cpu"]
        if side == PEER:
            module, own = "bioclip.__main__", ["--cls", ",".join(LABELS), "--k", "1"]
        else:
            module, own = (
                "taxaflow",
                ["--labels", str(self.labels), "--prompts", "openai80", "--top-k", "1", "--no-cache", *self.own_flags],
            )
        python = str(self.peer_python if side == PEER else sys.executable)
        start = [python, str(PROJECT / "bench" / "predict_hollow.py")] if mode == HOLLOW else [python, "-m"]
        return [*start, module, "predict", *photos, *model, *own, *written]

    def answers(self, side: str, mode: str) -> Path:
        """The CSV that a side writes."""
        return self.out / f"{side}-{mode}.csv"


def make_world(given: argparse.Namespace) -> World:
    """Model, photos and labels in the work folder, made where they are not there yet.

    Raises:
        subprocess.CalledProcessError: the peer could not be installed.
    """
    from bench.train_photos import make_photo

    work: Path = given.work
    for folder in ("photos", "out", "logs"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    photos = [
        work / "photos" / f"{number:05d}.jpg"
        for number in range(max(most for mode in given.modes for most in getattr(given, mode)))
    ]
    for number, path in enumerate(photos):
        if not path.is_file():
            path.write_bytes(make_photo(number, given.edge_px))
    labels = work / "labels.txt"
    labels.write_text("\n".join(LABELS) + "\n")
    if not (work / "model").is_dir():
        write_random_model(given.model, work / "model")
    peer = None if given.no_peer else environment_python(work / "pybioclip-venv", peer_pins())
    environment = OFFLINE | ({} if given.threads is None else {"OMP_NUM_THREADS": str(given.threads)})
    own_flags = ["--resize", given.resize] if given.resize else []
    return World(work / "model", photos, labels, work / "out", peer, environment, own_flags)


def peer_pins() -> tuple[str, ...]:
    """What pip installs for the peer."""
    return (PYBIOCLIP, *(f"{name}=={version(name).partition('+')[0]}" for name in SHARED_PACKAGES))


def write_random_model(name: str, folder: Path) -> None:
    """A model of open_clip's with random weights, always the same ones, as a folder that open_clip opens."""
    import torch

    from evaluation.model import ModelRequest, build_model
    from release.folder.whole_folder import whole_folder
    from release.folder.write_folder import write_model

    torch.manual_seed(0)
    with whole_folder(folder, {}) as files:
        write_model(*build_model(ModelRequest(name)), files)


def measure_all(world: World, given: argparse.Namespace) -> list[Run]:
    """Every side in every mode over few and over many photos, once per repeat, every second time in reverse order.

    Raises:
        CommandFailed: a command failed.
    """
    sides = [OURS] if world.peer_python is None else [PEER, OURS]
    runs = []
    with (given.work / "runs.jsonl").open("a") as log:
        for repeat in range(given.repeat):
            for mode in given.modes:
                for side in sides[:: 1 if repeat % 2 == 0 else -1]:
                    for number in sorted(getattr(given, mode)):
                        runs.append(run_one(world, side, mode, number, repeat, given.work / "logs"))
                        print(json.dumps(asdict(runs[-1]) | {"flags": world.own_flags}), file=log, flush=True)
                        told = f"{runs[-1].wall_s:.1f} s, {runs[-1].cpu_s:.1f} CPU-s"
                        print(f"{side}, {mode}, {number} pictures: {told}", file=sys.stderr)
    return runs


def run_one(world: World, side: str, mode: str, number: int, repeat: int, logs: Path) -> Run:
    """One command, measured, and its answers looked through.

    Raises:
        CommandFailed: it failed, or did not answer for every photo.
    """
    command = world.command(side, mode, number)
    environment = dict(world.environment) if side == PEER else {**world.environment, "PYTHONPATH": str(PROJECT)}
    usage = measure(command, logs / f"{side}-{mode}.log", environment)
    if len(read_answers(world.answers(side, mode))) != number:
        raise CommandFailed(f"{side}, {mode}: not one answer for each of {number} photos")
    return Run(side, mode, repeat, number, usage.wall_s, usage.cpu_s, usage.peak_pss_mb)


def read_answers(path: Path) -> dict[str, Answer]:
    """Photo's name -> its first label and score, from either side's CSV."""
    answers: dict[str, Answer] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name, label, score = (row[column] for column in _COLUMNS[OURS if "picture" in row else PEER])
            if label:  # ours names the pictures that it could not read
                answers.setdefault(Path(name).name, (label, float(score)))
    return answers


def agreement_of(world: World, modes: Sequence[str]) -> dict[str, Agreement]:
    """Mode -> how far the answers of both sides agree; empty without a peer."""
    if world.peer_python is None:
        return {}
    return {mode: compare(*(read_answers(world.answers(side, mode)) for side in (OURS, PEER))) for mode in modes}


def compare(ours: Mapping[str, Answer], peers: Mapping[str, Answer]) -> Agreement:
    """How far the answers for the same photos agree."""
    assert ours.keys() == peers.keys(), ours.keys() ^ peers.keys()
    same = sum(ours[name][0] == label for name, (label, _) in peers.items())
    furthest = max(abs(ours[name][1] - probability) for name, (_, probability) in peers.items())
    return Agreement(same, len(peers), furthest)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.predict", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--work",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of model, photos and pybioclip, kept for next time",
    )
    parser.add_argument("--repeat", type=int, default=3, help="runs of each side")
    for mode, sizes in SIZES.items():
        parser.add_argument(
            f"--{mode}", type=int, nargs=2, default=sizes, metavar="N", help=f"{mode}: few and many photos"
        )
    parser.add_argument("--edge-px", type=int, default=500, help="long edge of the photos")
    parser.add_argument("--model", default="ViT-B-16", help="open_clip's name, of random weights")
    parser.add_argument("--threads", type=int, help="of torch, on both sides (default: what torch takes)")
    parser.add_argument("--modes", nargs="+", choices=(HOLLOW, FULL), default=[HOLLOW, FULL])
    parser.add_argument("--resize", choices=("exact", "fast"), help="run taxaflow with it; the table says so")
    parser.add_argument("--no-peer", action="store_true", help="leave pybioclip out")
    given = parser.parse_args(arguments)
    for mode in SIZES:
        sizes = getattr(given, mode)
        if len(set(sizes)) < 2 or min(sizes) < 1:
            parser.error(f"--{mode} {sizes}: two different numbers from 1")
    for name in ("repeat", "threads"):
        if getattr(given, name) is not None and getattr(given, name) < 1:
            parser.error(f"--{name} {getattr(given, name)}: 1 or more")
    return given


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints; 1 if something failed or a goal was missed."""
    given = parse(arguments)
    given.work = given.work.resolve()
    try:
        world = make_world(given)
        figures = figures_of(measure_all(world, given), agreement_of(world, given.modes), world.own_flags)
    except (CommandFailed, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    print(render(figures))
    return int(not all(one.is_met for one in figures))


if __name__ == "__main__":
    sys.exit(main())
