"""Files that would run code do so where they are read the usual way, and nowhere in taxaflow."""

import pickle
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from open_clip.factory import _MODEL_CONFIG_PATHS, _rescan_model_configs

from evaluation.cli import main as eval_main
from evaluation.cli import print_report
from inference.embed.cli import main as embed_main
from inference.predict.cli import main as predict_main
from release.convert.cli import main as convert_main
from release.export.cli import main as export_main
from release.interpolate.cli import main as interpolate_main
from tests.release import harmful_files
from tests.release.convert import published_files
from tests.release.export.small_checkpoints import photos, small_checkpoint, small_model
from tests.trainer import small_dataset
from trainer.cli import main as train_main
from trainer.data.tar_index import kept_offsets

pytestmark = pytest.mark.torch

Main = Callable[[Sequence[str]], Any]
_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@dataclass(frozen=True)
class World:
    """What commands need beside a model: pictures, names, good weights, and a place that only a pickle makes."""

    root: Path

    @property
    def victim(self) -> Path:
        return self.root / "created by a pickle"

    @property
    def out(self) -> Path:
        return self.root / "out"

    def model(self) -> torch.nn.Module:
        return published_files.small_model(quick_gelu=False)


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("shared")
    known = list(_MODEL_CONFIG_PATHS)
    published_files.name_models(root / "configs")
    (root / "pictures" / "Turdus merula").mkdir(parents=True)
    (root / "pictures" / "Parus major").mkdir()
    for number, content in enumerate(photos(4)):
        name = "Turdus merula" if number % 2 else "Parus major"
        (root / "pictures" / name / f"{number}.png").write_bytes(content)
    (root / "names.txt").write_text("Turdus merula\nParus major\n")
    published_files.write_bioclip(root / "good.bin", published_files.small_model(quick_gelu=False))
    yield root
    _MODEL_CONFIG_PATHS[:] = known
    _rescan_model_configs()


@pytest.fixture
def world(shared, tmp_path) -> World:
    for name in ("pictures", "names.txt", "good.bin"):
        (tmp_path / name).symlink_to(shared / name)
    return World(tmp_path)


def run(main: Main, *words: object) -> int:
    """The exit code of a command in this process."""
    handlers = {number: signal.getsignal(number) for number in _STOPS}
    threads = torch.get_num_threads()
    try:
        main([str(word) for word in words])
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        torch.set_num_threads(threads)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return 0


BARE = ("--model", "dwarf", "--activation", "gelu")


def _eval(world: World, *model: object) -> tuple[Main, tuple[object, ...]]:
    flags = ("--folder", world.root / "pictures", "--out", world.out, "--cache-dir", world.root / "cache")
    return eval_main, (*model, *flags, "--workers", 0)


def _train(world: World, *model: object) -> tuple[Main, tuple[object, ...]]:
    data = ("--dataset-type", "synthetic", "--train-num-samples", 8, "--batch-size", 4, "--epochs", 1, "--workers", 0)
    rest = ("--precision", "fp32", "--device", "cpu", "--report-to", "none", "--logs", world.out, "--name", "run")
    return train_main, (*model, *data, *rest)


def _predict(world: World, *model: object) -> tuple[Main, tuple[object, ...]]:
    flags = ("--labels", world.root / "names.txt", "--out", world.root / "out.csv", "--cache-dir", world.root / "cache")
    return predict_main, (world.root / "pictures", *model, *flags, "--workers", 0)


def _embed(world: World, *model: object) -> tuple[Main, tuple[object, ...]]:
    return embed_main, (world.root / "pictures", *model, "--out", world.out, "--format", "npy", "--workers", 0)


def _export(world: World, *model: object) -> tuple[Main, tuple[object, ...]]:
    return export_main, (*model, "--out", world.out)


def _interpolate(world: World, *model: object) -> tuple[Main, tuple[object, ...]]:
    return interpolate_main, (*model, "--out", world.out, "--alphas", 0.5)


Entry = Callable[[World, Path], tuple[Main, tuple[object, ...]]]

OF_A_FILE: dict[str, Entry] = {
    "eval --resume": lambda world, file: _eval(world, *BARE, "--resume", file),
    "eval --pretrained": lambda world, file: _eval(world, *BARE, "--pretrained", file),
    "train --pretrained": lambda world, file: _train(world, *BARE, "--pretrained", file),
    "train --resume": lambda world, file: _train(world, *BARE, "--resume", file),
    "predict --resume": lambda world, file: _predict(world, *BARE, "--resume", file),
    "predict --pretrained": lambda world, file: _predict(world, *BARE, "--pretrained", file),
    "embed --resume": lambda world, file: _embed(world, *BARE, "--resume", file),
    "embed --pretrained": lambda world, file: _embed(world, *BARE, "--pretrained", file),
    "export --resume": lambda world, file: _export(world, *BARE, "--resume", file),
    "export --pretrained": lambda world, file: _export(world, *BARE, "--pretrained", file),
    "convert": lambda world, file: (convert_main, (file, *BARE, "--out", world.out)),
    "convert, no model": lambda world, file: (convert_main, (file, "--out", world.out)),
    "interpolate --from": lambda world, file: _interpolate(
        world, *BARE, "--from", file, "--to", world.root / "good.bin"
    ),
    "interpolate --to": lambda world, file: _interpolate(world, *BARE, "--from", world.root / "good.bin", "--to", file),
}
"""Entry point -> the command that is given a file of weights."""

OF_A_PLACE: dict[str, Entry] = {
    "eval --resume": lambda world, place: _eval(world, "--resume", place),
    "eval --model": lambda world, place: _eval(world, "--model", place),
    "train --model": lambda world, place: _train(world, "--model", place),
    "train --pretrained": lambda world, place: _train(world, "--model", "dwarf", "--pretrained", place),
    "predict": lambda world, place: _predict(world, "--resume", place),
    "embed": lambda world, place: _embed(world, "--model", place),
    "export": lambda world, place: _export(world, "--resume", place),
    "interpolate --from": lambda world, place: _interpolate(world, "--from", place, "--to", place),
}
"""Entry point -> the command that is given a place that tells its model itself."""

KINDS = {"folder": "open_clip_pytorch_model.bin", "file of ours": "epoch_3.pt", "checkpoint": "model.safetensors"}
"""Kind of place -> the harmful file in it."""


def refused(world: World, capsys, main: Main, words: Sequence[object]) -> str:
    """The one line of a command that refuses its input, having made nothing."""
    code = run(main, *words)
    said = capsys.readouterr().err.splitlines()
    assert not world.victim.exists(), "it ran the pickle's code"
    assert code == 2, said
    assert not world.out.exists() and not (world.root / "out.csv").exists()
    lines = [line for line in said if line.startswith("taxaflow: ")]
    assert len(lines) == 1, said
    return lines[0]


@pytest.mark.parametrize("form", harmful_files.FORMS)
def test_every_form_does_harm_where_it_is_read_the_usual_way(form, world):
    file = world.root / form
    harmful_files.FORMS[form](file, world.victim, world.model())
    with file.open("rb") as content:
        if file.name.startswith(("plain", "disguised")):
            pickle.load(content)
        else:
            torch.load(content, weights_only=False)
    assert world.victim.is_dir()


@pytest.mark.parametrize(("entry", "form"), zip(OF_A_FILE, cycle(harmful_files.FORMS), strict=False))
def test_a_harmful_file_is_refused_everywhere(entry, form, world, capsys):
    file = world.root / form
    harmful_files.FORMS[form](file, world.victim, world.model())
    assert form in refused(world, capsys, *OF_A_FILE[entry](world, file))


@pytest.mark.parametrize(("entry", "kind"), zip(OF_A_PLACE, cycle(KINDS), strict=False))
def test_a_harmful_place_is_refused_everywhere(entry, kind, world, capsys):
    if kind == "folder":
        folder = world.root / "model"
        harmful_files.write_folder(folder, world.victim, world.model(), published_files.DWARF)
        place = f"local-dir:{folder}"
    elif kind == "file of ours":
        model, facts = small_model(model_config=published_files.DWARF)
        place = str(harmful_files.write_file_of_ours(world.root / "epoch_3.pt", world.victim, model, facts))
    else:
        checkpoint = small_checkpoint(world.root / "runs" / "run", model_config=published_files.DWARF)
        harmful_files.spoil_checkpoint(checkpoint, "model.safetensors", world.victim)
        place = str(checkpoint)
    line = refused(world, capsys, *OF_A_PLACE[entry](world, place))
    assert KINDS[kind] in line and ("damaged" if kind == "checkpoint" else "could run code") in line


@pytest.mark.parametrize("name", ["optimizer.pt", "rng.pt"])
@pytest.mark.parametrize("entry", ["train", "export"])
def test_a_checkpoint_with_a_harmful_part_is_refused_where_that_is_read(entry, name, world, capsys):
    checkpoint = small_checkpoint(world.root / "runs" / "run", model_config=published_files.DWARF)
    harmful_files.spoil_checkpoint(checkpoint, name, world.victim)
    if entry == "train":
        command = _train(world, "--model", "dwarf-quickgelu", "--resume", checkpoint)
    else:
        command = _export(world, "--resume", checkpoint, "--format", "pt")
    assert name in refused(world, capsys, *command)


def test_harmful_label_embeddings_are_refused(world, capsys):
    good = (*BARE, "--resume", world.root / "good.bin")
    assert run(export_main, *good, "--out", world.root / "released", "--labels", world.root / "names.txt") == 0
    labels = world.root / "released" / "labels"
    assert harmful_files.spoil_arrays(labels, world.victim) == 1
    capsys.readouterr()
    main, words = _predict(world, *good)
    words = tuple(labels if word == world.root / "names.txt" else word for word in words)
    line = refused(world, capsys, main, words)
    assert f"{labels}" in line and "Python objects" in line


@pytest.mark.parametrize(
    ("command", "again"),
    [(_eval, ["pictures are encoded", "classes are encoded"]), (_predict, ["labels are embedded"])],
)
def test_harmful_caches_are_passed_over(command, again, world, caplog):
    main, words = command(world, *BARE, "--resume", world.root / "good.bin")
    assert run(main, *words) == 0 and not caplog.records
    assert harmful_files.spoil_arrays(world.root / "cache", world.victim) == len(again)
    assert run(main, *words) == 0
    assert not world.victim.exists()
    for what in again:
        assert re.search(rf"is damaged \(.*(allow_pickle=False|Python objects).*\): its {what} again", caplog.text)


def test_harmful_predictions_are_not_read_by_the_report(world):
    main, words = _eval(world, "--model", "dwarf", "--activation", "both", "--resume", world.root / "good.bin")
    assert run(main, *words) == 0
    assert harmful_files.spoil_arrays(world.out, world.victim) == 2  # of two models, so they are compared
    print_report(world.out, None, None)
    assert not world.victim.exists()
    page = (world.out / "report.html").read_text()
    assert "no readable predictions" in page and "allow_pickle=False" in page


def test_harmful_offsets_of_a_shard_are_not_read(world):
    manifest = small_dataset.write_dataset(world.root / "data", [4])
    (shard,) = (manifest.parent / "train").glob("*.tar")
    kept = world.root / "kept"
    expected = np.array(kept_offsets(shard, "0" * 64, kept))
    assert harmful_files.spoil_arrays(kept, world.victim) == 1
    assert np.array_equal(kept_offsets(shard, "0" * 64, kept), expected)
    assert not world.victim.exists()


def test_the_harm_is_real(tmp_path):
    """The same objects do harm when they are read the usual way."""
    pickle.loads(pickle.dumps(harmful_files.Harmful(tmp_path / "a")))
    np.save(tmp_path / "x.npy", np.array([harmful_files.Harmful(tmp_path / "b")], dtype=object), allow_pickle=True)
    np.load(tmp_path / "x.npy", allow_pickle=True)
    assert (tmp_path / "a").is_dir() and (tmp_path / "b").is_dir()
