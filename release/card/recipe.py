"""Where a run differs from its built-in recipe, and from what is published of the three models. No torch.

The recipes' files say in their comments which of their values are published; a test holds the two together.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from release.card.run_facts import Difference
from release.card.words import one_line, value_text
from taxonomy.errors import BadInputError
from trainer.settings import recipe as recipes
from trainer.settings.config import TrainConfig

STANDARD = "bt-clip-o"
"""The published recipe that a run of no published one is compared with: the one complete command there is."""

_STANDARD_COMMAND: Mapping[str, Any] = {
    "model": "ViT-B-16",
    "pretrained": "openai",
    "batch_size": 4096,
    "accum_freq": 1,
    "epochs": 40,
    "warmup": 5000,
    "lr": 5e-4,
    "wd": 4e-4,
    "beta1": 0.98,
    "beta2": 0.99,
    "eps": 1e-6,
    "loss": "infonce",
    "local_loss": True,
    "gather_with_grad": True,
    "grad_checkpointing": True,
    "precision": "bf16_published",
    "text_type": "random",
    "dataset_resampled": True,
}

PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    STANDARD: _STANDARD_COMMAND,
    "bt-clip-b": {"model": "hf-hub:imageomics/bioclip", "epochs": 8, "loss": "infonce"},
    "bt-clip-m": {"model": "ViT-L-14", "pretrained": "metaclip_fullcc", "epochs": 12, "loss": "infonce"},
}
"""Recipe -> what is published of it, in this trainer's terms: the published bf16 is bf16_published here.

Source: README of github.com/baskargroup/BioTrove, the standard command; arXiv 2406.17720 and the model card for what
differs in B and M, of which the other settings are not published.
"""

_NOT_LEARNT = frozenset(
    {
        *("recipe", "train_data", "val_data", "val_num_samples", "csv_separator", "csv_img_key", "csv_caption_key"),
        *("workers", "ddp_static_graph", "deterministic", "compile", "force", "activation"),
        *("save_frequency", "save_steps", "save_minutes", "save_most_recent", "delete_previous_checkpoint"),
        *("keep_last", "format", "resume", "resume_at", "imagenet_val", "imagenet_v2", "zeroshot_frequency"),
        *("zeroshot_batch_size", "zeroshot_benchmarks", "benchmarks_root", "images_root", "val_frequency", "logs"),
        *("name", "log_local", "log_every_n_steps", "report_to", "wandb_notes", "wandb_project_name", "debug"),
        *("dist_url", "dist_backend", "no_set_device_rank", "device", "nproc", "dataset_type"),
    }
)
"""Settings that say where things are, how fast and what is written down; of the activation the model's facts tell."""


def learnt_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of a run's settings those that shape what is learnt, as they take effect.

    Args:
        config: as state.json or config.toml hold it; what is missing, as None in TOML, is left out.
    """
    settings = {name: _plain(value) for name, value in config.items() if name not in _NOT_LEARNT}
    if "dataset_resampled" in settings and config.get("dataset_type") != "webdataset":
        settings["dataset_resampled"] = False  # only tar shards are drawn with replacement
    return settings


def recipe_name(config: Mapping[str, Any]) -> tuple[str | None, bool]:
    """The recipe of a run, without folders, and whether it is a built-in one."""
    recipe = config.get("recipe")
    if not isinstance(recipe, str) or not recipe:
        return None, False
    is_built_in = recipe in recipes.names()
    return (recipe if is_built_in else one_line(Path(recipe).name)), is_built_in


def from_recipe(config: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Where a run differs from the built-in recipe that it names; nothing where it names none."""
    name, is_built_in = recipe_name(config)
    if not is_built_in or name is None:
        return ()
    try:
        built_in = asdict(TrainConfig(**recipes.read(name), train_data="manifest.json"))
    except BadInputError:  # of another version of the trainer
        return ()
    there = learnt_settings(built_in | {"dataset_type": config.get("dataset_type")})
    return _differences(learnt_settings(config), there)


def published_recipe(config: Mapping[str, Any]) -> str:
    """The published recipe that a run is compared with."""
    name, _ = recipe_name(config)
    return name if name is not None and name in PUBLISHED else STANDARD


def from_published(config: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Where a run differs from what is published of `published_recipe`; values that are not published are left out."""
    if not config:
        return ()
    there = dict(PUBLISHED[published_recipe(config)])
    here = {name: value for name, value in learnt_settings(config).items() if name in there}
    return _differences(here, there)


def setting_texts(config: Mapping[str, Any]) -> dict[str, str]:
    """The settings that shape what is learnt, in words; None is left out."""
    settings = learnt_settings(config)
    return {name: one_line(value_text(value)) for name, value in settings.items() if value is not None}


def _differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> tuple[Difference, ...]:
    names = [*there, *(name for name in here if name not in there)]
    return tuple(
        Difference(name, one_line(value_text(here.get(name))), one_line(value_text(there.get(name))))
        for name in names
        if _plain(here.get(name)) != _plain(there.get(name))
    )


def _plain(value: Any) -> Any:
    """As JSON gives it back: a tuple is a list."""
    return json.loads(json.dumps(value, default=str))
