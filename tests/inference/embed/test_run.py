"""Embeddings in both formats: what is in them, what is said of the rest, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.inference.embed.conftest import NUM
from tests.inference.embed.small_runs import embed, ended, failures, files, rows

pytestmark = pytest.mark.torch

PHOTOS = "photos --model local-dir:small"
BAD = {
    "photos/005.png": "not a picture of a known format",
    "photos/009.png": "empty file",
    "photos/029.png": "No such file or directory",
}
KEYS = [f"photos/{number:03d}.png" for number in range(NUM) if f"photos/{number:03d}.png" not in BAD]


def expected() -> dict[str, np.ndarray]:
    import torch

    from evaluation.model import ModelRequest
    from evaluation.open_encoder import open_encoder
    from inference.inputs.open_inputs import open_inputs
    from inference.stream import embedded

    encoder = open_encoder(ModelRequest("local-dir:small", None), torch.device("cpu"))
    (batch,) = embedded(open_inputs(["photos"]), encoder, 100)
    return {batch.keys[number]: row for number, row in zip(batch.index_N, batch.image_ND, strict=True)}


@pytest.mark.parametrize("format_", ["parquet", "npy"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_picture_is_embedded_or_among_the_failures(folder, capsys, format_, dtype):
    embed(PHOTOS, "--out", "out", "--format", format_, "--dtype", dtype)
    found = rows(Path("out"))
    assert list(found) == KEYS
    for key, row in expected().items():
        assert found[key].dtype == dtype
        np.testing.assert_allclose(found[key], row, atol=1e-5 if dtype == "float32" else 1e-3)
    assert failures(Path("out")) == BAD
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "embedded 27 of 30 pictures; 3 could not be used: out/failures.csv says why"
    assert "27 x 16" in said[-2]
    names = {"about.json", "failures.csv"}
    parts = {f"embeddings/part-0000{number}.parquet" for number in range(4)}
    assert files(Path("out")).keys() == names | (parts if format_ == "parquet" else {"embeddings.npy", "keys.csv"})


def test_about_says_what_the_folder_holds(folder):
    embed(PHOTOS, "--out", "out")
    about = json.loads(Path("out/about.json").read_bytes())
    assert {
        name: about[name] for name in ("model", "variant", "embed_dim", "num_pictures", "num_embedded", "dtype")
    } == {
        "model": "small",
        "variant": "gelu fp32",
        "embed_dim": 16,
        "num_pictures": 30,
        "num_embedded": 27,
        "dtype": "float32",
    }
    assert about["is_complete"] is True
    assert about["preprocess"]["image_size"] == 16
    assert str(folder) not in Path("out/about.json").read_text()


def test_batches_and_workers_change_rounding_at_most(folder):
    embed(PHOTOS, "--out", "one")
    embed(PHOTOS, "--out", "two", "--workers", "2")
    assert files(Path("one")) == files(Path("two"))
    embed(PHOTOS, "--out", "three", "--batch-size", "7", "--part-size", "1")
    one, three = rows(Path("one")), rows(Path("three"))
    assert list(one) == list(three)
    for key, row in one.items():
        np.testing.assert_allclose(three[key], row, atol=1e-5)


@pytest.mark.parametrize("format_", ["parquet", "npy"])
def test_a_finished_run_has_nothing_to_do(folder, capsys, format_):
    line = f"{PHOTOS} --out out --format {format_}"
    embed(line)
    capsys.readouterr()
    times = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*") if path.name != ".lock"}
    embed(line)
    (said,) = capsys.readouterr().out.splitlines()
    assert said == (
        "nothing to do: out holds the embeddings of 27 of 30 pictures; 3 could not be used: out/failures.csv says why"
    )
    assert times == {path: path.stat().st_mtime_ns for path in Path("out").rglob("*") if path.name != ".lock"}


@pytest.mark.parametrize("format_", ["parquet", "npy"])
def test_not_one_picture_is_a_failure_that_can_be_tried_again(folder, capsys, format_):
    Path("bad").mkdir()
    Path("bad/one.png").write_bytes(b"x")
    line = f"bad --model local-dir:small --out out --format {format_}"
    for _ in range(2):
        code, last = ended(lambda: embed(line), capsys)
        assert code == 1
        assert last == (
            "taxaflow: not one of 1 pictures could be embedded: out/failures.csv says why, picture by picture"
        )
        assert failures(Path("out")) == {"bad/one.png": "not a picture of a known format"}
        assert files(Path("out")).keys() == {"about.json", "failures.csv"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("photos --model local-dir:other", "of another model: small, hash "),
        (f"{PHOTOS} --precision amp_bf16", "by gelu fp32, not gelu bf16"),
        (f"{PHOTOS} --activation quickgelu --force", "by gelu fp32, not quickgelu fp32"),
        (f"{PHOTOS} --dtype float16", "of dtype float32, not float16"),
        (f"{PHOTOS} --format npy", "of format parquet, not npy"),
        ("photos/000.png --model local-dir:small", "of other pictures: 30 of photos, not 1 of 000.png"),
        ("photos photos2 --model local-dir:small", "of other pictures: 30 of photos, not 31 of 2 files and folders"),
        ("touched --model local-dir:small", "of other pictures: 30 of photos, not 30 of touched"),
    ],
)
def test_a_folder_of_something_else_is_refused(folder, capsys, line, says):
    embed(PHOTOS, "--out", "out")
    Path("photos2").mkdir()
    Path("photos2/1.png").write_bytes(Path("photos/000.png").read_bytes())
    Path("touched").symlink_to("photos")
    before = files(Path("out"))
    code, last = ended(lambda: embed(line, "--out", "out"), capsys)
    assert code == 2
    assert says in last
    assert last.endswith("give another folder, or remove this one")
    assert files(Path("out")) == before


def test_pictures_that_changed_since_are_refused(folder, capsys):
    embed(PHOTOS, "--out", "out")
    os.utime("photos/003.png", ns=(0, 0))
    code, last = ended(lambda: embed(PHOTOS, "--out", "out"), capsys)
    assert (code, "those of 30 of photos have changed since" in last) == (2, True)


def test_bare_weights_need_an_activation(folder, capsys):
    import torch
    from safetensors.torch import load_file

    torch.save(load_file("small/open_clip_model.safetensors"), "bare.pt")
    code, last = ended(lambda: embed("photos --model ViT-S-32-alt --resume bare.pt --out out"), capsys)
    assert code == 2
    assert "--activation" in last
    assert not Path("out").exists()


def test_the_folder_may_lie_among_the_pictures(folder):
    for _ in range(2):
        embed(PHOTOS, "--out", "photos/out", "--format", "npy")
    assert list(rows(Path("photos/out"))) == KEYS


def test_what_others_hide_among_the_pictures_stays(folder):
    Path("photos/sub").mkdir()
    mine = [Path("photos", name) for name in (".draft.tmp", ".keys.csv.tmp", "sub/.draft.1.tmp", "sub/.keys.csv.1.tmp")]
    embed(PHOTOS, "--out", "photos")
    left = [Path("photos", name) for name in (".keys.csv.999.tmp", "embeddings/.part-00001.parquet.999.tmp")]
    for path in (*mine, *left):
        path.write_text("x")
    embed(PHOTOS, "--out", "photos")
    assert [path.exists() for path in (*mine, *left)] == [True] * len(mine) + [False] * len(left)


def test_names_with_any_letter_come_back_from_both_tables(folder):
    names = ["a\rb", "a\nb", "a\r\nb", 'a"b', "a,b", " a", "\u2028"]
    Path("odd").mkdir()
    for name in names:
        Path(f"odd/{name}.png").write_bytes(Path("photos/000.png").read_bytes())
        Path(f"odd/{name}.jpg").write_bytes(b"x")
    embed("odd --model local-dir:small --format npy --out out")
    assert rows(Path("out")).keys() == {f"odd/{name}.png" for name in names}
    assert failures(Path("out")).keys() == {f"odd/{name}.jpg" for name in names}


def test_a_link_that_leads_nowhere_is_no_folder(folder, capsys):
    Path("out").symlink_to("nowhere")
    code, last = ended(lambda: embed(PHOTOS, "--out", "out"), capsys)
    assert (code, last) == (2, "taxaflow: --out out: there, but no folder, nor a link to one; give another")


def test_a_second_run_at_once_is_refused(folder, capsys):
    embed(PHOTOS, "--out", "out")
    holder = (
        "import fcntl, sys\nfile = open('out/.lock', 'a')\nfcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        code, last = ended(lambda: embed(PHOTOS, "--out", "out"), capsys)
        assert (code, last) == (2, "taxaflow: --out out: another run is writing there; wait for it to end")
        other.communicate()
    embed(PHOTOS, "--out", "out")


def test_shards_go_the_same_way(folder, capsys):
    from tests.trainer.small_dataset import write_dataset

    write_dataset(Path("data"), [5, 4])
    embed("--model local-dir:small --shards data/manifest.json --split train --out out")
    assert list(rows(Path("out"))) == [str(1000 + number) for number in range(9)]
    assert capsys.readouterr().out.splitlines()[-1] == "embedded 9 of 9 pictures; 0 could not be used"


def test_photos_of_urls_that_come_later_change_nothing_that_is_done(folder, capsys):
    from tests import fault_server as faults
    from tests.fault_server import FaultServer
    from tests.picture_bodies import jpeg

    with FaultServer() as server:
        urls = [server.add(f"/{number}.jpg", faults.ok(jpeg(number))) for number in range(3)]
        Path("list.txt").write_text("\n".join([*urls, server.url("/gone.jpg")]))
        agent = ("--user-agent", "taxaflow-test/1 (me@example.org)")
        line = "--model local-dir:small --urls list.txt --images-dir images --out out"
        for said in ("embedded 3 of 4", "nothing to do: out holds the embeddings of 3 of 4"):
            embed(line, *agent)
            assert capsys.readouterr().out.splitlines()[-1].startswith(said)
        assert list(rows(Path("out"))) == urls
        assert failures(Path("out")) == {server.url("/gone.jpg"): "gone: HTTP 404"}


def test_a_model_without_weights_is_told(folder, caplog):
    embed("photos --model ViT-S-32-alt --out out")
    assert "--model ViT-S-32-alt: neither --pretrained nor --resume: its weights are random" in caplog.text
