"""The whole command: evaluation's numbers, every format, every picture accounted for, and refusals before torch."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import evaluation
from evaluation.benchmarks.csv_file import open_csv
from evaluation.loading.facts import ModelFacts
from evaluation.model import ModelRequest, instantiate
from evaluation.open_encoder import open_encoder
from evaluation.results.predictions_file import predictions_path, read_predictions
from evaluation.results.result import file_name
from inference.label_embeddings.embed_labels import embed_labels, write_label_embeddings
from inference.labels.labels import read_labels
from inference.predict import cli
from inference.predict.rows import COLUMNS
from taxonomy.ranks import RANKS
from tests.evaluation.small_models import SMALL
from tests.inference.labels.lists import HEADER, ROWS, write_list

pytestmark = pytest.mark.torch

FACTS = ModelFacts("small", None, "gelu", "", (0.5,) * 3, (0.5,) * 3, "bicubic", 16, 77, 16, model_config=SMALL)
PROJECT = Path(__file__).parents[3]
MODEL = "--model local-dir:small --device cpu --workers 0 --cache-dir cache"
GOOD = 9


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two small models, a list, pictures, and one that is none."""
    root = tmp_path_factory.mktemp("world")
    for name, seed in (("small", 1), ("other", 2)):
        (root / name).mkdir()
        torch.manual_seed(seed)
        config = {"model_cfg": SMALL | {"quick_gelu": False}, "preprocess_cfg": {}}
        (root / name / "open_clip_config.json").write_text(json.dumps(config))
        save_file(instantiate(FACTS).state_dict(), root / name / "open_clip_model.safetensors")
    (root / "photos").mkdir()
    draw = np.random.default_rng(0)
    for number in range(GOOD):
        Image.fromarray(draw.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(root / "photos" / f"{number}.png")
    (root / "photos" / "bad.jpg").write_bytes(b"x")
    write_list(root / "labels.csv")
    (root / "names.txt").write_text("Turdus merula\nSalvia pratensis\n")
    (root / "bare.bin").write_bytes(b"never read")
    return root


@pytest.fixture
def folder(world, tmp_path, monkeypatch):
    """A working folder with nothing in it but the world's by links."""
    monkeypatch.chdir(tmp_path)
    for entry in world.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.setattr(cli, "set_up_logging", lambda debug: None)
    return tmp_path


def predicted(line: str) -> list[dict[str, str]]:
    """The rows of a command whose output is a CSV."""
    cli.main([*line.split(), *MODEL.split(), "--out", "out.csv"])
    with Path("out.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def ended(line: str, capsys) -> tuple[int, str]:
    """(exit code, stderr) of a command that does not end well."""
    with pytest.raises(SystemExit) as end:
        cli.main(line.split())
    return end.value.code, capsys.readouterr().err


def test_answers_are_evaluations_on_the_same_pictures_and_classes(folder):
    names = [ROWS[number % len(ROWS)] for number in range(GOOD)]
    write_list(folder / "bench.csv", *(f"photos/{n}.png,{row}" for n, row in enumerate(names)), header=f"path,{HEADER}")
    encoder = open_encoder(ModelRequest("local-dir:small"), torch.device("cpu"))
    options = evaluation.RunOptions(out=folder / "results", progress=False, details=False, taxa=("all",))
    records = evaluation.run(open_csv(folder / "bench.csv"), encoder, options)
    theirs = {one["taxon"]: read_predictions(predictions_path(folder / "results" / file_name(one))) for one in records}
    own = predicted("photos --labels labels.csv")
    known = read_labels(Path("labels.csv")).names.to_pylist()
    guesses = theirs["scientific_name"]
    for picture in range(GOOD):
        rows = [row for row in own if row["picture"] == f"photos/{picture}.png"]
        assert [known.index(row["taxon"]) for row in rows] == guesses.guess_NK[picture].tolist()
        assert np.allclose([float(row["cosine"]) for row in rows], guesses.score_NK[picture], atol=1e-6)
        assert float(rows[0]["probability"]) == pytest.approx(float(guesses.confidence_N[picture]), rel=1e-4)
    for rank in ("kingdom", "order", "family", "species"):
        rows = [row for row in predicted(f"photos --labels labels.csv --rank {rank} --top-k 1") if row["guess"]]
        rolled = theirs[f"rollup_{rank}"]
        assert np.allclose([float(row["probability"]) for row in rows], rolled.score_NK[:, 0], rtol=1e-4)


def test_every_format_holds_the_same_and_every_picture(folder, capsys):
    rows = predicted("photos names.txt --labels labels.csv --top-k 2")
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("named 9 of 11 pictures; 2 could not be read: 2 x not a picture of a known format")
    assert [row["picture"] for row in rows if row["reason"]] == ["photos/bad.jpg", "names.txt"]
    assert len(rows) == 2 * GOOD + 2 and list(rows[0]) == list(COLUMNS)
    base = f"photos names.txt --labels labels.csv --top-k 2 {MODEL}"
    cli.main([*base.split(), "--out", "deep/out.parquet"])
    cli.main([*base.split(), "--out", "out.jsonl"])
    capsys.readouterr()
    cli.main([*base.split(), "--format", "jsonl"])
    printed = capsys.readouterr().out
    assert printed == Path("out.jsonl").read_text()
    table = pq.read_table("deep/out.parquet").to_pylist()
    lines = [json.loads(line) for line in printed.splitlines()]
    for one, two, three in zip(rows, table, lines, strict=True):
        assert list(two) == list(three) == list(COLUMNS)
        for name, kind in COLUMNS.items():
            assert (one[name] == "") == (two[name] is None) == (three[name] is None)
            if one[name] != "":
                exact = kind != "number"
                assert exact == (str(two[name]) == one[name] == str(three[name])) or not exact
                assert exact or np.float32(one[name]) == np.float32(two[name]) == np.float32(three[name])
    assert not [path for path in folder.rglob(".*tmp")]


def test_lineage_and_common_names_belong_to_the_answer(folder):
    by_name = {row.split(",")[0]: row.split(",") for row in ROWS}
    for row in predicted("photos --labels labels.csv"):
        if row["guess"]:
            assert [row[rank] for rank in RANKS] == by_name[row["taxon"]][1:8]
            assert (row["common_name"], row["rank"]) == (by_name[row["taxon"]][-1], "label")
    species = predicted("photos --labels labels.csv --rank species")
    assert all(row["common_name"] == by_name[row["taxon"]][-1] for row in species if row["guess"])
    for row in predicted("photos --labels labels.csv --rank genus --top-k 9"):
        if row["guess"]:
            assert row["taxon"] == row["genus"] and not row["species"] and not row["common_name"]
    genera = [row for row in predicted("photos/0.png --labels labels.csv --rank genus --top-k 9")]
    assert sorted((row["taxon"], row["kingdom"]) for row in genera) == [
        ("Prunella", "Animalia"),
        ("Prunella", "Plantae"),
        ("Salvia", "Plantae"),
        ("Turdus", "Animalia"),
    ]
    assert sum(float(row["probability"]) for row in genera) == pytest.approx(1, abs=1e-5)


def test_backing_off_and_saying_nothing(folder, capsys):
    rows = predicted("photos --labels labels.csv --min-confidence 0")
    assert len(rows) == GOOD + 1 and {row["rank"] for row in rows if not row["reason"]} == {"label"}
    sure = predicted("photos --labels labels.csv --min-confidence 1 --logit-scale 0.001")
    assert all(row["taxon"] == "" for row in sure)
    assert {row["reason"] for row in sure if row["picture"] != "photos/bad.jpg"} == {
        "no rank reaches a probability of 1"
    }
    assert "9 of them too unsure" in capsys.readouterr().err
    half = predicted("photos/0.png --labels labels.csv --min-confidence 0.5 --logit-scale 0.001")
    assert [(row["rank"], row["taxon"]) for row in half] == [("order", "Passeriformes")]


def test_only_some_taxa_take_part(folder):
    Path("only.txt").write_text("Lamiaceae\nTurdus iliacus\n")
    rows = [row for row in predicted("photos --labels labels.csv --only only.txt") if row["guess"]]
    assert {row["taxon"] for row in rows} == {"Prunella vulgaris", "Salvia pratensis", "Turdus iliacus"}
    for picture in {row["picture"] for row in rows}:
        own = [float(row["probability"]) for row in rows if row["picture"] == picture]
        assert sum(own) == pytest.approx(1, abs=1e-5)


def test_a_second_run_encodes_no_text_and_says_the_same(folder, monkeypatch):
    from evaluation.encoding.encoder import OpenClipEncoder

    first = predicted("photos --labels labels.csv")
    monkeypatch.setattr(OpenClipEncoder, "encode_texts", lambda self, texts: pytest.fail("encoded again"))
    assert predicted("photos --labels labels.csv") == first
    by_two = predicted("photos --labels labels.csv --batch-size 2")
    assert [row["taxon"] for row in by_two] == [row["taxon"] for row in first]


def test_a_folder_of_embeddings_serves_its_own_model_alone(folder, capsys):
    encoder = open_encoder(ModelRequest("local-dir:small"), torch.device("cpu"))
    made = embed_labels(read_labels(Path("labels.csv")), "sci", encoder)
    write_label_embeddings(folder / "embedded", made)
    shutil.copytree("small", "exported", symlinks=False)
    write_label_embeddings(folder / "exported" / "labels", made)
    rows = predicted("photos --labels embedded")
    asked = predicted("photos --labels labels.csv --prompts sci")
    assert [row["taxon"] for row in rows] == [row["taxon"] for row in asked]
    pairs = zip(rows, asked, strict=True)
    assert all(abs(float(a["cosine"] or 0) - float(b["cosine"] or 0)) < 1e-3 for a, b in pairs)
    cli.main(["photos", "--model", "local-dir:exported", "--workers", "0", "--out", "own.csv", "--no-cache"])
    with Path("own.csv").open(newline="") as file:
        assert [row["taxon"] for row in csv.DictReader(file)] == [row["taxon"] for row in rows]
    other = "photos --labels embedded --workers 0 --no-cache --out no.csv --model local-dir:other"
    code, said = ended(other, capsys)
    assert code == 2 and "embeddings of another model than other" in said
    forced = "photos --labels embedded --workers 0 --no-cache --model local-dir:small --activation quickgelu --force"
    code, said = ended(forced, capsys)
    assert code == 2 and "embedded with gelu" in said
    code, said = ended(f"photos --labels embedded --prompts com {MODEL}", capsys)
    assert code == 2 and "are of sci" in said
    assert not Path("no.csv").exists()


def test_not_one_picture_is_a_failure_with_rows_that_say_why(folder, capsys):
    code, said = ended(f"photos/bad.jpg --labels labels.csv --out out.csv {MODEL}", capsys)
    assert code == 1
    assert said.splitlines()[-1].startswith("taxaflow: not one of 1 pictures could be read: 1 x not a picture")
    assert "not a picture" in Path("out.csv").read_text()


REFUSED = [
    ("photos", "--labels: say what pictures can be"),
    ("--labels labels.csv", "no pictures: name files or folders"),
    ("empty --labels labels.csv", "empty: no pictures in it"),
    ("nowhere --labels labels.csv", "nowhere: No such file"),
    ("photos --labels nowhere.csv", "--labels nowhere.csv: no such file or folder"),
    ("photos --labels empty", "empty: no usable label embeddings"),
    ("photos --labels none.txt", "none.txt: an empty list"),
    ("photos --labels twice.txt", "'x' stands in line 1 and again in line 3"),
    ("photos --labels blank.txt", "blank.txt, line 2: '' is no name"),
    ("photos --labels labels.csv --top-k 0", "--top-k 0: must be at least 1"),
    ("photos --labels labels.csv --min-confidence 1.5", "--min-confidence 1.5: must be at most 1"),
    ("photos --labels labels.csv --min-confidence -0.1", "--min-confidence -0.1: must be at least 0"),
    ("photos --labels labels.csv --min-confidence nan", "--min-confidence nan does not fit"),
    ("photos --labels labels.csv --logit-scale 0", "--logit-scale 0.0: must be a number above 0"),
    ("photos --labels names.txt --min-confidence 0.5", "backing off needs columns kingdom"),
    ("photos --labels names.txt --rank family", "--rank family: names.txt has no such rank; it has label"),
    ("photos --labels labels.csv --rank tribe", "--rank 'tribe': allowed are species, genus"),
    ("photos --labels names.txt --prompts taxon", "has no caption of kind taxon"),
    ("photos --labels uncommon.csv --prompts com", "its taxon lacks a name (1 of 2 labels)"),
    ("photos --labels labels.csv --only twice.txt", "'x', 'y' are no labels"),
    ("photos --labels labels.csv --format parquet", "needs --out FILE.parquet"),
    ("photos --labels labels.csv --out out.xlsx", "end it with .csv, .jsonl, .parquet"),
    ("photos --labels labels.csv --out out.csv --format jsonl", "contradict each other"),
    ("photos --labels labels.csv --out names.txt/out.csv", "names.txt is a file"),
    ("photos --labels labels.csv --no-cache --cache-dir x", "contradict each other"),
    ("photos --labels labels.csv --urls names.txt", "add --images-dir DIR"),
    ("photos --labels labels.csv --lables x", "unknown flag --lables; did you mean --labels?"),
    ("photos --labels labels.csv --resume bare.bin", "add --model, which says what it is the weights of"),
    ("photos --labels labels.csv --resume bare.bin --model ViT-B-32", "--activation"),
]


@pytest.mark.parametrize(("line", "expected"), REFUSED)
def test_what_cannot_be_asked_is_refused_in_one_line_and_nothing_is_written(folder, capsys, line, expected):
    (folder / "empty").mkdir()
    for name, content in (("none", ""), ("twice", "x\ny\nx\n"), ("blank", "x\n\ny\n")):
        (folder / f"{name}.txt").write_text(content)
    write_list(folder / "uncommon.csv", ROWS[0], ROWS[1].replace("Redwing", ""))
    before = sorted(folder.rglob("*"))
    model = "" if "--resume" in line else "--model local-dir:small"
    code, said = ended(f"{line} --workers 0 {'' if 'cache' in line else '--no-cache'} {model}", capsys)
    assert code == 2
    assert said.startswith("taxaflow: ") and said.count("\n") == 1
    assert expected in said
    assert sorted(folder.rglob("*")) == before


@pytest.mark.process
def test_lists_and_flags_are_refused_before_torch_is_imported(folder):
    program = (
        "import sys\nfrom inference.predict.cli import main\n"
        "for words in sys.argv[1:]:\n"
        "    try: main(words.split())\n"
        "    except SystemExit as end: print('ended', end.code, 'torch' in sys.modules)"
    )
    base = "photos --no-cache --model RN50 --labels"
    lines = ["--help", f"{base} labels.csv --rank tribe", f"{base} names.txt --rank genus", f"{base} labels.csv x.jpg"]
    printed = subprocess.run(
        [sys.executable, "-c", program, *lines],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
    ).stdout
    ends = [line for line in printed.splitlines() if line.startswith("ended")]
    assert ends == ["ended 0 False", *["ended 2 False"] * 3]


@pytest.mark.process
def test_a_reader_that_has_seen_enough_ends_the_command_quietly(folder):
    program = (
        "from inference.predict.row_files import row_file\n"
        "with row_file(None, 'csv') as write:\n"
        "    for _ in range(10_000): write([tuple('x' * 15)])"
    )
    ended = subprocess.run(
        f'{sys.executable} -c "$PROGRAM" | head -n 2',
        shell=True,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT), "PROGRAM": program},
    )
    assert (ended.stdout.count("\n"), ended.stderr) == (2, "")
