"""`make demo`: metadata to verified shards on the sample to a small model and its report, by the public commands.

Each is printed before it runs and can be typed as printed. Those of the data run in this one process, so that Spark
starts once. A second run finds nothing to do.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

import taxaflow
from spark_jobs.session import EXTRA_CONF_VARIABLE
from spark_jobs.status import DatasetState, dataset_states
from spark_jobs.table_io import read_arrow
from spark_jobs.tables import PHOTOS, SELECTIONS

SAMPLE = Path(__file__).resolve().parent
SNAPSHOT = "2026-10"
SERVER_START_S = 10.0
SMALL_DATA = (
    "spark.sql.shuffle.partitions=2;spark.buffer.pageSize=1m;spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1"
)
"""Spark settings for a few hundred rows: compiling little starts sooner, and so do joins and sorts in small pages."""


def main() -> None:
    """Run the demo and print what happened and where the report is."""
    parser = argparse.ArgumentParser(description="Run the demo.")
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="data root of the demo")
    run_demo(parser.parse_args().out)


def run_demo(root: Path) -> None:
    """Draw the specimens, serve the pictures on loopback and run every data step on them."""
    started = time.monotonic()
    os.environ.setdefault(EXTRA_CONF_VARIABLE, SMALL_DATA)
    drawings = root / "drawings"
    python(["-m", "sample.draw_specimens", str(drawings)])
    with photo_server(drawings, root / "server") as base_url:
        for command in ingest_commands(root, drawings):
            run_command(command)
        for command in dataset_commands(root, write_drawn_photos(root), base_url):
            run_command(command)
    manifests = [str(root / "shards" / dataset / "manifest.json") for dataset in ("demo", "sample")]
    python(["-m", "sample.open_shards", *manifests])
    train(root)
    evaluate(root)
    print_outcome(root, time.monotonic() - started)


def ingest_commands(root: Path, drawings: Path) -> list[list[str]]:
    """The `taxaflow` commands that fill the photos table, without the program's name."""
    files = {"sample": SAMPLE / "photos.csv", "drawings": drawings / "photos.csv"}
    options = ["--snapshot", SNAPSHOT, "--root", str(root)]
    return [
        ["data", "ingest", "--source", "csv", "--source-name", name, "--input", str(file), *options]
        for name, file in files.items()
    ]


def dataset_commands(root: Path, drawn_photos: Path, base_url: str) -> list[list[str]]:
    """The `taxaflow` commands that make and show the datasets `demo` and `sample`, without the program's name."""

    def download(dataset: str) -> list[str]:
        options = ["--samples-per-shard", "100", "--base-url", base_url, "--user-agent", "taxaflow demo"]
        return ["data", "download", "--dataset", dataset, *options, "--root", str(root)]

    thresholds = ["--min-photos", "10", "--max-photos", "40", "--val", "0.15", "--test", "0.15", "--seed", "42"]
    all_categories = "Aves,Arachnida,Insecta,Reptilia,Plantae,Fungi,Mollusca,other"
    real = ["--min-photos", "1", "--categories", all_categories, "--exclude-photos", str(drawn_photos)]
    return [
        ["data", "count", "--rare", "10", "--cap", "40", "--root", str(root)],
        ["data", "select", "--dataset", "demo", *thresholds, "--root", str(root)],
        ["data", "select", "--dataset", "sample", *real, "--root", str(root)],
        download("demo"),
        download("sample"),
        ["data", "label", "--root", str(root)],
        ["data", "status", "--root", str(root)],
    ]


def run_command(arguments: Sequence[str]) -> None:
    """Print a `taxaflow` command and run it in this process."""
    show("taxaflow", arguments)
    taxaflow.app(list(arguments), standalone_mode=False)


def train(root: Path) -> None:
    """Train the recipe `tiny` on the drawings, in a process of its own; goes on where an earlier run stopped."""
    command = ["train", "--recipe", "tiny", "--train-data", str(root / "shards" / "demo" / "manifest.json")]
    command += ["--logs", str(root / "runs"), "--name", "demo", "--resume", "latest"]
    show("taxaflow", command)
    subprocess.run([sys.executable, "-m", "taxaflow", *command], check=True)


def evaluate(root: Path) -> None:
    """Evaluate the model on the held-out drawings at every rank, and make the report; in processes of their own."""
    heldout, results = root / "heldout", root / "eval"
    python(["-m", "sample.write_heldout", str(root / "shards" / "demo" / "manifest.json"), str(heldout)])
    command = ["eval", "--csv", str(heldout / "heldout.csv"), "--resume", str(root / "runs" / "demo")]
    command += ["--few-shot", "--out", str(results)]
    for arguments in (command, ["report", str(results)]):
        show("taxaflow", arguments)
        subprocess.run([sys.executable, "-m", "taxaflow", *arguments], check=True)


def python(arguments: Sequence[str]) -> None:
    """Print a Python command and run it; the demo ends if it fails."""
    show("python", arguments)
    subprocess.run([sys.executable, *arguments], check=True)


def show(program: str, arguments: Sequence[str]) -> None:
    """Print a command as it would be typed."""
    print(f"\n$ {program} {shlex.join(arguments)}", flush=True)


@contextmanager
def photo_server(drawings: Path, folder: Path) -> Iterator[str]:
    """The base URL of a photo server on loopback that runs while the block does."""
    folder.mkdir(parents=True, exist_ok=True)
    port_file = folder / "port"
    port_file.unlink(missing_ok=True)
    arguments = ["-m", "sample.photo_server", "--sample", str(SAMPLE), "--drawings", str(drawings)]
    arguments += ["--port-file", str(port_file), "--requests-log", str(folder / "requests.log")]
    show("python", [*arguments, "&"])
    server = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{wait_for_port(port_file, server)}"
    finally:
        server.terminate()
        server.wait(timeout=SERVER_START_S)


def wait_for_port(port_file: Path, server: subprocess.Popen) -> int:
    """The port that the server wrote once it listened; the demo ends if it does not come up."""
    deadline = time.monotonic() + SERVER_START_S
    while time.monotonic() < deadline and server.poll() is None:
        if port_file.exists() and (text := port_file.read_text().strip()):
            return int(text)
        time.sleep(0.05)
    sys.exit(f"demo: the photo server did not start within {SERVER_START_S:.0f} s")


def write_drawn_photos(root: Path) -> Path:
    """A CSV of the ids of all drawings, for --exclude-photos: the second dataset shall hold real photos only."""
    drawn = read_arrow(root, PHOTOS, ["photo_id"], pc.field("source") == "drawings").column("photo_id")
    path = root / "drawn_photos.csv"
    path.write_text("\n".join(["photo_id", *map(str, sorted(drawn.to_pylist()))]) + "\n", encoding="utf-8")
    return path


def print_outcome(root: Path, seconds: float) -> None:
    """Print the fate of every photo per dataset, the shards, and where to look."""
    console = Console(width=None if Console().is_terminal else 100)
    table = Table("dataset", "fate", "photos", title="What became of every photo", title_justify="left")
    for state in dataset_states(root):
        for fate, number in fates(root, state):
            table.add_row(state.name, fate, f"{number:,}")
        table.add_section()
    console.print(table)
    places = {
        "taxa": root / "reports" / "taxa.html",
        "shards": root / "shards",
        "model": root / "runs" / "demo",
        "report": root / "eval" / "report.html",
    }
    console.print(f"notebooks: make notebooks   ({seconds:.0f} s)", highlight=False)
    for name, path in places.items():
        console.print(f"{name + ':':10} {path.resolve()}", soft_wrap=True, highlight=False)


def fates(root: Path, state: DatasetState) -> list[tuple[str, int]]:
    """(split, or why excluded; photos) of a dataset, kept ones first, then by number."""
    rows = read_arrow(root, SELECTIONS, ["dataset", "fate", "reason"]).to_pylist()
    counts: dict[str, int] = {}
    for row in rows:
        if row["dataset"] == state.name:
            name = row["reason"] or row["fate"]
            counts[name] = counts.get(name, 0) + 1
    kept = [(split, counts.pop(split)) for split in ("train", "val", "test") if split in counts]
    return kept + sorted(counts.items(), key=lambda item: -item[1])


if __name__ == "__main__":
    main()
