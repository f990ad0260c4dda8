"""What users get wrong ends in one line that says what, the value and what to do, exit code 2, and nothing written."""

import importlib.util
import re
import shutil
import time
from pathlib import Path

import pytest

from taxonomy.errors import BadInputError
from tests.trainer.bad_input_world import CHECKPOINT, make_world
from tests.trainer.command import QUICK, TIMEOUT_S, run_here, run_process, start, tree
from tests.trainer.two_ranks import on_two_ranks
from trainer.distributed import Ranks
from trainer.run import on_all_ranks

pytestmark = [pytest.mark.torch, pytest.mark.timeout(900)]

DATA = "--train-data data/manifest.json"
TARS = "--train-data tars/{000..001}.tar"
TWO_RANKS = QUICK.replace("--batch-size 4", "--batch-size 100") + f" {DATA} --nproc 2 --logs runs --name x"

CASES = {
    # flags and recipes
    "unknown flag": (f"{DATA} --bach-size 8", "unknown flag --bach-size; did you mean --batch-size?"),
    "flag without value": (f"{DATA} --lr", "--lr: expected one argument"),
    "unknown recipe": (f"{DATA} --recipe tinny", "--recipe 'tinny': no such recipe .* did you mean tiny?"),
    "wrong key": (f"{DATA} --recipe wrong_key.toml", "wrong_key.toml: unknown key batch_sise; did .* batch_size?"),
    "wrong value": (f"{DATA} --recipe wrong_value.toml", "--lr 'many' does not fit: give a number"),
    "no TOML": (f"{DATA} --recipe no.toml", "no.toml: not valid TOML: .*line 1"),
    # model
    "unknown model": (f"{DATA} --model ViT-B-166", "--model ViT-B-166: open_clip has no such model .*ViT-B-16"),
    "unknown tag": (f"{DATA} --model ViT-B-16 --pretrained opnai", "--pretrained opnai: neither .* tags: openai"),
    "bare weights": (f"{DATA} --model ViT-S-32-alt --pretrained bare.pt", "bare.pt holds weights alone.*--activation"),
    "weights of another": (
        f"{DATA} --model ViT-B-32 --pretrained bare.pt --activation gelu",
        "bare.pt holds another architecture .*missing",
    ),
    "checkpoint of another": (
        f"{DATA} --recipe narrow.toml --pretrained {CHECKPOINT}",
        "step_000001 is another architecture than --model tiny .*layers 2 instead of 1",
    ),
    "other activation": (
        f"{DATA} --pretrained {CHECKPOINT} --activation quickgelu",
        "--activation quickgelu, but these weights use gelu: .* add --force",
    ),
    # data
    "no manifest": ("--train-data nowhere/manifest.json", "--train-data nowhere/manifest.json: no such file"),
    "no tars": ("--train-data nowhere/{000..001}.tar", "no shard 'nowhere/000.tar'"),
    "a star": ("--train-data tars/*.tar", r"no shard 'tars/\*.tar'; many shards are written as \{000..099\}"),
    "a folder": ("--train-data data", "--train-data data: is a folder; give its manifest.json"),
    "size": ("--train-data data/size.json", "size.json: 1 of 2 shards cannot be used: .* bytes, not 1"),
    "count": ("--train-data data/count.json", "count.json: 1 of 2 .* holds 6 samples, its manifest says 7"),
    "missing tar": ("--train-data data/gone.json", "gone.json: 1 of 2 shards .*train/x.tar: No such file"),
    "cut manifest": ("--train-data data/cut.json", "cut.json is not JSON"),
    "no manifest at all": ("--train-data data/list.json", "list.json: schema_version is None, 1 can be read"),
    "val count": (
        "--train-data data/val_count.json --zeroshot-frequency 1",
        "--train-data data/val_count.json: .* holds 6 samples, its manifest says 7",
    ),
    "cut val manifest": (f"{DATA} --val-data data/cut.json", "--val-data data/cut.json is not JSON"),
    "no caption": (
        "--train-data unnamed/manifest.json --text_type com",
        "--text.type: none of 12 items .* kind com; found: .*sci",
    ),
    "no caption in tars": (
        "--train-data unnamed_tars/{000..001}.tar --text_type com",
        "--text_type: none of the first 6 samples of .*.tar has .* kind com; found: .*sci",
    ),
    "no taxon in tars": ("--train-data plain/{000..001}.tar", "no taxon in sample .* or train with --loss infonce"),
    "large batch": (f"{DATA} --batch-size 100", r"--batch-size 100: one step takes 100 pairs .* 12"),
    "large batch of tars": (f"{TARS} --batch-size 100", "--batch-size 100: one step takes 100 pairs .* 12"),
    "large batch of rows": (
        "--train-data pairs.csv --csv-separator , --batch-size 100",
        "--batch-size 100: one step takes 100 pairs .* 6",
    ),
    "other columns": ("--train-data pairs.csv", "--csv-img-key: pairs.csv has no column 'filepath', .*separator"),
    "many workers": (f"{TARS} --workers 3", "--workers 3 is more than the shards of a rank: 2 .*fewer workers"),
    "no number of samples": (
        "--train-data uncounted/000.tar",
        "the number of samples is unknown: no sizes.json or __len__ .*give --train-num-samples",
    ),
    # machine
    "amp on a CPU": (f"{DATA} --precision amp", "--precision amp needs CUDA, this is cpu: use --precision amp_bf16"),
    "no such device": (f"{DATA} --device cuda:99", "--device cuda:99: no GPU 99"),
    "ranks without gradient": (f"{DATA} --nproc 2 --no-gather-with-grad", "on 2 ranks needs --gather-with-grad"),
    # the run
    "logs is a file": (f"{DATA} --logs file", "--logs file: is a file; give a folder"),
    "logs in a file": (f"{DATA} --logs file/runs", "--logs file/runs: .*/file cannot be written; choose another"),
    "logs in no file system": (f"{DATA} --logs /proc/taxaflow", "--logs /proc/taxaflow: .*cannot be written"),
    "long name": (f"{DATA} --name {'x' * 300}", "--name x.*: .*too long"),
    "finished run": (f"{DATA} --name done", "--name done: there is such a run in runs; .* --resume latest"),
    "damaged": (f"{DATA} --resume damaged", "--resume damaged: the checksum of optimizer.pt differs; give a whole"),
    "all damaged": (f"{DATA} --name broken --resume latest", "--resume latest: .* is damaged .*remove"),
    "no checkpoint": (f"{DATA} --resume runs/gone", "--resume runs/gone: no such checkpoint; give a local path"),
    "a weights file": (f"{DATA} --resume bare.pt", "--resume bare.pt: is a file; .*--pretrained"),
    "resume of another": (f"{DATA} --recipe narrow.toml --resume {CHECKPOINT}", "--resume .*: .*layers 2, .* has 1"),
    "resume of other data": (
        f"{TARS} --resume {CHECKPOINT}",
        "the checkpoint's data position is not one of webdataset shards; use --resume-at epoch",
    ),
    "resume with other activation": (
        f"{DATA} --resume {CHECKPOINT} --activation quickgelu",
        "--resume .*: trained with activation gelu, this run has quickgelu; .*--force",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as context:
        context.chdir(folder)
        make_world(folder)
    return folder


def says(stderr: str, words: str) -> None:
    """stderr ends with the one line of the command, which says this."""
    lines = stderr.splitlines()
    assert [line for line in lines if line.startswith("taxaflow: ")] == lines[-1:], stderr
    assert "Traceback" not in stderr, stderr
    assert re.search(words.replace("?", r"\?"), lines[-1]), lines[-1]
    assert len(lines[-1]) < 500, lines[-1]


@pytest.mark.parametrize("case", CASES)
def test_ends_with_one_line_and_leaves_nothing(world, monkeypatch, capfd, case):
    line, words = CASES[case]
    monkeypatch.chdir(world)
    before = tree(world)
    capfd.readouterr()
    code = run_here(f"{QUICK} --logs runs --name new {line}")
    stdout, stderr = capfd.readouterr()
    after = tree(world)
    shutil.rmtree(world / "runs" / "new", ignore_errors=True)  # or one failure would be that of all later cases
    says(stderr, words)
    assert (code, stdout) == (2, "")
    assert after == before


@pytest.mark.skipif(importlib.util.find_spec("wandb") is not None, reason="wandb is installed")
def test_a_report_that_is_not_installed(world, monkeypatch, capfd):
    monkeypatch.chdir(world)
    before = tree(world)
    assert run_here(f"{QUICK} {DATA} --logs runs --name new --report-to wandb") == 2
    says(capfd.readouterr().err, "--report-to wandb: wandb is not installed; pip install wandb, or use")
    assert tree(world) == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"{QUICK} --bach-size 8", "unknown flag --bach-size; did you mean --batch-size?"),
        (f"{QUICK} {DATA} --name done --logs runs", "--name done: there is such a run in runs"),
        (TWO_RANKS, r"--batch-size 100: one step takes 200 pairs \(100 x 2 .* 12"),
    ],
    ids=["flag", "name", "two ranks"],
)
def test_processes_end_alike(world, line, words):
    before = tree(world)
    code, stderr = run_process(line, world)
    says(stderr, words)
    assert code == 2
    assert tree(world) == before


def test_two_runs_of_one_name_at_the_same_time(world, tmp_path):
    line = f"{QUICK} --train-data {world}/data/manifest.json --logs {tmp_path} --name one --max-steps 100000"
    with start(line, tmp_path) as first:
        try:
            log = tmp_path / "one" / "train.jsonl"
            deadline = time.monotonic() + TIMEOUT_S
            while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline:
                assert first.poll() is None, first.communicate()
                time.sleep(0.2)
            code, stderr = run_process(f"{line} --resume latest", tmp_path)
            says(stderr, f"--name one: process {first.pid} .* trains in .*; wait, or choose another --name")
            assert code == 2
            assert first.poll() is None
        finally:
            first.kill()


def test_what_fails_on_one_rank_ends_all_with_its_line(tmp_path):
    assert on_two_ranks(_open_on_rank_0, tmp_path) == ["shard 7 is missing"] * 2


def _open_on_rank_0(ranks: Ranks) -> str:
    def opened() -> str:
        if ranks.rank == 1:
            raise BadInputError("shard 7 is missing")
        return "opened"

    try:
        return on_all_ranks(opened, ranks)
    except BadInputError as error:
        return str(error)
