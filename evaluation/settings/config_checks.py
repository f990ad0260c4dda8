"""What settings must agree on with each other and with the file system; nothing is opened or made."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.settings.baselines import choose
from evaluation.settings.option import flag_of
from evaluation.settings.path_checks import check_can_be_made, check_file, check_folder
from taxonomy.errors import BadInputError

if TYPE_CHECKING:
    from evaluation.settings.config import EvalConfig

PUBLISHED_FLAGS = {
    "arbor_val": "biotrove_balanced",
    "arbor_rare": "biotrove_unseen",
    "lifestages": "biotrove_lifestages",
    "bioclip_rare": "bioclip_rare",
    "confounding": "confounding",
    "deepweeds": "deepweeds",
    "fungi": "fungi",
    "insects2": "insects2",
    "birds": "birds525",
}
"""Field -> benchmark of the registry."""

DATA_FIELDS = (*PUBLISHED_FLAGS, "benchmarks", "imagenet_val", "csv", "folder", "shards")
"""Those that name something to evaluate on."""

_FOLDERS = ("imagenet_val", "folder", "images_root")
_FILES = ("csv", "shards")
_NAME_BYTES = 255
"""Longest name of a file on the usual file systems."""

_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")


def check_together(config: EvalConfig) -> None:
    """Check what single values cannot tell.

    Raises:
        BadInputError: no model or nothing to evaluate it on is named, or two settings contradict each other.
    """
    choose(config.model, config.pretrained, config.resume, config.baseline)
    if not config.has_benchmarks:
        raise BadInputError(f"nothing to evaluate: give at least one of {', '.join(map(flag_of, DATA_FIELDS))}")
    needed = {"label_column": "csv", "ds_filter": "birds"}
    for name, other in needed.items():
        if getattr(config, name) is not None and getattr(config, other) is None:
            raise BadInputError(f"{flag_of(name)} {getattr(config, name)}: goes with {flag_of(other)} only")
    check_model(config.activation, config.force, config.device)
    if config.cache_dir is not None and not config.cache:
        raise BadInputError(f"--cache-dir {config.cache_dir} and --no-cache contradict each other: drop one of them")
    _check_name(config.name)


def check_model(activation: str | None, force: bool, device: str | None) -> None:
    """Check what the flags of a model must agree on.

    Raises:
        BadInputError: --force without what it is for, or a device that cannot be.
    """
    if force and activation is None:
        raise BadInputError("--force: goes with --activation only, which it lets contradict the weights")
    check_device(device)


def check_device(device: str | None) -> None:
    """Check that this can name a device; None is passed over.

    Raises:
        BadInputError: it cannot.
    """
    if device is not None and not _DEVICE.fullmatch(device):
        raise BadInputError(f"--device {device!r}: allowed are cpu, cuda, cuda:N and mps")


def _check_name(name: str | None) -> None:
    if name is None:
        return
    if name in (".", "..") or re.search(r"[/\\\x00-\x1f]", name) or len(name.encode()) > _NAME_BYTES:
        raise BadInputError(
            f"--name {name[:40]!r}: must name one folder, without / and \\, at most {_NAME_BYTES} bytes"
        )


def check_paths(config: EvalConfig) -> None:
    """Check that files and folders named are there, and that results can be written; nothing is opened or made.

    Raises:
        BadInputError: one is missing, or is a file where a folder is meant or the other way round.
    """
    for name in _FOLDERS:
        check_folder(flag_of(name), getattr(config, name))
    for name in _FILES:
        check_file(flag_of(name), getattr(config, name))
    for name in PUBLISHED_FLAGS:
        value = getattr(config, name)
        if isinstance(value, str) and not Path(value).exists():
            raise BadInputError(f"{flag_of(name)} {value}: no such file or folder")
    for flag, folder in (("--out", config.out_dir), ("--cache-dir", config.embeddings_dir)):
        check_can_be_made(flag, folder)
