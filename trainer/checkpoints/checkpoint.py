"""Checkpoints that are there whole or not at all: write, find the newest good one, read.

`checkpoints/step_000123/` holds

    model.safetensors   the model's parameters and buffers
    optimizer.pt        the optimizer's state dict, readable with weights_only
    state.json          step, epoch, position and all that a person may want to read
    ranks.json          a list: what each rank needs besides, such as its position in the data
    rng.pt              a list: the states of each rank's random generators
    checksums.json      file -> sha256, written last

A folder without its own name (`.step_000123.*`) is no checkpoint: `.tmp` is one being written or removed, `.old` one
about to be replaced, `.earlier` one of a life of the run that went on from before it. Only the process that holds the
run (`run_folder`) may write here.
"""

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.whole_file import reason_of, sync

_log = logging.getLogger(__name__)

_NAME = re.compile(r"step_(\d{6,})")
_CHECKSUMS = "checksums.json"
_FILES = ("model.safetensors", "optimizer.pt", "state.json", "ranks.json", "rng.pt")


@dataclass(frozen=True)
class CheckpointContent:
    """All that a run needs to go on as if it had never stopped.

    Attributes:
        model_state: name -> tensor, of any dtype, on any device; on the CPU when read.
        optimizer_state: the optimizer's `state_dict()`.
        scaler_state: the GradScaler's `state_dict()`; None without one.
        state: JSON-able, without a key "scaler".
        per_rank: one dict per rank; "rng" (of `rng_state.rng_state`) may hold tensors, the rest is JSON-able.
    """

    model_state: Mapping[str, torch.Tensor]
    optimizer_state: Mapping[str, Any]
    scaler_state: Mapping[str, Any] | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    per_rank: list[dict[str, Any]] = field(default_factory=list)


def checkpoint_name(step: int) -> str:
    """`step_000123`."""
    return f"step_{step:06d}"


def step_of(path: Path) -> int | None:
    """The step in the name of a checkpoint; None where it is no such name."""
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else None


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder, good or damaged, oldest first."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted((path for path in found if step_of(path) is not None and path.is_dir()), key=_step)


def save(
    folder: Path, step: int, content: CheckpointContent, keep_last: int | None = None, best_step: int | None = None
) -> Path:
    """Write the checkpoint of a step, replacing one of the same step; returns its path when it is on disk.

    Only then are older ones removed: all but the newest `keep_last` (None: all stay) and that of `best_step`, and those
    that `set_aside_newer` set aside.

    Raises:
        WorkFailedError: it could not be written, as on a full disk. The checkpoints there are as they were.
    """
    assert keep_last is None or keep_last >= 1
    final = folder / checkpoint_name(step)
    temporary = _hidden(final, "tmp")
    written = False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove(temporary)
        temporary.mkdir()
        _write(temporary, content)
        _put_in_place(temporary, final)
        written = True
    except (OSError, RuntimeError, SafetensorError) as error:  # torch hides an OSError in a RuntimeError
        raise WorkFailedError(_failure(folder, final, error)) from error
    finally:
        if not written:
            shutil.rmtree(temporary, ignore_errors=True)
    _remove_outdated(folder, step, keep_last, best_step)
    return final


def newest_valid(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest checkpoint whose checksums match, and a line for each newer one that is damaged.

    The path is None where there is none.
    """
    warnings = []
    for path in reversed(checkpoints(folder)):
        reason = damage(path)
        if reason is None:
            return path, warnings
        warnings.append(f"checkpoint {path} is damaged ({reason}); falling back to the one before")
    return None, warnings


def load(path: Path, verify: bool = True) -> CheckpointContent:
    """What a checkpoint holds, on the CPU; `verify=False` where `newest_valid` has just found it.

    Raises:
        BadInputError: there is no checkpoint, or it is damaged.
    """
    if verify and (reason := damage(path)):
        raise BadInputError(f"--resume {path}: {reason}; give a whole checkpoint, or `latest` for the newest one")
    state = json.loads((path / "state.json").read_bytes())
    scaler_state = state.pop("scaler")
    rests = json.loads((path / "ranks.json").read_bytes())
    generators = _load_tensors(path / "rng.pt")
    return CheckpointContent(
        model_state=load_file(path / "model.safetensors"),
        optimizer_state=_load_tensors(path / "optimizer.pt"),
        scaler_state=scaler_state,
        state=state,
        per_rank=[rest | rng for rest, rng in zip(rests, generators, strict=True)],
    )


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint, in a few words; None for a good one. Reads all of it."""
    if not path.is_dir():
        return "no such checkpoint folder"
    try:
        sums = json.loads((path / _CHECKSUMS).read_bytes())
        missing = [name for name in _FILES if name not in sums or not (path / name).is_file()]
        if missing:
            return f"{missing[0]} is missing"
        wrong = [name for name in sums if _sha256(path / name) != sums[name]]
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (ValueError, TypeError):
        return f"{_CHECKSUMS} is damaged itself"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return f"the checksum of {wrong[0]} differs" if wrong else None


def remove_leftovers(folder: Path) -> None:
    """Clear away what a killed process left unfinished; call it before reading, holding the run."""
    if not folder.is_dir():
        return
    for replaced in folder.glob(".step_*.old"):
        final = folder / replaced.name.removeprefix(".").removesuffix(".old")
        if not final.exists():  # killed between the two renames of a replacement
            replaced.rename(final)
        else:
            _remove(replaced)
    for path in folder.glob(".*.tmp"):
        _remove(path)
    sync(folder)


def set_aside_newer(folder: Path, step: int) -> list[Path]:
    """Hide the checkpoints after a step from which a run goes on; returns their former paths.

    They belong to another life of the run: kept, `latest` would mean one of them. The next `save` removes them.
    """
    newer = [path for path in checkpoints(folder) if _step(path) > step]
    for path in newer:
        hidden = _hidden(path, "earlier")
        _remove(hidden)
        path.rename(hidden)
    if newer:
        sync(folder)
    return newer


def _write(folder: Path, content: CheckpointContent) -> None:
    assert "scaler" not in content.state
    state = dict(content.state) | {"scaler": content.scaler_state}
    rests = [{key: value for key, value in rank.items() if key != "rng"} for rank in content.per_rank]
    generators = [{key: value for key, value in rank.items() if key == "rng"} for rank in content.per_rank]
    save_file(_separate(content.model_state), folder / "model.safetensors")
    _save_tensors(content.optimizer_state, folder / "optimizer.pt")
    _save_tensors(generators, folder / "rng.pt")
    (folder / "state.json").write_text(json.dumps(state, indent=2) + "\n")
    (folder / "ranks.json").write_text(json.dumps(rests, indent=1) + "\n")
    sums = {name: _sha256(folder / name) for name in _FILES}
    (folder / _CHECKSUMS).write_text(json.dumps(sums, indent=2) + "\n")
    for name in (*_FILES, _CHECKSUMS):
        sync(folder / name)
    sync(folder)


def _put_in_place(temporary: Path, final: Path) -> None:
    """Rename; a folder cannot replace another, so a crash in between leaves `.old` for `remove_leftovers`."""
    replaced = _hidden(final, "old")
    if final.exists():
        _remove(replaced)
        final.rename(replaced)
    try:
        temporary.rename(final)
    except OSError:
        if replaced.exists():
            replaced.rename(final)
        raise
    sync(final.parent)


def _remove_outdated(folder: Path, step: int, keep_last: int | None, best_step: int | None) -> None:
    outdated = [*folder.glob(".step_*.old"), *folder.glob(".step_*.earlier")]
    if keep_last is not None:
        up_to_now = [path for path in checkpoints(folder) if _step(path) <= step]
        outdated += [path for path in up_to_now[:-keep_last] if _step(path) != best_step]
    try:
        for path in outdated:
            _remove(path)
    except OSError as error:  # the new one is safe, and training need not end for an old one
        _log.warning("an outdated checkpoint could not be removed: %s", error)


def _remove(path: Path) -> None:
    """Remove a folder or file; one with a checkpoint's name loses that first, so it is never there in part."""
    if step_of(path) is not None:
        hidden = _hidden(path, "tmp")
        _remove(hidden)
        path = path.rename(hidden)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _separate(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Contiguous tensors on the CPU that share no memory, as safetensors wants them."""
    separate, seen = {}, set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in seen or storage.nbytes() != tensor.nbytes:
            tensor = tensor.clone()
        seen.add(tensor.untyped_storage().data_ptr())
        separate[name] = tensor
    return separate


def _save_tensors(value: Any, path: Path) -> None:
    with path.open("wb") as file:  # torch's own writer of a path does not say why it failed
        torch.save(value, file)


def _load_tensors(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise BadInputError(f"--resume {path}: is refused, since reading it could run code") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _step(path: Path) -> int:
    step = step_of(path)
    assert step is not None
    return step


def _hidden(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{suffix}")


def _failure(folder: Path, final: Path, error: BaseException) -> str:
    there = checkpoints(folder)
    last = f"the last checkpoint is {there[-1].name}" if there else "there is no earlier checkpoint"
    reason = reason_of(error)
    return f"checkpoint {final} could not be written: {reason}; {last}; see to it, then run with --resume latest"
