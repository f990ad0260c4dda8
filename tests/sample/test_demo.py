"""`make demo` as a user runs it, twice: what it prints, stores and, the second time, leaves as it is."""

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from deltalake import DeltaTable
from PIL import Image
from webdataset.compat import WebDataset

from spark_jobs import table_io
from spark_jobs.tables import PHOTOS, SELECTIONS
from taxonomy.ranks import RANKS
from tests.conftest import PROJECT

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

CHANGING_STEPS = ["ingest", "ingest", "count", "select", "select", "download", "download", "label"]
"""Subcommands of `taxaflow data` that the demo runs, in order; `status` follows and changes nothing."""


@dataclass(frozen=True)
class Demo:
    """One run: what it printed, and the root's table versions and report and shard files (bytes' hash) after it."""

    stdout: str
    versions: dict[str, int]
    files: dict[Path, str]

    @property
    def commands(self) -> list[tuple[list[str], str]]:
        """(words of a printed command, what was printed after it), in order."""
        blocks = ("\n" + self.stdout).split("\n$ ")[1:]
        parts = [block.partition("\n") for block in blocks]
        return [(command.split(), output) for command, _, output in parts]

    @property
    def data_steps(self) -> list[tuple[str, str]]:
        """(subcommand, what it printed) of every `taxaflow data` command."""
        return [(words[2], output) for words, output in self.commands if words[:2] == ["taxaflow", "data"]]


def run_demo(root: Path) -> Demo:
    """Run it with as many threads as users' processes have."""
    command = [sys.executable, "-m", "sample.demo", "--out", str(root)]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    versions = {path.name: DeltaTable(path).version() for path in (root / "tables").iterdir()}
    folders = ("shards", "reports", "runs", "heldout", "eval")
    kept = [path for folder in folders for path in (root / folder).rglob("*") if path.is_file()]
    kept = [path for path in kept if path.name != "results.jsonl"]  # gains a line with every evaluation
    return Demo(done.stdout, versions, {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in kept})


@pytest.fixture(scope="module")
def demo_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "root"


@pytest.fixture(scope="module")
def first_run(demo_root: Path) -> Demo:
    return run_demo(demo_root)


@pytest.fixture(scope="module")
def second_run(demo_root: Path, first_run: Demo) -> Demo:
    return run_demo(demo_root)


def fates(root: Path, dataset: str) -> Counter[str]:
    """Split or reason -> photos of a dataset."""
    rows = table_io.read_arrow(root, SELECTIONS, ["dataset", "fate", "reason"]).to_pylist()
    return Counter(row["reason"] or row["fate"] for row in rows if row["dataset"] == dataset)


def stored_samples(root: Path, dataset: str) -> dict[str, list[dict]]:
    """Split -> samples, as the webdataset library reads the shards of the manifest."""
    folder = root / "shards" / dataset
    splits = json.loads((folder / "manifest.json").read_text())["splits"]
    urls = {split: [str(folder / shard["file"]) for shard in shards] for split, shards in splits.items()}
    return {split: list(WebDataset(files, shardshuffle=False)) for split, files in urls.items()}


def test_every_command_is_printed_behind_a_dollar_sign(first_run: Demo):
    assert [name for name, _ in first_run.data_steps] == [*CHANGING_STEPS, "status"]
    modules = [words[2] for words, _ in first_run.commands if words[:2] == ["python", "-m"]]
    reader, writer = "sample.open_shards", "sample.write_heldout"
    assert modules == ["sample.draw_specimens", "sample.photo_server", reader, writer]
    others = [words[1] for words, _ in first_run.commands if words[0] == "taxaflow" and words[1] != "data"]
    assert others == ["train", "eval", "report"]
    assert len(first_run.commands) == len(CHANGING_STEPS) + 1 + len(modules) + len(others)
    bare = [line for line in first_run.stdout.splitlines() if line.startswith(("taxaflow ", "python "))]
    assert bare == []


def test_demo_dataset_shows_every_way_a_photo_can_go(demo_root: Path, first_run: Demo):
    found = fates(demo_root, "demo")
    assert found["val"] >= 70
    for name in ("train", "test", "rare_species", "out_of_category", "above_species_rank", "over_cap"):
        assert found[name] > 0, name
        assert name in first_run.stdout
    assert found.total() == table_io.read_arrow(demo_root, PHOTOS, ["photo_id"]).num_rows


@pytest.mark.parametrize("dataset", ["demo", "sample"])
def test_shards_hold_the_selection_and_every_picture_opens(demo_root: Path, first_run: Demo, dataset: str):
    found = fates(demo_root, dataset)
    samples = stored_samples(demo_root, dataset)
    sizes = {split: len(of_split) for split, of_split in samples.items()}
    assert sizes == {split: found[split] for split in ("train", "val", "test") if found[split]}
    for sample in (sample for of_split in samples.values() for sample in of_split):
        facts = json.loads(sample["json"])
        assert sample["__key__"] == str(facts["photo_id"])
        assert hashlib.sha256(sample["jpg"]).hexdigest() == facts["sha256"]
        with Image.open(io.BytesIO(sample["jpg"])) as picture:
            picture.load()
            assert (*picture.size, picture.mode) == (facts["width"], facts["height"], "RGB")


def test_sample_dataset_stores_the_real_species_photos(demo_root: Path, first_run: Demo):
    with (PROJECT / "sample" / "photos.csv").open(encoding="utf-8") as file:
        named = {row["photo_url"] for row in csv.DictReader(file) if row["species"]}
    samples = [sample for of_split in stored_samples(demo_root, "sample").values() for sample in of_split]
    assert {json.loads(sample["json"])["photo_url"] for sample in samples} == named
    assert len(samples) == len(named) == 9


def test_the_pages_it_names_are_there(demo_root: Path, first_run: Demo):
    lines = first_run.stdout.splitlines()
    pages = {"taxa:": demo_root / "reports" / "taxa.html", "report:": demo_root / "eval" / "report.html"}
    for name, page in pages.items():
        assert f"{name:10} {page.resolve()}" in lines
        assert page.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")
    assert lines[-1] == f"report:    {pages['report:'].resolve()}"


def test_the_model_is_measured_at_every_rank_on_photos_held_out(demo_root: Path, first_run: Demo):
    records = [json.loads(path.read_text()) for path in (demo_root / "eval").glob("csv_heldout--*.json")]
    found = {record["taxon"]: record for record in records}
    assert set(found) >= {"scientific_name", "common_name", *(f"rollup_{rank}" for rank in RANKS)}
    num_photos = fates(demo_root, "demo")["test"]
    for record in records:
        assert (record["n_rows"], record["num_images"]) == (num_photos, num_photos)
    species = found["scientific_name"]
    assert species["metrics"]["top1"]["low"] > 2 * species["chance"]
    assert species["few_shot"]["shots"]["1"]["num_queries"] > 0
    right = [found[f"rollup_{rank}"]["metrics"]["top1"]["value"] for rank in RANKS]
    assert right[0] > right[-1] - 0.05, "a kingdom is not harder than a species"


def test_the_model_learns_what_it_has_not_seen(demo_root: Path, first_run: Demo):
    lines = [json.loads(line) for line in (demo_root / "runs" / "demo" / "train.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] <= 0.75 * losses[0]
    last = [line for line in lines if line.get("event") == "evaluation"][-1]
    assert last["val-images"] >= 70
    assert last["val-top1-low"] > 2 * last["val-chance"]
    assert f"model:     {(demo_root / 'runs' / 'demo').resolve()}" in first_run.stdout


def test_second_run_finds_nothing_to_do(first_run: Demo, second_run: Demo):
    for run, expected in ((first_run, False), (second_run, True)):
        steps = run.data_steps[: len(CHANGING_STEPS)]
        assert [("nothing to do" in output) for _, output in steps] == [expected] * len(steps), steps
    before, after = dict(first_run.versions), dict(second_run.versions)
    assert after.pop("runs") > before.pop("runs")
    assert after == before
    assert second_run.files == first_run.files
