"""Checkpoints are read back to the last bit, damaged ones passed over, old ones removed."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from taxonomy.errors import BadInputError
from tests.trainer.checkpoint_contents import CPU, content_of, is_same
from trainer.checkpoints import checkpoint
from trainer.checkpoints.rng_state import set_rng_state

pytestmark = pytest.mark.torch


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


def save(folder: Path, step: int, seed: int | None = None, **options) -> Path:
    return checkpoint.save(folder, step, content_of(step if seed is None else seed), **options)


def flip_bit(file: Path, position: int) -> None:
    content = bytearray(file.read_bytes())
    content[position % len(content)] ^= 1
    file.write_bytes(content)


def test_all_that_is_saved_is_read_back_to_the_last_bit(folder):
    path = save(folder, 123)
    assert path == folder / "step_000123"
    assert is_same(checkpoint.load(path), content_of(123))
    assert not is_same(checkpoint.load(path), content_of(124))
    assert names(folder) == ["step_000123"]


def test_without_a_scaler_and_ranks(folder):
    content = replace(content_of(5), scaler_state=None, per_rank=[])
    assert is_same(checkpoint.load(checkpoint.save(folder, 5, content)), content)


def test_reading_is_without_pickled_code_and_the_state_is_readable(folder):
    path = save(folder, 7)
    state = json.loads((path / "state.json").read_text())
    assert state["step"] == 7
    assert state["scaler"] == {"scale": 65543.0}
    assert "\n" in (path / "state.json").read_text().strip()
    for name in ("optimizer.pt", "rng.pt"):
        torch.load(path / name, weights_only=True)


def test_optimizer_and_generators_go_on_from_what_was_read(folder):
    content = checkpoint.load(save(folder, 3))
    parameters = [
        torch.nn.Parameter(content.model_state[f"{dtype}.weight"].clone())
        for dtype in (torch.float32, torch.bfloat16, torch.float64)
    ]
    optimizer = torch.optim.AdamW(parameters, fused=True)
    optimizer.load_state_dict(dict(content.optimizer_state))
    assert is_same(optimizer.state_dict(), content_of(3).optimizer_state)
    set_rng_state(content.per_rank[1]["rng"], CPU)
    drawn = torch.rand(3)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(3))


def test_the_newest_is_found_by_its_number(folder):
    for step in (9, 1_000_000, 200_000):
        save(folder, step)
    assert checkpoint.newest_valid(folder) == (folder / "step_1000000", [])


def test_no_checkpoint(folder):
    assert checkpoint.newest_valid(folder) == (None, [])
    folder.mkdir()
    (folder / "step_000010").write_text("a file")
    (folder / "epoch_1.pt").write_text("another format")
    assert checkpoint.newest_valid(folder) == (None, [])
    with pytest.raises(BadInputError, match="no such checkpoint folder"):
        checkpoint.load(folder / "step_000020")


FILES = ("model.safetensors", "optimizer.pt", "rng.pt", "state.json", "ranks.json", "checksums.json")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("harm", ["flip", "truncate", "empty", "remove"])
def test_a_damaged_newest_one_is_passed_over_and_said(folder, file, harm):
    save(folder, 10)
    newest = save(folder, 20)
    size = (newest / file).stat().st_size
    match harm:
        case "flip":
            flip_bit(newest / file, size // 2)
        case "truncate" | "empty":
            (newest / file).write_bytes((newest / file).read_bytes()[: size - 1 if harm == "truncate" else 0])
        case "remove":
            (newest / file).unlink()
    path, warnings = checkpoint.newest_valid(folder)
    if file == "checksums.json" and harm == "truncate":  # only the newline at its end went
        assert (path, warnings) == (newest, [])
        return
    assert path == folder / "step_000010"
    assert len(warnings) == 1
    assert str(newest) in warnings[0]
    assert file in warnings[0] or file == "checksums.json"
    with pytest.raises(BadInputError, match="step_000020"):
        checkpoint.load(newest)


def test_every_flipped_bit_of_the_weights_is_found(folder):
    path = save(folder, 1)
    file = path / "model.safetensors"
    for position in range(0, file.stat().st_size, 97):
        flip_bit(file, position)
        assert checkpoint.damage(path) == "the checksum of model.safetensors differs"
        flip_bit(file, position)
    assert checkpoint.damage(path) is None


def test_all_damaged_ones_are_named_newest_first(folder):
    for step in (1, 2, 3):
        flip_bit(save(folder, step) / "state.json", 5)
    path, warnings = checkpoint.newest_valid(folder)
    assert path is None
    assert [step for step in (3, 2, 1) for line in warnings if f"step_00000{step}" in line] == [3, 2, 1]


@pytest.mark.parametrize("keep", [None, 1, 2, 3])
def test_only_the_newest_are_kept(folder, keep):
    for step in range(1, 6):
        save(folder, step, keep_last=keep)
        assert names(folder) == [f"step_00000{i}" for i in range(max(1, step - keep + 1) if keep else 1, step + 1)]


def test_the_best_one_stays(folder):
    for step in range(1, 7):
        save(folder, step, keep_last=2, best_step=2 if step > 1 else None)
    assert names(folder) == ["step_000002", "step_000005", "step_000006"]


def test_an_old_one_that_cannot_be_removed_ends_nothing(folder, monkeypatch, caplog):
    save(folder, 1)

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with caplog.at_level(logging.WARNING):
        path = save(folder, 2, keep_last=1)
    assert "could not be removed" in caplog.text
    assert checkpoint.newest_valid(folder) == (path, [])


def test_one_of_the_same_step_is_replaced(folder):
    save(folder, 10)
    flip_bit(save(folder, 20) / "rng.pt", 0)
    path = save(folder, 20, seed=21)
    assert names(folder) == ["step_000010", "step_000020"]
    assert is_same(checkpoint.load(path), content_of(21))


def test_leftovers_of_a_killed_process_are_cleared_away(folder):
    save(folder, 10)
    for name in (".step_000020.tmp", ".step_000010.old"):
        shutil.copytree(folder / "step_000010", folder / name)
    (folder / ".epoch_latest.pt.tmp").write_bytes(b"half")
    assert checkpoint.newest_valid(folder) == (folder / "step_000010", [])
    checkpoint.remove_leftovers(folder)
    assert names(folder) == ["step_000010"]
    checkpoint.remove_leftovers(folder / "missing")


def test_one_that_was_to_be_replaced_comes_back(folder):
    save(folder, 10)
    save(folder, 20).rename(folder / ".step_000020.old")
    checkpoint.remove_leftovers(folder)
    assert is_same(checkpoint.load(folder / "step_000020"), content_of(20))


def test_those_of_another_life_are_hidden_and_go_with_the_next_one(folder):
    for step in (10, 20, 30):
        save(folder, step)
    assert checkpoint.set_aside_newer(folder, 10) == [folder / "step_000020", folder / "step_000030"]
    checkpoint.remove_leftovers(folder)
    assert checkpoint.newest_valid(folder) == (folder / "step_000010", [])
    assert len(names(folder)) == 3
    save(folder, 15)
    assert names(folder) == ["step_000010", "step_000015"]
    assert checkpoint.set_aside_newer(folder, 15) == []


def test_one_of_a_step_before_others_is_not_removed_itself(folder):
    for step in (10, 20, 30):
        save(folder, step)
    save(folder, 15, keep_last=1)
    assert names(folder) == ["step_000015", "step_000020", "step_000030"]
