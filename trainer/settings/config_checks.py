"""What flags must agree on with each other, with the device, the number of ranks and the file system."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxonomy.captions import CAPTION_KINDS
from taxonomy.errors import BadInputError
from trainer.settings.flags import nearest
from trainer.settings.recipe import MODEL_CONFIG

if TYPE_CHECKING:
    from trainer.settings.config import TrainConfig

_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")
_REPORTERS = ("tensorboard", "wandb", "all", "none")
_FILES = (".json", ".csv", ".tsv")
_CROP_KEYS = ("scale", "ratio", "interpolation")
_INTERPOLATIONS = ("bicubic", "bilinear")
_NAME_BYTES = 255
"""Longest name of a file on the usual file systems."""


def check_together(config: TrainConfig) -> None:
    """Check what single values cannot tell.

    Raises:
        BadInputError: two settings contradict each other, or a text is not of the form it must have.
    """
    _check_data(config)
    _check_upsampling(config)
    _check_crop(config.aug_cfg)
    _check_captions(config)
    _check_model(config)
    _check_pixels(config)
    _check_schedule(config)
    _check_names(config)
    check_ranks(config, config.nproc)


def check_ranks(config: TrainConfig, num_ranks: int) -> None:
    """Check what depends on the number of processes.

    Raises:
        BadInputError: the loss cannot be computed over several ranks as asked.
    """
    if config.loss == "multi_positive" and num_ranks > 1 and not config.gather_with_grad:
        raise BadInputError(
            f"--loss multi_positive on {num_ranks} ranks needs --gather-with-grad: without it the gradients are wrong"
        )


def check_device(config: TrainConfig, device_type: str) -> None:
    """Check what depends on the device; `device_type` is cpu, cuda or mps.

    Raises:
        BadInputError: the precision or the backend does not exist there.
    """
    if config.precision == "amp" and device_type != "cuda":
        raise BadInputError(f"--precision amp needs CUDA, this is {device_type}: use --precision amp_bf16 or fp32")
    if config.precision == "amp" and config.spike_factor is not None:
        raise BadInputError(
            "--spike-factor does not go with --precision amp, whose scaler decides itself: use amp_bf16"
        )
    if config.dist_backend == "nccl" and device_type != "cuda":
        raise BadInputError(f"--dist-backend nccl needs CUDA, this is {device_type}: use gloo, or leave it out")


def check_paths(config: TrainConfig) -> None:
    """Check that files and folders named in full are there; nothing is opened.

    Raises:
        BadInputError: one is missing, or is a file where a folder is meant or the other way round.
    """
    reads_file = config.dataset_type in ("shards", "csv")
    _check_data_path("--train-data", config.train_data, reads_file)
    _check_data_path("--val-data", config.val_data, (config.val_data or "").lower().endswith(_FILES))
    for flag, value in (("--imagenet-val", config.imagenet_val), ("--imagenet-v2", config.imagenet_v2)):
        if value and not Path(value).is_dir():
            raise BadInputError(f"{flag} {value}: no such folder; give one with a folder of pictures per class")
    if config.resume not in (None, "latest"):
        _check_checkpoint(config.resume)
    if Path(config.logs).exists() and not Path(config.logs).is_dir():
        raise BadInputError(f"--logs {config.logs}: is a file; give a folder")


def _check_checkpoint(resume: str) -> None:
    if not Path(resume).exists():
        raise BadInputError(f"--resume {resume}: no such checkpoint; give a local path, or latest")
    if not Path(resume).is_dir():
        raise BadInputError(
            f"--resume {resume}: is a file; give a step_* folder, or begin with its weights: --pretrained"
        )


def _check_data_path(flag: str, value: str | None, is_file: bool) -> None:
    if value is None:
        return
    if Path(value).is_dir():
        raise BadInputError(
            f"{flag} {value}: is a folder; give its manifest.json, or its tar files as {value}/{{0..9}}.tar"
        )
    if is_file and not Path(value).is_file():
        raise BadInputError(f"{flag} {value}: no such file")


def _check_data(config: TrainConfig) -> None:
    if config.dataset_type == "synthetic":
        if config.train_num_samples is None:
            raise BadInputError("--dataset-type synthetic needs --train-num-samples: how many pairs an epoch has")
    elif config.train_data is None:
        raise BadInputError(
            "--train-data is missing: give a manifest.json, tar patterns or a csv file, or --dataset-type synthetic"
        )
    elif "::" in config.train_data and config.dataset_type != "webdataset":
        raise BadInputError(f"--train-data {config.train_data}: only --dataset-type webdataset joins sources by ::")
    if len(config.csv_separator) != 1:
        raise BadInputError(f"--csv-separator {config.csv_separator!r}: give one character, or \\t for a tab")


def _check_upsampling(config: TrainConfig) -> None:
    factors = config.train_data_upsampling_factors
    if factors is None:
        return
    if not config.dataset_resampled or config.dataset_type != "webdataset":
        raise BadInputError("--train-data-upsampling-factors needs --dataset-type webdataset and --dataset-resampled")
    sources = (config.train_data or "").split("::")
    numbers = [_positive(part) for part in factors.split("::")]
    if len(numbers) != len(sources) or None in numbers:
        raise BadInputError(
            f"--train-data-upsampling-factors {factors!r}: give one number above 0 for each of the {len(sources)} "
            "sources of --train-data, joined by ::"
        )


def _positive(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < math.inf else None


def _check_crop(aug_cfg: dict[str, Any]) -> None:
    for key, value in aug_cfg.items():
        if key not in _CROP_KEYS:
            raise BadInputError(
                f"--aug-cfg {key}: allowed are {', '.join(_CROP_KEYS)}{nearest(key, _CROP_KEYS)}; pictures "
                "are cropped, not altered otherwise"
            )
        if key == "interpolation":
            if value not in _INTERPOLATIONS:
                raise BadInputError(f"--aug-cfg interpolation={value}: allowed are {', '.join(_INTERPOLATIONS)}")
        elif not _is_span(value) or (key == "scale" and value[1] > 1):
            most = ", at most 1" if key == "scale" else ""
            raise BadInputError(f"--aug-cfg {key}={value}: give two rising numbers above 0{most}, like (0.9,1.0)")


def _is_span(value: Any) -> bool:
    is_pair = isinstance(value, list) and len(value) == 2 and all(type(part) in (int, float) for part in value)
    return is_pair and 0 < value[0] <= value[1] < math.inf


def _check_captions(config: TrainConfig) -> None:
    if config.caption_kinds is None:
        return
    if config.text_type != "mixed":
        raise BadInputError(
            f"--caption-kinds weighs the kinds of --text_type mixed, but --text_type is {config.text_type}"
        )
    seen = set()
    for part in config.caption_kinds.split(","):
        kind, separator, weight = (piece.strip() for piece in part.partition("="))
        if kind not in CAPTION_KINDS:
            hint = nearest(kind, CAPTION_KINDS)
            raise BadInputError(
                f"--caption-kinds: no kind is called {kind!r}; allowed: {', '.join(CAPTION_KINDS)}{hint}"
            )
        if kind in seen or (separator and _positive(weight) is None):
            raise BadInputError(
                f"--caption-kinds {config.caption_kinds!r}: give each kind once, its weight above 0: sci=2,com=1"
            )
        seen.add(kind)


def _check_model(config: TrainConfig) -> None:
    if config.force_quick_gelu and config.activation == "gelu":
        raise BadInputError("--force-quick-gelu and --activation gelu contradict each other: give one of them")
    if config.delete_previous_checkpoint and config.keep_last > 1:
        raise BadInputError(f"--delete-previous-checkpoint keeps one, --keep-last {config.keep_last}: give one of them")
    if config.model_config is not None:
        _check_model_config(config.model_config)


def _check_model_config(own: Any) -> None:
    if not isinstance(own, dict):
        raise BadInputError(f"{MODEL_CONFIG} = {own!r} does not fit: give a table, an open_clip model config")
    if missing := [key for key in ("embed_dim", "vision_cfg", "text_cfg") if key not in own]:
        raise BadInputError(f"{MODEL_CONFIG}: {', '.join(missing)} is missing; it must be an open_clip model config")


def _check_pixels(config: TrainConfig) -> None:
    for flag, values in (("--image-mean", config.image_mean), ("--image-std", config.image_std)):
        if values is not None and len(values) != 3:
            raise BadInputError(f"{flag} {' '.join(map(str, values))}: give three numbers, for R, G and B")
    sizes = config.force_image_size
    if sizes is not None and (len(sizes) > 2 or len(set(sizes)) > 1):
        raise BadInputError(f"--force-image-size {' '.join(map(str, sizes))}: give one number: pictures are square")


def _check_schedule(config: TrainConfig) -> None:
    if config.lr_scheduler != "const-cooldown":
        return
    if config.epochs_cooldown is None:
        raise BadInputError(
            "--lr-scheduler const-cooldown needs --epochs-cooldown: over how many last epochs the rate falls"
        )
    if config.epochs_cooldown > config.epochs:
        raise BadInputError(f"--epochs-cooldown {config.epochs_cooldown}: must be at most --epochs, {config.epochs}")


def _check_names(config: TrainConfig) -> None:
    name = config.name
    if name is None and config.resume == "latest":
        raise BadInputError("--resume latest needs --name: the run to go on with")
    if name is not None and (name in (".", "..") or re.search(r"[/\\\x00-\x1f]", name)):
        raise BadInputError(f"--name {name!r}: must name one folder, without / and \\; --logs says where it is made")
    if name is not None and len(name.encode()) > _NAME_BYTES:
        raise BadInputError(f"--name {name[:40]}...: is too long for a folder; give at most {_NAME_BYTES} bytes")
    if "://" not in config.dist_url:
        raise BadInputError(f"--dist-url {config.dist_url!r}: give env://, tcp://HOST:PORT or file:///PATH")
    if config.device is not None and not _DEVICE.fullmatch(config.device):
        raise BadInputError(f"--device {config.device!r}: allowed are cpu, cuda, cuda:N and mps")
    for reporter in config.report_to.replace(",", " ").split():
        if reporter not in _REPORTERS:
            hint = nearest(reporter, _REPORTERS)
            raise BadInputError(
                f"--report-to {config.report_to!r}: give tensorboard, wandb, both with a comma, all or none{hint}"
            )
