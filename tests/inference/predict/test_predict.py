"""The whole command: evaluation's numbers, every format, every picture accounted for."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

import evaluation
from evaluation.benchmarks.csv_file import open_csv
from evaluation.model import ModelRequest
from evaluation.open_encoder import open_encoder
from evaluation.results.predictions_file import predictions_path, read_predictions
from evaluation.results.result import file_name
from inference.label_embeddings.embed_labels import embed_labels, write_label_embeddings
from inference.labels.labels import read_labels
from inference.predict import cli
from inference.predict.rows import COLUMNS, REAL
from taxonomy.ranks import RANKS
from tests.inference.labels.lists import HEADER, ROWS, write_list
from tests.inference.predict.commands import GOOD, MODEL, ended, predicted

pytestmark = pytest.mark.torch


def guessed(line: str) -> list[dict[str, str]]:
    """The rows of a command with a guess."""
    return [row for row in predicted(line) if row["guess"]]


def text_of(value: object) -> str:
    """As a CSV has it."""
    return "" if value is None else str(value)


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
        rows = guessed(f"photos --labels labels.csv --rank {rank} --top-k 1")
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
        for name in (name for name, kind in COLUMNS.items() if kind != REAL):
            assert one[name] == text_of(two[name]) == text_of(three[name])
        numbers = [name for name, kind in COLUMNS.items() if kind == REAL]
        own = np.array([one[name] or "nan" for name in numbers], np.float32)
        for other in (two, three):
            assert np.array_equal(own, np.array([other[name] for name in numbers], np.float32), equal_nan=True)
    assert not [path for path in folder.rglob(".*tmp")]


def test_lineage_and_common_names_belong_to_the_answer(folder):
    by_name = {row.split(",")[0]: row.split(",") for row in ROWS}
    for row in guessed("photos --labels labels.csv"):
        assert [row[rank] for rank in RANKS] == by_name[row["taxon"]][1:8]
        assert (row["common_name"], row["rank"]) == (by_name[row["taxon"]][-1], "label")
    species = guessed("photos --labels labels.csv --rank species")
    assert all(row["common_name"] == by_name[row["taxon"]][-1] for row in species)
    for row in guessed("photos --labels labels.csv --rank genus --top-k 9"):
        assert row["taxon"] == row["genus"] and not row["species"] and not row["common_name"]
    genera = [row for row in predicted("photos/0.png --labels labels.csv --rank genus --top-k 9")]
    assert sorted((row["taxon"], row["kingdom"]) for row in genera) == [
        ("Prunella", "Animalia"),
        ("Prunella", "Plantae"),
        ("Salvia", "Plantae"),
        ("Turdus", "Animalia"),
    ]
    assert sum(float(row["probability"]) for row in genera) == pytest.approx(1, abs=1e-5)


def test_a_lone_subspecies_does_not_lend_its_species_a_common_name(folder):
    rows = [ROWS[0].replace("Turdus merula", "Turdus merula azorensis"), *ROWS[1:4]]
    write_list(folder / "parts.csv", *rows, ROWS[4].replace("Salvia pratensis", "Meadow Clary"))
    own = guessed("photos/0.png --labels parts.csv --rank species --top-k 9")
    common = {row["taxon"]: row["common_name"] for row in own}
    assert common.pop("Turdus merula") == ""
    assert common == {" ".join(row.split(",")[6:8]): row.split(",")[-1] for row in ROWS[1:]}


def test_backing_off_and_saying_nothing(folder, capsys):
    rows = predicted("photos --labels labels.csv --min-confidence 0")
    assert len(rows) == GOOD + 1 and {row["rank"] for row in rows if not row["reason"]} == {"label"}
    sure = predicted("photos --labels labels.csv --min-confidence 1 --logit-scale 0.001")
    assert all(row["taxon"] == "" for row in sure)
    assert {row["reason"] for row in sure if row["picture"] != "photos/bad.jpg"} == {
        "no rank reaches a probability of 1"
    }
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("named 0 of 10 pictures; 9 too unsure for any rank; 1 could not be read")
    half = predicted("photos/0.png --labels labels.csv --min-confidence 0.5 --logit-scale 0.001")
    assert [(row["rank"], row["taxon"]) for row in half] == [("order", "Passeriformes")]


def test_only_some_taxa_take_part(folder):
    Path("only.txt").write_text("Lamiaceae\nTurdus iliacus\n")
    rows = guessed("photos --labels labels.csv --only only.txt")
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


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"activation": "quickgelu"}, "embedded with quickgelu, but small is of gelu"),
        ({"activation": None}, "activation is not as expected in about.json"),
        ({"activation": 1, "variant": 2}, "variant is not as expected in about.json"),
        ({"schema_version": 1}, "schema_version is not as expected in about.json"),
    ],
)
def test_the_activation_of_embeddings_is_a_key_of_its_own(folder, capsys, changed, expected):
    encoder = open_encoder(ModelRequest("local-dir:small"), torch.device("cpu"))
    write_label_embeddings(folder / "embedded", embed_labels(read_labels(Path("names.txt")), "sci", encoder))
    about = json.loads(Path("embedded/about.json").read_bytes())
    Path("embedded/about.json").write_text(json.dumps({**about, "variant": "of other words"}))
    assert len(predicted("photos --labels embedded --top-k 1")) == GOOD + 1
    Path("embedded/about.json").write_text(json.dumps({**about, **changed}))
    code, said = ended(f"photos --labels embedded {MODEL}", capsys)
    assert code == 2 and expected in said


def test_a_model_whose_scale_makes_no_probabilities_is_refused(folder, capsys):
    shutil.copytree("small", "steep")
    weights = load_file("steep/open_clip_model.safetensors")
    save_file(weights | {"logit_scale": torch.tensor(200.0)}, "steep/open_clip_model.safetensors")
    steep = "photos --labels names.txt --workers 0 --no-cache --model local-dir:steep"
    code, said = ended(f"{steep} --out out.csv", capsys)
    assert code == 2 and "steep: its logit scale is inf" in said and "give --logit-scale" in said
    assert not Path("out.csv").exists()
    cli.main([*steep.split(), "--out", "out.csv", "--logit-scale", "1000000", "--rank", "label"])
    assert "nan" not in Path("out.csv").read_text()


def test_not_one_picture_is_a_failure_with_rows_that_say_why(folder, capsys):
    code, said = ended(f"photos/bad.jpg --labels labels.csv --out out.csv {MODEL}", capsys)
    assert code == 1
    assert said.splitlines()[-1].startswith("taxaflow: not one of 1 pictures could be read: 1 x not a picture")
    assert "not a picture" in Path("out.csv").read_text()
