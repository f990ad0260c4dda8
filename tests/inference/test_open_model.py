"""An exported folder with other weights than were exported is refused by every command that opens a model."""

import json
import shutil
from pathlib import Path

import pytest

from inference.embed.cli import main as embed
from inference.embed.config import EmbedConfig
from inference.open_model import open_model
from inference.predict.cli import main as predict
from tests.inference.small_world import write_model, write_photos

pytestmark = pytest.mark.torch


@pytest.fixture
def exported(tmp_path, monkeypatch) -> Path:
    """A model's folder with the record of an export, and pictures and a list beside it."""
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "model")
    write_photos(tmp_path / "photos", range(2))
    (tmp_path / "list.txt").write_text("Turdus merula\n")
    encoder = open_model(EmbedConfig(model="local-dir:model"))
    record(tmp_path / "model", encoder.hash)
    return tmp_path / "model"


def record(folder: Path, model_hash: object, made_by: str = "taxaflow") -> None:
    (folder / "taxaflow.json").write_text(json.dumps({"made_by": made_by, "model_hash": model_hash}))


PREDICT = ["--labels", "list.txt", "--out", "out.csv", "--no-cache"]
EMBED = ["--out", "out"]


@pytest.mark.parametrize(("command", "flags"), [(predict, PREDICT), (embed, EMBED)])
@pytest.mark.parametrize("model", ["--model local-dir:model", "--model model"])
def test_other_weights_are_refused(exported, capsys, command, flags, model):
    words = ["photos", *model.split(), "--workers", "0", *flags]
    command(words)
    for left in (Path("out.csv"), Path("out")):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    write_model(exported.with_name("other"), seed=2)
    name = "open_clip_model.safetensors"
    shutil.copy(exported.with_name("other") / name, exported / name)
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        command(words)
    said = capsys.readouterr().err
    assert (end.value.code, said.count("\n")) == (2, 1)
    assert "the weights are not those that were exported" in said and "damaged?" in said
    assert not Path("out").exists() and not Path("out.csv").exists()


def test_a_record_that_says_nothing_refuses_nothing(exported):
    for content in ("", "[]", '{"made_by": "taxaflow"}', '{"made_by": "x", "model_hash": "y"}'):
        (exported / "taxaflow.json").write_text(content)
        assert open_model(EmbedConfig(model="local-dir:model"))


def test_the_record_counts_for_the_folder_that_brings_the_weights(exported):
    write_model(exported.with_name("other"), seed=2)
    record(exported.with_name("other"), "0" * 64)
    assert open_model(EmbedConfig(model="local-dir:model")).hash
