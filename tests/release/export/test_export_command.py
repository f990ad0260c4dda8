"""taxaflow export from the command line: what is in the folder, what is refused, and what is left after a failure."""

import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evaluation.encoding.encoder import OpenClipEncoder
from evaluation.model import ModelRequest, build_model, get_tokenizer
from inference.label_embeddings.embed_labels import read_label_embeddings
from release.card.card_facts import read_facts
from release.export import image_encoder
from release.export.cli import main
from release.export.config import ExportConfig
from release.export.export import file_name
from release.folder.write_folder import open_clip_config
from tests.release.card import card_world
from tests.release.conftest import SPECIES, Released
from tests.release.export.small_checkpoints import small_checkpoint, small_model

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def logging_as_before() -> Any:
    levels = {name: logging.getLogger(name).level for name in (None, "evaluation", "release")}
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def ends(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and the last line on stderr."""
    with pytest.raises(SystemExit) as raised:
        main([*arguments])
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("INFO", "WARNING"))]
    assert len(lines) == 1, lines
    assert isinstance(raised.value.code, int)
    return raised.value.code, lines[0]


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_holds_what_was_asked_for_and_says_so(released: Released) -> None:
    names = {
        *("README.md", "taxaflow.json", "open_clip_config.json", "open_clip_model.safetensors"),
        *("demo_step_000007.pt", "image_encoder.onnx", "image_encoder.json"),
        *("labels/labels.csv", "labels/embeddings.npy", "labels/about.json"),
    }
    assert content_of(released.folder).keys() == names
    lines = released.printed.splitlines()
    assert lines[0].startswith("demo step_000007, quickgelu, weights ")
    assert {line.split()[0] for line in lines[1:-1]} == names
    assert lines[-1] == f'load it: open_clip.create_model_from_pretrained("local-dir:{released.folder}")'


def test_the_card_and_the_record_speak_of_this_model(released: Released) -> None:
    record = json.loads((released.folder / "taxaflow.json").read_text())
    card = (released.folder / "README.md").read_text()
    assert record["label"] == "demo step_000007"
    assert record["license"] == "cc-by-4.0"
    assert record["model_hash"] in card
    assert "cc-by-4.0" in card
    assert str(released.folder.parent) not in card + json.dumps(record)


def test_labels_are_those_of_the_file_under_the_prompts_asked_for(released: Released) -> None:
    made = read_label_embeddings(released.folder / "labels")
    model, facts = build_model(ModelRequest(f"local-dir:{released.folder}"))
    encoder = OpenClipEncoder(model.eval(), facts, get_tokenizer(facts), torch.device("cpu"))
    assert list(map(str, made.labels.names)) == SPECIES.split("\n")[:-1]
    assert made.label_CD.dtype == np.float16
    own_CD = encoder.encode_texts([f"a photo of {name}." for name in SPECIES.split("\n")[:-1]]).numpy()
    assert np.abs(made.label_CD.astype(np.float32) - own_CD).max() <= 1e-3
    # the folder's model is the one that they were made with, so that predict may use them
    assert (made.about["model_hash"], made.about["variant"]) == (encoder.hash, encoder.variant)


def test_an_export_of_the_export_is_the_same_model(
    released: Released, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags in (
        ["--model", f"local-dir:{released.folder}"],
        ["--resume", str(released.folder / "demo_step_000007.pt")],
    ):
        main([*flags, "--out", str(tmp_path / "out")])
        for name in ("open_clip_config.json", "open_clip_model.safetensors"):
            assert (tmp_path / "out" / name).read_bytes() == (released.folder / name).read_bytes()
    main(["--model", f"local-dir:{tmp_path / 'out'}", "--out", str(tmp_path / "out")])  # in its own place
    weights = (released.folder / "open_clip_model.safetensors").read_bytes()
    assert (tmp_path / "out" / "open_clip_model.safetensors").read_bytes() == weights


def test_a_rerun_changes_nothing_and_a_later_checkpoint_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_checkpoint(tmp_path / "demo")
    flags = ["--resume", str(tmp_path / "demo"), "--out", str(tmp_path / "out"), "--format", "pt"]
    main(flags)
    first = content_of(tmp_path / "out")
    main(flags)
    assert content_of(tmp_path / "out") == first
    small_checkpoint(tmp_path / "demo", seed=1, step=8)
    main(flags)
    second = content_of(tmp_path / "out")
    assert second["open_clip_model.safetensors"] != first["open_clip_model.safetensors"]
    assert {name for name in second if name.endswith(".pt")} == {"demo_step_000008.pt"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "out"]


def test_bare_weights_need_their_activation_which_then_is_in_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, facts = small_model()
    write_folder_without_activation(tmp_path / "bare", model, facts)
    flags = [
        "--model",
        "ViT-S-32-alt",
        "--resume",
        str(tmp_path / "bare" / "weights.bin"),
        "--out",
        str(tmp_path / "out"),
    ]
    code, line = ends(flags, capsys)
    assert code == 2
    assert "holds weights alone, which do not tell their activation: add --activation" in line
    code, line = ends([*flags, "--activation", "gelu"], capsys)
    assert code == 2
    assert "holds another architecture than the model asked for" in line
    assert not (tmp_path / "out").exists()


def write_folder_without_activation(folder: Path, model: torch.nn.Module, facts: Any) -> None:
    folder.mkdir()
    torch.save(model.state_dict(), folder / "weights.bin")
    config = open_clip_config(facts)
    del config["model_cfg"]["quick_gelu"]
    (folder / "open_clip_config.json").write_text(json.dumps(config))


def test_an_activation_by_flag_is_written_into_the_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = small_checkpoint(tmp_path / "demo")
    flags = ["--resume", str(checkpoint), "--out", str(tmp_path / "out"), "--activation", "gelu"]
    code, line = ends(flags, capsys)
    assert (code, "--force" in line) == (2, True)
    main([*flags, "--force"])
    config = json.loads((tmp_path / "out" / "open_clip_config.json").read_text())
    assert config["model_cfg"]["quick_gelu"] is False


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, a run with a damaged checkpoint, a file that is nothing, and names without a common one."""
    place = tmp_path_factory.mktemp("spoilt")
    small_checkpoint(place / "demo")
    shutil.copytree(place / "demo", place / "damaged")
    (damaged,) = (place / "damaged").glob("checkpoints/*/model.safetensors")
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\1")
    (place / "file").write_bytes(b"\0")
    (place / "names.txt").write_text(SPECIES, encoding="utf-8")
    return place


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--out", "{tmp}/out"], "no model: give --model with --pretrained, --resume CKPT"),
        (["--resume", "{tmp}/demo"], "--out: say which folder to write"),
        (["--resume", "{tmp}/demo", "--out", " "], "--out ' ' does not fit"),
        (["--resume", "{tmp}/none", "--out", "{tmp}/out"], "--resume {tmp}/none: no such file or folder"),
        (["--resume", "{tmp}/demo", "--out", "{tmp}"], "--out {tmp} holds something else"),
        (["--resume", "{tmp}/demo", "--out", "{tmp}/file"], "/file is a file; give a folder"),
        (["--model", "ViT-B-32", "--out", "{tmp}/out"], "nothing to export: the weights of ViT-B-32 are random"),
        (["--resume", "{tmp}/demo", "--out", "{tmp}/out", "--format", "onx"], "did you mean onnx?"),
        (["--resume", "{tmp}/demo", "--out", "{tmp}/out", "--precision", "amp_bf16"], "--precision amp_bf16: "),
        (["--resume", "{tmp}/demo", "--out", "{tmp}/out", "--prompts", "sci"], "--prompts: goes with --labels only"),
        (["--resume", "{tmp}/demo", "--out", "{tmp}/out", "--private"], "--private: goes with --push only"),
        (["--resume", "{tmp}/demo", "--out", "{tmp}/out", "--revision", "v2"], "--revision: goes with --push only"),
        (["--resume", "{tmp}/demo", "--out", "{tmp}/out", "--push", "model"], "--push 'model': give ORG/NAME"),
        (["--resume", "{tmp}/demo", "--out", "{tmp}/out", "--push", "a/../b"], "--push 'a/../b': give ORG/NAME"),
        (["--resume", "{tmp}/demo", "--out", "{tmp}/out", "--labels", "{tmp}/no"], "--labels {tmp}/no: no such file"),
        (["--resume", "{tmp}/demo", "--out", "{tmp}/out", "--labels", "{tmp}/file"], "{tmp}/file"),
        (
            ["--resume", "{tmp}/demo", "--out", "{tmp}/out", "--results", "{tmp}/no"],
            "--results {tmp}/no: no such folder",
        ),
        (["--resume", "{tmp}/demo", "--out", "{tmp}/out", "--data", "{tmp}/no"], "--data {tmp}/no: no such file"),
        (["--resume", "{tmp}/demo", "--out", "{tmp}/out", "--data", "{tmp}/file"], "{tmp}/file"),
        (["--resume", "{tmp}/damaged", "--out", "{tmp}/out"], "is damaged (the checksum of model.safetensors differs)"),
        (["--resume", "{tmp}/file", "--out", "{tmp}/out"], "--resume {tmp}/file: add --model"),
        (
            ["--resume", "{tmp}/file", "--model", "ViT-S-32-alt", "--activation", "gelu", "--out", "{tmp}/out"],
            "{tmp}/file",
        ),
        (["--resumee", "x"], "unknown flag --resumee; did you mean --resume?"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    spoilt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    for entry in spoilt.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    before = content_of(tmp_path)
    code, line = ends([flag.format(tmp=tmp_path) for flag in flags], capsys)
    assert code == 2, line
    assert said.format(tmp=tmp_path) in line
    assert content_of(tmp_path) == before


def test_a_folder_called_like_a_model_does_not_make_random_weights_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ViT-B-32").mkdir()
    code, line = ends(["--model", "ViT-B-32", "--out", "out"], capsys)
    assert (code, "are random" in line) == (2, True)


def test_an_onnx_file_that_computes_something_else_leaves_nothing(
    released: Released, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def export_of_another_model(encoder: Any, facts: Any, path: Path) -> None:
        path.write_bytes((released.folder / "image_encoder.onnx").read_bytes())

    monkeypatch.setattr(image_encoder, "_export", export_of_another_model)
    checkpoint = small_checkpoint(tmp_path / "other", seed=9)
    flags = ["--resume", str(checkpoint), "--out", str(tmp_path / "out"), "--format", "onnx"]
    code, line = ends(flags, capsys)
    assert code == 1
    assert "image_encoder.onnx computes something else than the model: unit embeddings differ by up to" in line
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_an_interrupt_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("release.folder.released_folder.write_card", interrupted)
    checkpoint = small_checkpoint(tmp_path / "demo")
    code, _ = ends(["--resume", str(checkpoint), "--out", str(tmp_path / "out")], capsys)
    assert code == 130
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_without_the_packages_of_onnx_the_extra_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("release.export.config.find_spec", lambda name: None)
    checkpoint = small_checkpoint(tmp_path / "demo")
    flags = ["--resume", str(checkpoint), "--out", str(tmp_path / "out"), "--format", "onnx"]
    code, line = ends(flags, capsys)
    assert (code, line) == (2, "taxaflow: --format onnx needs the package onnx: pip install 'taxaflow[export]'")


@pytest.mark.parametrize(
    ("label", "name"),
    [("demo step_000007", "demo_step_000007"), ("org/model", "org_model"), (".", "model"), ("w.bin", "w")],
)
def test_labels_become_names_of_files(label: str, name: str) -> None:
    assert file_name(label) == name


def test_prompts_that_the_labels_lack_are_refused_before_the_model_is_loaded(
    spoilt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExportConfig, "open_encoder", lambda self: pytest.fail("loads the model"))
    flags = ["--resume", str(spoilt / "demo"), "--out", str(tmp_path / "out")]
    code, line = ends([*flags, "--labels", str(spoilt / "names.txt"), "--prompts", "taxon_com"], capsys)
    assert (code, "taxon_com" in line, list(tmp_path.iterdir())) == (2, True, [])


def test_a_card_that_somebody_edited_is_not_overwritten_and_what_is_dropped_is_said(
    spoilt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--resume", str(spoilt / "demo"), "--out", str(tmp_path / "out")]
    main([*flags, "--format", "pt", "--labels", str(spoilt / "names.txt"), "--prompts", "sci"])
    assert "no longer there" not in capsys.readouterr().out
    card = tmp_path / "out" / "README.md"
    written = card.read_text()
    card.write_text(written + "\n## My own words\n")
    before = content_of(tmp_path)
    code, line = ends(flags, capsys)
    assert code == 2 and "README.md was changed since taxaflow wrote it" in line
    assert content_of(tmp_path) == before
    card.write_text(written)
    main(flags)
    assert "no longer there, as not asked for this time: demo_step_000007.pt, labels/\n" in capsys.readouterr().out


def test_the_card_follows_a_changed_config_and_activation_and_leaves_other_figures_out(
    spoilt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--resume", str(spoilt / "demo"), "--out", str(tmp_path / "first")])
    known = read_facts(tmp_path / "first")
    assert known is not None and known.run is not None
    about = {"model": {"hash": known.model_hash, "activation": "quickgelu"}}
    pictures = dict(card_world.pictures_of(known.model, "default"))
    folder = card_world.write_results(tmp_path / "results", card_world.result(**about, preprocessing=pictures))
    released = tmp_path / "released"
    main(["--resume", str(spoilt / "demo"), "--out", str(released), "--results", str(folder)])
    forced = ["--activation", "gelu", "--force", "--out", str(tmp_path / "gelu")]
    main(["--model", f"local-dir:{released}", *forced])
    other = read_facts(tmp_path / "gelu")
    assert other is not None and (other.model.activation, other.results) == ("gelu", ())
    assert [one.activation for one in other.other_activation] == ["quickgelu"]
    config = json.loads((released / "open_clip_config.json").read_text())
    config["preprocess_cfg"] |= {"mean": [0.5, 0.5, 0.5], "interpolation": "bilinear"}
    (released / "open_clip_config.json").write_text(json.dumps(config))
    main(["--model", f"local-dir:{released}", "--out", str(tmp_path / "edited")])
    edited = read_facts(tmp_path / "edited")
    assert edited is not None and edited.run == known.run and edited.results == ()
    assert (edited.model.image_mean, edited.model.interpolation) == ((0.5, 0.5, 0.5), "bilinear")
    card = (tmp_path / "edited" / "README.md").read_text()
    assert "0.5, 0.5, 0.5" in card and "bilinear" in card and "garden" not in card
