"""The settings of a training run: one frozen dataclass, made of flags over a recipe over defaults. No torch here.

Defaults, types, choices and limits stand in the flag table (trainer/settings/flags.py); what several flags must agree
on is in trainer/settings/config_checks.py.
"""
# ruff: noqa: RUF009 - _default() makes a dataclass field

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taxonomy.errors import BadInputError
from taxonomy.toml_text import to_toml
from trainer.settings import recipe as recipes
from trainer.settings.config_checks import check_device, check_paths, check_ranks, check_together
from trainer.settings.flag import Flag, plain
from trainer.settings.flags import ACCEPTED, nearest, parse
from trainer.settings.notices import notices

__all__ = ["TrainConfig", "check_device", "check_ranks", "from_toml", "load", "notices"]

_MAY_BE_EMPTY = frozenset({"wandb_notes", "report_to"})


def _default(name: str) -> Any:
    value = ACCEPTED[name].default
    if isinstance(value, dict):
        return dataclasses.field(default_factory=value.copy)
    return dataclasses.field(default=value)


@dataclass(frozen=True)
class TrainConfig:
    """Every setting of a run, checked when it is made; a field is its flag's name with _ for -.

    beta1, beta2 and eps follow the model's name where they are not given, dataset_type is never `auto`, and
    --delete-previous-checkpoint is keep_last = 1: the values are those that the run uses.

    Attributes:
        model_config: an open_clip model config for a model that open_clip does not name; from a recipe alone.
    """

    recipe: str | None = _default("recipe")

    train_data: str | None = _default("train_data")
    train_data_upsampling_factors: str | None = _default("train_data_upsampling_factors")
    val_data: str | None = _default("val_data")
    train_num_samples: int | None = _default("train_num_samples")
    val_num_samples: int | None = _default("val_num_samples")
    dataset_type: str = _default("dataset_type")
    dataset_resampled: bool = _default("dataset_resampled")
    csv_separator: str = _default("csv_separator")
    csv_img_key: str = _default("csv_img_key")
    csv_caption_key: str = _default("csv_caption_key")
    workers: int = _default("workers")
    aug_cfg: dict[str, Any] = _default("aug_cfg")
    text_type: str = _default("text_type")
    caption_kinds: str | None = _default("caption_kinds")
    resize: str = _default("resize")
    shuffle_window: int = _default("shuffle_window")

    model: str = _default("model")
    pretrained: str | None = _default("pretrained")
    pretrained_image: bool = _default("pretrained_image")
    lock_image: bool = _default("lock_image")
    lock_image_unlocked_groups: int = _default("lock_image_unlocked_groups")
    lock_image_freeze_bn_stats: bool = _default("lock_image_freeze_bn_stats")
    lock_text: bool = _default("lock_text")
    lock_text_unlocked_layers: int = _default("lock_text_unlocked_layers")
    lock_text_freeze_layer_norm: bool = _default("lock_text_freeze_layer_norm")
    image_mean: tuple[float, float, float] | None = _default("image_mean")
    image_std: tuple[float, float, float] | None = _default("image_std")
    force_image_size: tuple[int, ...] | None = _default("force_image_size")
    force_quick_gelu: bool = _default("force_quick_gelu")
    force_patch_dropout: float | None = _default("force_patch_dropout")
    force_custom_text: bool = _default("force_custom_text")
    activation: str | None = _default("activation")
    force: bool = _default("force")
    model_config: dict[str, Any] | None = None

    loss: str = _default("loss")
    local_loss: bool = _default("local_loss")
    gather_with_grad: bool = _default("gather_with_grad")
    accum_freq: int = _default("accum_freq")

    batch_size: int = _default("batch_size")
    epochs: int = _default("epochs")
    epochs_cooldown: int | None = _default("epochs_cooldown")
    max_steps: int | None = _default("max_steps")
    lr: float = _default("lr")
    beta1: float = _default("beta1")
    beta2: float = _default("beta2")
    eps: float = _default("eps")
    wd: float = _default("wd")
    warmup: int = _default("warmup")
    skip_scheduler: bool = _default("skip_scheduler")
    lr_scheduler: str = _default("lr_scheduler")
    lr_cooldown_end: float = _default("lr_cooldown_end")
    lr_cooldown_power: float = _default("lr_cooldown_power")
    grad_clip_norm: float | None = _default("grad_clip_norm")
    spike_factor: float | None = _default("spike_factor")
    seed: int = _default("seed")

    precision: str = _default("precision")
    grad_checkpointing: bool = _default("grad_checkpointing")
    ddp_static_graph: bool = _default("ddp_static_graph")
    deterministic: bool = _default("deterministic")
    compile: bool = _default("compile")

    save_frequency: int = _default("save_frequency")
    save_steps: int | None = _default("save_steps")
    save_minutes: float | None = _default("save_minutes")
    save_most_recent: bool = _default("save_most_recent")
    delete_previous_checkpoint: bool = _default("delete_previous_checkpoint")
    keep_last: int = _default("keep_last")
    format: str = _default("format")
    resume: str | None = _default("resume")
    resume_at: str = _default("resume_at")

    imagenet_val: str | None = _default("imagenet_val")
    imagenet_v2: str | None = _default("imagenet_v2")
    zeroshot_frequency: int = _default("zeroshot_frequency")
    zeroshot_batch_size: int = _default("zeroshot_batch_size")
    zeroshot_benchmarks: str | None = _default("zeroshot_benchmarks")
    benchmarks_root: str | None = _default("benchmarks_root")
    images_root: str | None = _default("images_root")
    val_frequency: int = _default("val_frequency")

    logs: str = _default("logs")
    name: str | None = _default("name")
    log_local: bool = _default("log_local")
    log_every_n_steps: int = _default("log_every_n_steps")
    report_to: str = _default("report_to")
    wandb_notes: str = _default("wandb_notes")
    wandb_project_name: str = _default("wandb_project_name")
    debug: bool = _default("debug")

    dist_url: str = _default("dist_url")
    dist_backend: str | None = _default("dist_backend")
    no_set_device_rank: bool = _default("no_set_device_rank")
    device: str | None = _default("device")
    nproc: int = _default("nproc")

    def __post_init__(self) -> None:
        """Bring values into their types, fill in what follows from others, check everything.

        Raises:
            BadInputError: a value is not allowed; names its flag.
        """
        for flag in ACCEPTED.values():
            self._set(**{flag.name: _checked(flag, getattr(self, flag.name))})
        self._resolve()
        check_together(self)

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _resolve(self) -> None:
        """Fill in what a value left open means."""
        # Source of the three: open_clip 2.16 training/params.py, get_default_params.
        is_vit = "vit" in self.model.lower()
        usual = {"beta1": 0.9, "beta2": 0.98 if is_vit else 0.999, "eps": 1e-6 if is_vit else 1e-8}
        self._set(**{name: value for name, value in usual.items() if getattr(self, name) is None})
        if self.dataset_type == "auto":
            self._set(dataset_type=dataset_type_of(self.train_data or ""))
        if self.csv_separator == "\\t":  # as one types it in a shell
            self._set(csv_separator="\t")
        if self.delete_previous_checkpoint and self.keep_last == 0:
            self._set(keep_last=1)
        self._set(model_config=plain(self.model_config))

    @property
    def crop_scale(self) -> tuple[float, float]:
        """Least and greatest share of a picture's area in a training crop."""
        low, high = self.aug_cfg.get("scale", (0.9, 1.0))
        return float(low), float(high)

    @property
    def crop_ratio(self) -> tuple[float, float]:
        """Least and greatest width / height of a training crop."""
        low, high = self.aug_cfg.get("ratio", (3 / 4, 4 / 3))
        return float(low), float(high)

    @property
    def crop_interpolation(self) -> str:
        """Of the resize in training: bicubic or bilinear."""
        return self.aug_cfg.get("interpolation", "bicubic")

    @property
    def caption_weights(self) -> dict[str, float]:
        """Kind -> weight of --caption-kinds; empty where it is not given: all kinds, equally."""
        parts = (part.split("=") for part in (self.caption_kinds or "").split(",") if part)
        return {kind.strip(): float(weight[0]) if weight else 1.0 for kind, *weight in parts}

    @property
    def image_size(self) -> int | None:
        """Edge of the pictures, px; None for the model's own."""
        return self.force_image_size[0] if self.force_image_size else None

    @property
    def reporters(self) -> tuple[str, ...]:
        """Of tensorboard and wandb, those that receive figures."""
        asked = self.report_to.replace(",", " ").split()
        return tuple(name for name in ("tensorboard", "wandb") if name in asked or "all" in asked)

    @property
    def device_name(self) -> str | None:
        """What --device and --no-set-device-rank ask for; None leaves the choice to the machine and the rank."""
        return self.device or ("cuda:0" if self.no_set_device_rank else None)

    def to_toml(self) -> str:
        """The settings as TOML, but for --resume and --recipe: `from_toml` reads them, and --recipe takes the file."""
        once = ("resume", "resume_at", "recipe")  # what a recipe for the same run must not do again
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name not in once}
        return "# Settings of a training run, all of them; a recipe for the same run.\n" + to_toml(values)


def load(arguments: Sequence[str]) -> TrainConfig:
    """The config of the command line: its flags over the recipe over the defaults. --help prints and exits.

    Raises:
        BadInputError: a flag, a key of the recipe or a value is not allowed, or a file named is not there.
    """
    given = parse(arguments)
    values = recipes.read(given["recipe"]) if given.get("recipe") is not None else {}
    put_aside = _put_aside(given, values)
    config = TrainConfig(**({key: value for key, value in values.items() if key not in put_aside} | given))
    check_paths(config)
    return config


def _put_aside(given: Mapping[str, Any], recipe: Mapping[str, Any]) -> set[str]:
    """The recipe's keys that would contradict a flag which has no way to unset them."""
    cases = {
        recipes.MODEL_CONFIG: given.get("model", recipe.get("model")) != recipe.get("model"),
        "caption_kinds": given.get("text_type", "mixed") != "mixed",
        "force_quick_gelu": given.get("activation") == "gelu",
        "activation": given.get("force_quick_gelu", False),
        "delete_previous_checkpoint": given.get("keep_last", 1) != 1,
        "keep_last": given.get("delete_previous_checkpoint", False),
    }
    return {key for key, contradicts in cases.items() if contradicts}


def from_toml(text: str, where: str = "config.toml") -> TrainConfig:
    """The config that `to_toml` wrote; files it names need not exist any more.

    Raises:
        BadInputError: it is no TOML, or a key or value is not allowed.
    """
    return TrainConfig(**recipes.parsed(text, where))


def dataset_type_of(train_data: str) -> str:
    """What --dataset-type auto means for a --train-data."""
    last = train_data.lower().rsplit(".", 1)[-1]
    return {"json": "shards", "csv": "csv", "tsv": "csv"}.get(last, "webdataset")


def _checked(flag: Flag, value: Any) -> Any:
    """The value in the flag's type, if it is one of its choices and within its limits."""
    if value is None and flag.default is None:
        return None
    if value == "" and flag.name == "pretrained":  # open_clip's way to say none
        return None
    try:
        value = flag.converted(value)
    except ValueError as error:
        raise BadInputError(f"{flag.names[0]} {value!r} does not fit: give {error}") from None
    if value == "" and flag.name not in _MAY_BE_EMPTY:
        raise BadInputError(f"{flag.names[0]} is empty: give a text, or leave it out")
    if flag.choices:
        value = _choice(flag, value)
    _check_limits(flag, value if isinstance(value, tuple) else (value,))
    return value


def _choice(flag: Flag, value: str) -> str:
    """The choice meant, whatever its case: shards and loaders disagree on that of taxonTag."""
    for choice in flag.choices:
        if value.lower() == choice.lower():
            return choice
    if value in flag.refused_choices:
        raise BadInputError(f"{flag.names[0]} {value} is not supported: {flag.refused_choices[value]}")
    raise BadInputError(
        f"{flag.names[0]} {value!r}: allowed are {', '.join(flag.choices)}{nearest(value, flag.choices)}"
    )


def _check_limits(flag: Flag, numbers: tuple[Any, ...]) -> None:
    if flag.limits and not all(map(flag.limits.holds, numbers)):
        raise BadInputError(f"{flag.names[0]} {' '.join(map(str, numbers))}: must be {flag.limits.words}")
