"""A whole evaluation by its flags: what is written and printed, what is refused before, one process and two."""

import json
import logging
import os
import re
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from evaluation import cli, run_config
from evaluation.loading.facts import ModelFacts
from evaluation.model import ModelRequest, build_model, instantiate
from evaluation.results.predictions_file import predictions_path, read_predictions
from taxonomy.errors import BadInputError
from tests.evaluation.small_models import SMALL
from tests.forked import forking

pytestmark = pytest.mark.torch

FACTS = ModelFacts("small", None, "gelu", "", (0.5,) * 3, (0.5,) * 3, "bicubic", 16, 77, 16, model_config=SMALL)
CLASSES = ("Amanita muscaria", "Boletus edulis", "Carduelis carduelis")
PROJECT = Path(__file__).parents[2]
TWO_RANKS = "--model local-dir:small --folder photos --batch-size 2"
CPU = ["--device", "cpu", "--workers", "0"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A small model as a folder, another one, bare weights, and a folder of pictures of which one is none."""
    root = tmp_path_factory.mktemp("world")
    for name, seed in (("small", 1), ("other", 2)):
        (root / name).mkdir()
        torch.manual_seed(seed)
        config = {"model_cfg": SMALL | {"quick_gelu": False}, "preprocess_cfg": {}}
        (root / name / "open_clip_config.json").write_text(json.dumps(config))
        model = instantiate(FACTS)
        save_file(model.state_dict(), root / name / "open_clip_model.safetensors")
    (root / "bare.bin").write_bytes(b"never read")
    draw = np.random.default_rng(0)
    for name in CLASSES:
        folder = root / "photos" / name
        folder.mkdir(parents=True)
        for number in range(3):
            Image.fromarray(draw.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    (root / "photos" / CLASSES[1] / "3.png").write_bytes(b"no picture")
    return root


@pytest.fixture
def folder(world, tmp_path, monkeypatch):
    """A working folder without anything in it but the world's by links."""
    monkeypatch.chdir(tmp_path)
    for entry in world.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.setattr(cli, "set_up_logging", lambda debug: None)
    return tmp_path


def evaluated(line, out="out"):
    """The records of a command, as its files say."""
    cli.main([*line.split(), "--out", out, *CPU])
    return [json.loads(path.read_text()) for path in sorted(Path(out).glob("*.json"))]


def test_pictures_none_of_which_can_be_read_are_a_failure(folder, capsys):
    for name in CLASSES:
        place = folder / "bad" / name
        place.mkdir(parents=True)
        (place / "0.png").write_bytes(b"no picture")
    with pytest.raises(SystemExit) as ending:
        evaluated("--model local-dir:small --folder bad")
    assert ending.value.code == 1
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith("not one picture could be read of folder_bad: its results hold no figures")
    )
    (record,) = [json.loads(path.read_text()) for path in Path("out").glob("*.json")]
    assert (record["num_images"], record["num_unreadable"], record["metrics"]["top1"]["value"]) == (0, 3, None)


def test_a_model_is_evaluated_and_everything_is_written(folder, capsys):
    evaluated("--model local-dir:small --folder photos --name first")
    (record,) = [json.loads(path.read_text()) for path in Path("out/first").glob("*.json")]
    assert (record["n_rows"], record["num_images"], record["num_unreadable"]) == (10, 9, 1)
    assert record["model"]["name"] == "small"
    assert (record["model"]["activation"], record["model"]["pretrained"]) == ("gelu", None)
    assert str(folder) not in json.dumps(record)
    line = json.loads(Path("out/first/results.jsonl").read_text())
    assert line["folder-photos-top1"] == record["metrics"]["top1"]["value"]
    assert (line["model"], line["protocol"], line["class_list"]) == ("small", "default", "published")
    printed = capsys.readouterr().out
    assert f"{100 * record['metrics']['top1']['value']:.1f}" in printed
    assert "9 of 10" in printed
    assert "1 picture missing or unreadable" in printed
    assert str(Path("out/first").resolve()) in printed


def test_the_config_written_repeats_the_run(folder):
    evaluated("--model local-dir:small --folder photos --seed 5")
    before = {path.name: path.read_bytes() for path in Path("out").glob("*.json")}
    again = Path("out/config.toml").rename("again.toml")
    cli.main(["--config", str(again), "--out", "out2"])
    assert {path.name: path.read_bytes() for path in Path("out2").glob("*.json")} == before
    assert "seed = 5" in Path("out2/config.toml").read_text()


def test_both_activations_are_two_results_of_one_model(folder, capsys):
    records = evaluated("--model local-dir:small --activation both --folder photos")
    assert sorted(record["model"]["activation"] for record in records) == ["gelu", "quickgelu"]
    assert len({record["model"]["hash"] for record in records}) == 1
    assert len(Path("out/results.jsonl").read_text().splitlines()) == 2
    printed = capsys.readouterr().out
    assert "small (gelu)" in printed and "small (quickgelu)" in printed


def test_models_stand_beside_each_other(folder):
    evaluated("--model local-dir:small --folder photos")
    records = evaluated("--model local-dir:other --folder photos")
    assert {record["model"]["name"] for record in records} == {"small", "other"}


def test_a_protocol_changes_what_the_results_say(folder):
    (record,) = evaluated("--model local-dir:small --folder photos --protocol paper --prompts sci")
    assert (record["protocol"], record["prompts"]) == ("paper_sci", {"set": "sci", "logit_scale": 100.0})
    assert record["preprocessing"]["interpolation"] == "bilinear"


def test_embeddings_are_kept_unless_that_is_not_wanted(folder):
    evaluated("--model local-dir:small --folder photos --no-cache", "without")
    assert not Path("without/cache").exists()
    evaluated("--model local-dir:small --folder photos --cache-dir kept", "with")
    assert list(Path("kept").rglob("*.npy"))
    assert not Path("with/cache").exists()


class EnoughError(Exception):
    """Ends a run where all that a test asks for is known."""


def test_a_model_without_weights_is_named(folder, caplog, monkeypatch):
    def end(request):
        raise EnoughError

    monkeypatch.setattr(run_config, "resolve", end)
    with pytest.raises(EnoughError):
        run_config.run_config(run_config.EvalConfig(model="RN50", folder="photos", device="cpu"))
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "--model RN50: neither --pretrained nor --resume: its weights are random"
    ]


def test_how_a_model_was_understood_is_said_once(folder, caplog):
    Path("unsaid").mkdir()
    config = {"model_cfg": SMALL, "preprocess_cfg": {}}  # without quick_gelu, which is worth a remark
    Path("unsaid/open_clip_config.json").write_text(json.dumps(config))
    Path("unsaid/open_clip_model.safetensors").symlink_to(folder / "small" / "open_clip_model.safetensors")
    caplog.set_level(logging.INFO, "evaluation")
    evaluated("--model local-dir:unsaid --folder photos")
    said = [record.message for record in caplog.records if record.name == "evaluation.model"]
    assert len(said) == 1 and "no quick_gelu key" in said[0]


def test_fp32_is_fp32_in_convolutions_too(folder, monkeypatch):
    for precision, is_allowed in (("amp_bf16", True), ("fp32", False)):
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
        evaluated(f"--model local-dir:small --folder photos --precision {precision}", precision)
        assert torch.backends.cudnn.allow_tf32 == is_allowed, precision


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--model ViT-B-16 --resume bare.bin --folder photos", "bare.bin holds weights alone.*--activation"),
        ("--model ViT-S-32-alt --resume local-dir:small --folder photos", "local-dir:small is another architecture"),
        ("--model local-dir:small --activation quickgelu --folder photos", "--activation quickgelu, but .* --force"),
        ("--model ViT-B-166 --pretrained openai --folder photos", "--model ViT-B-166: open_clip has no such model"),
        ("--model local-dir:small --folder photos --taxon genus", "genus.*label"),
        ("--model local-dir:small --folder photos --prompts taxon", "has no caption of kind taxon"),
        ("--model local-dir:small --folder photos --precision amp", "--precision amp needs CUDA, this is cpu"),
        ("--model local-dir:small --folder small", "small: no pictures .* in its 0 sub-folders"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line_before_anything_is_written(folder, capsys, line, expected):
    before = sorted(folder.iterdir())
    with pytest.raises(SystemExit) as end:
        evaluated(line)
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.startswith("taxaflow: ") and said.count("\n") == 1
    assert re.search(expected, said), said
    assert sorted(folder.iterdir()) == before


def test_wandb_is_asked_for_before_anything_is_done(folder, monkeypatch, capsys):
    def absent():
        raise BadInputError("--report-to wandb: not installed")

    monkeypatch.setattr(run_config, "check_wandb", absent)
    with pytest.raises(SystemExit):
        evaluated("--model local-dir:small --folder photos --report-to wandb")
    assert capsys.readouterr().err == "taxaflow: --report-to wandb: not installed\n"
    assert not Path("out").exists()


def test_wandb_gets_the_published_keys(folder, monkeypatch):
    logged = []
    monkeypatch.setattr(run_config, "check_wandb", lambda: None)
    monkeypatch.setattr(run_config, "log_to_wandb", lambda figures, name, *more: logged.append((figures, name)))
    (record,) = evaluated("--model local-dir:small --folder photos --report-to wandb")
    assert logged == [({"folder-photos-top1": record["metrics"]["top1"]["value"]}, "small")]


def be_a_rank(rank, port, arguments):
    """One of two processes, as torchrun starts them."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    cli.main(arguments)


def on_two_ranks(arguments):
    """The exit codes of two processes; they are forked from one that has imported torch, which is quick."""
    context = forking()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [context.Process(target=be_a_rank, args=(rank, port, arguments)) for rank in range(2)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(150)
        rank.kill()
    return [rank.exitcode for rank in ranks]


def same_as_alone(folder):
    """Assert that a result is that of one process."""
    (alone,) = evaluated(TWO_RANKS)
    (together,) = [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]
    assert {**together, "calibration": None, "metrics": None} == {**alone, "calibration": None, "metrics": None}
    assert together["metrics"]["top1"] == alone["metrics"]["top1"]
    first, second = (read_predictions(predictions_path(next(Path(one).glob("*.json")))) for one in ("out", folder))
    np.testing.assert_array_equal(first.guess_NK, second.guess_NK)
    np.testing.assert_allclose(first.score_NK, second.score_NK, atol=1e-5)


def test_two_processes_give_the_results_of_one(folder):
    assert on_two_ranks([*TWO_RANKS.split(), "--out", "two", *CPU]) == [0, 0]
    same_as_alone("two")


@pytest.mark.process
@pytest.mark.long
def test_nproc_starts_them_by_torchrun(folder, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]))
    with pytest.raises(SystemExit) as end:
        evaluated(f"{TWO_RANKS} --nproc 2", "two")
    assert end.value.code == 0
    same_as_alone("two")


@pytest.mark.process
@pytest.mark.long
def test_what_all_processes_of_nproc_find_wrong_is_said_once(folder, monkeypatch, capfd):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]))
    with pytest.raises(SystemExit) as end:
        evaluated("--model ViT-B-16 --resume bare.bin --folder photos --nproc 2")
    said = capfd.readouterr().err.splitlines()
    assert end.value.code == 2
    assert [line for line in said if "holds weights alone" in line] == said[-1:]
    assert not Path("out").exists()


BASE_COMMAND = (
    "--batch-size=32 --workers=8 --imagenet-val VAL --model=resnet50 --zeroshot-frequency=1 --image-size=224 "
)
BASE_COMMAND += "--resume FILE --report-to wandb"
"""As the published README prints it, behind the program's name."""


def test_the_published_base_command_runs_on_a_checkpoint_of_the_trainer_here(folder, monkeypatch):
    torch.manual_seed(0)
    model, facts = build_model(ModelRequest("RN50", activation="gelu"))
    torch.save({"epoch": 1, "state_dict": model.state_dict(), "model_facts": facts.to_dict()}, "epoch_1.pt")
    monkeypatch.setattr(run_config, "check_wandb", lambda: None)
    monkeypatch.setattr(run_config, "log_to_wandb", lambda *logged: seen.append(logged))
    seen: list[tuple] = []
    command = BASE_COMMAND.replace("VAL", "photos").replace("FILE", "epoch_1.pt").replace("workers=8", "workers=0")
    (record,) = evaluated(command)
    assert (record["model"]["activation"], record["num_images"], record["num_classes"]) == ("gelu", 9, 3)
    assert record["preprocessing"]["image_size"] == 224
    assert len(seen) == 1 and {"imagenet-zeroshot-val-top1"} <= set(seen[0][0])


def test_the_published_base_command_asks_for_the_activation_of_bare_weights(folder, capsys):
    torch.save({"epoch": 1, "state_dict": {"logit_scale": torch.zeros(())}}, "bare.pt")
    with pytest.raises(SystemExit) as ended:
        evaluated(BASE_COMMAND.replace("VAL", "photos").replace("FILE", "bare.pt").replace(" --report-to wandb", ""))
    assert ended.value.code == 2 and "add --activation" in capsys.readouterr().err.splitlines()[-1]
