"""Benchmarks of the registry, measured while training."""

import csv
import json
from pathlib import Path

import pytest

import evaluation
from evaluation.benchmarks.registry import open_benchmark
from evaluation.encoding.encoder import OpenClipEncoder
from evaluation.model import ModelRequest, build_model, get_tokenizer
from tests.conftest import PROJECT
from tests.trainer.command import run_here
from tests.trainer.small_dataset import jpeg, write_dataset

pytestmark = pytest.mark.torch

CSVS = PROJECT / "tests" / "fixtures" / "benchmarks"


def draw_fungi(folder: Path) -> int:
    """A picture per row of the fixture but the first one; the number of rows."""
    folder.mkdir()
    with (CSVS / "fungi_metadata_n.csv").open(encoding="utf-8") as file:
        names = [Path(row["path"]).name for row in csv.DictReader(file)]
    for number, name in enumerate(names[1:]):
        (folder / name).write_bytes(jpeg(number))
    return len(names)


def test_its_figures_are_those_of_an_evaluation_of_the_checkpoint(tmp_path):
    num_rows = draw_fungi(tmp_path / "pictures")
    manifest = write_dataset(tmp_path / "data", [8])
    line = f"--recipe tiny --train-data {manifest} --batch-size 4 --workers 0 --max-steps 2 --device cpu"
    line += f" --report-to none --zeroshot-frequency 1 --zeroshot-benchmarks fungi --benchmarks-root {CSVS}"
    line += f" --images-root {tmp_path / 'pictures'} --logs {tmp_path} --name run"
    assert run_here(line) == 0
    logged = [json.loads(text) for text in (tmp_path / "run" / "train.jsonl").read_text().splitlines()]
    found = next(entry for entry in logged if entry.get("event") == "evaluation")
    assert (found["fungi-images"], found["fungi-missing"]) == (num_rows - 1, 1)

    model, facts = build_model(ModelRequest(str(tmp_path / "run")))
    encoder = OpenClipEncoder(model.eval(), facts, get_tokenizer(facts), next(model.parameters()).device)
    benchmark = open_benchmark("fungi", None, CSVS, tmp_path / "pictures")
    record = evaluation.run(benchmark, encoder)[0]
    for name, metric in record["metrics"].items():
        if f"fungi-{name}" in found:
            assert found[f"fungi-{name}"] == metric["value"], name
    top1 = record["metrics"]["top1"]
    assert (found["fungi-top1-low"], found["fungi-top1-high"]) == (top1["low"], top1["high"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--zeroshot-benchmarks fungus", "fungus"),
        (f"--zeroshot-benchmarks fungi --benchmarks-root {CSVS / 'gone'}", "gone"),
        (f"--zeroshot-benchmarks fungi --benchmarks-root {CSVS} --images-root GONE", "GONE"),
        (f"--zeroshot-benchmarks fungi --benchmarks-root {CSVS} --images-root other", "none of its"),
    ],
)
def test_what_is_not_there_is_said_before_the_first_step(tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "1.jpg").write_bytes(jpeg(1))
    manifest = write_dataset(tmp_path / "data", [8])
    line = f"--recipe tiny --train-data {manifest} --batch-size 4 --workers 0 --max-steps 2 --device cpu --name run"
    assert run_here(f"{line} --logs {tmp_path / 'logs'} --report-to none {flags}") == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "logs").exists()
