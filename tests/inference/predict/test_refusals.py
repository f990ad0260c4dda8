"""What cannot be asked is refused in one line before torch is imported, and nothing is written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.inference.labels.lists import ROWS, write_list
from tests.inference.predict.commands import ended, predicted

pytestmark = pytest.mark.torch

PROJECT = Path(__file__).parents[3]

REFUSED: list[tuple[str, str]] = [
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
    ("photos --labels labels.csv --urls names.txt", "add --images-dir DIR"),
    ("photos --labels labels.csv --lables x", "unknown flag --lables; did you mean --labels?"),
    ("photos --labels labels.csv --logit-scale 1e30", "--logit-scale 1e+30: must be at most 1000000"),
    ("photos --labels labels.csv --logit-scale nan", "--logit-scale nan does not fit"),
]
REFUSED = [(f"{line} --no-cache --model local-dir:small", expected) for line, expected in REFUSED]
REFUSED += [
    ("photos --labels labels.csv --no-cache --cache-dir x --model local-dir:small", "contradict each other"),
    ("photos --labels labels.csv --no-cache --resume bare.bin", "add --model, which says what it is the weights of"),
    ("photos --labels labels.csv --no-cache --resume bare.bin --model ViT-B-32", "--activation"),
]


@pytest.mark.parametrize(("line", "expected"), REFUSED)
def test_what_cannot_be_asked_is_refused_in_one_line_and_nothing_is_written(folder, capsys, line, expected):
    (folder / "empty").mkdir()
    for name, content in (("none", ""), ("twice", "x\ny\nx\n"), ("blank", "x\n\ny\n")):
        (folder / f"{name}.txt").write_text(content)
    write_list(folder / "uncommon.csv", ROWS[0], ROWS[1].replace("Redwing", ""))
    before = sorted(folder.rglob("*"))
    code, said = ended(f"{line} --workers 0", capsys)
    assert code == 2
    assert said.startswith("taxaflow: ") and said.count("\n") == 1
    assert expected in said
    assert sorted(folder.rglob("*")) == before


def copied(name: str) -> bytes:
    """A file of the world in the place of its link."""
    content = Path(name).read_bytes()
    Path(name).unlink()
    Path(name).write_bytes(content)
    return content


@pytest.mark.parametrize(
    ("line", "out"),
    [
        ("photos --labels labels.csv", "labels.csv"),
        ("photos --labels labels.csv", "sub/../labels.csv"),
        ("photos --labels labels.csv", "linked.csv"),
        ("photos --labels labels.csv", "same.csv"),
        ("photos --labels embedded", "embedded/labels.csv"),
        ("photos --labels names.txt --only labels.csv", "labels.csv"),
        ("photos labels.csv --labels names.txt", "labels.csv"),
        ("photos labels.csv --labels names.txt", "same.csv"),
        ("--urls labels.csv --images-dir fetched --labels names.txt", "same.csv"),
        ("--urls urls.txt --images-dir fetched --labels names.txt", "fetched/fetched.csv"),
        ("more --labels names.txt", "picture.csv"),
    ],
)
def test_answers_never_replace_an_input(folder, capsys, line, out):
    content = copied("labels.csv")
    for name in ("sub", "fetched", "embedded", "more"):
        (folder / name).mkdir()
    Path("linked.csv").symlink_to("labels.csv")
    os.link("labels.csv", "same.csv")
    for name in ("embedded/labels.csv", "fetched/fetched.csv"):
        Path(name).write_bytes(content)
    Path("embedded/about.json").write_text("{}")
    Path("urls.txt").write_text("https://example.org/1.jpg\n")
    Path("picture.csv").write_bytes(Path("photos/0.png").read_bytes())
    os.link("picture.csv", "more/0.png")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code, said = ended(f"{line} --out {out} --no-cache --model local-dir:small", capsys)
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith(f"taxaflow: --out {out}: is ") and "give another file" in said
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_earlier_answers_are_replaced(folder):
    Path("out.csv").write_text("earlier")
    assert len(predicted("photos --labels labels.csv --top-k 1")) == 10


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
