"""Where a model's architecture, weights and settings come from: a name, a tag, a file, a folder, a hub or ours."""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from evaluation.loading.activation import Evidence
from evaluation.loading.architecture import architecture
from evaluation.loading.facts import (
    HUB,
    LOCAL,
    WEIGHTS_FILE,
    ModelFacts,
    facts_of_checkpoint,
    newest_checkpoint,
    stored_facts,
)
from evaluation.loading.model_config import check_model_config
from evaluation.loading.weights import read_pickled
from taxonomy.errors import BadInputError, WorkFailedError

CONFIG_FILE = "open_clip_config.json"
"""open_clip's own description of a model, in a folder or on the hub."""


@dataclass(frozen=True)
class Origin:
    """What name and pretrained lead to.

    Attributes:
        model_config: open_clip's `model_cfg`, a copy.
        evidence: what is known of the activation; the flag is not in it.
        weights: file to load; None for random weights. A tag's file is only downloaded by `weights_file`.
        facts: of our checkpoint; None for other weights.
        preprocess: `preprocess_cfg` of the folder, hub or tag: mean, std, interpolation, resize_mode.
        tag_config: open_clip's record of the tag, with its address.
        source: what the weights came from, for people.
    """

    model_config: dict[str, Any]
    evidence: Evidence
    weights: Path | None = None
    facts: ModelFacts | None = None
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    tag_config: Mapping[str, Any] | None = None
    source: str | None = None


def find_origin(
    name: str, pretrained: str | None, own_config: Mapping[str, Any] | None, cache: str | None = None
) -> Origin:
    """What a model is made from.

    Args:
        name: open_clip's name, `local-dir:FOLDER`, `hf-hub:ORG/NAME`, a checkpoint (file or folder) or run folder of
            ours, or any name with `own_config`.
        pretrained: tag, weights file, `local-dir:FOLDER`, `hf-hub:ORG/NAME`, a checkpoint or run folder of ours; None
            for random weights, or for those that `name` brings.
        own_config: an own `model_cfg`.
        cache: folder for downloads; None for the hub client's own.

    Raises:
        BadInputError: nothing of that name, its config is refused, or the weights are of another architecture.
        WorkFailedError: a download failed.
    """
    from open_clip.factory import get_model_config, parse_model_name
    from open_clip.pretrained import is_pretrained_cfg

    is_named = own_config is not None or (parse_model_name(name)[0] is None and get_model_config(_cleaned(name)))
    complete = None if is_named else _complete(name, cache)  # a folder called like a model does not shadow it
    if complete is not None:
        if pretrained:
            raise BadInputError(f"--model {name} brings its weights: drop --pretrained {pretrained}")
        return complete
    config = _named_config(name, own_config)
    evidence = Evidence(name=name, name_quick_gelu=config.get("quick_gelu"))
    if not pretrained:
        return Origin(config, evidence)
    found = None if is_pretrained_cfg(_cleaned(name), pretrained) else _complete(pretrained, cache)
    if found is not None:
        _check_same(name, config, found)
        return found
    return _tag_or_file(name, pretrained, config, evidence)


def _complete(place: str, cache: str | None) -> Origin | None:
    """A place that holds config and weights: folder, hub, checkpoint or run of ours; None if the text is none."""
    if place.startswith(HUB):
        return _hub(place, cache)
    path = Path(place.removeprefix(LOCAL))
    folder = path.parent if path.name == WEIGHTS_FILE else newest_checkpoint(path) or path
    facts = facts_of_checkpoint(folder)
    if facts is not None:
        return _checkpoint(folder / WEIGHTS_FILE, facts, str(folder))
    facts = _facts_in(path)
    if facts is not None:
        return _checkpoint(path, facts, place)
    return _folder(path, place) if place.startswith(LOCAL) or path.is_dir() else None


def _cleaned(name: str) -> str:
    """A model's name as open_clip's registries spell it."""
    return name.replace("/", "-")


def _checkpoint(weights: Path, facts: ModelFacts, source: str) -> Origin:
    check_model_config(facts.model_config, source)
    evidence = Evidence(name=facts.name, state=facts.activation, state_source=facts.activation_source)
    return Origin(deepcopy(dict(facts.model_config)), evidence, weights, facts, source=source)


def _facts_in(file: Path) -> ModelFacts | None:
    """The facts in a .pt file in the published form that the trainer here wrote; None in any other file."""
    if file.suffix != ".pt" or not file.is_file():
        return None
    return stored_facts(read_pickled(file), str(file))


def _folder(folder: Path, place: str) -> Origin:
    from open_clip.factory import _find_checkpoint_in_dir

    config = folder / CONFIG_FILE
    if not config.is_file():
        raise BadInputError(f"{place} is no model: {CONFIG_FILE} or a state.json of ours is needed in the folder")
    weights = _find_checkpoint_in_dir(folder)
    if weights is None:
        raise BadInputError(f"{place} holds no weights (.safetensors, .bin or .pth) beside its {CONFIG_FILE}")
    return _configured(place, config, Path(weights))


def _hub(place: str, cache: str | None) -> Origin:
    from open_clip.pretrained import download_pretrained_from_hf

    model = place.removeprefix(HUB)
    try:
        config = download_pretrained_from_hf(model, filename=CONFIG_FILE, cache_dir=cache)
        weights = download_pretrained_from_hf(model, cache_dir=cache)
    except (OSError, RuntimeError) as error:
        raise WorkFailedError(f"{place} could not be downloaded: {error}") from error
    return _configured(place, Path(config), Path(weights))


def _configured(place: str, config_file: Path, weights: Path) -> Origin:
    try:
        stored = json.loads(config_file.read_text(encoding="utf-8"))
        config = stored["model_cfg"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInputError(f"{config_file} has no readable model_cfg: {error}") from error
    check_model_config(config, str(config_file))
    pixels = stored.get("preprocess_cfg") or {}
    if not isinstance(pixels, Mapping):
        raise BadInputError(f"{config_file}: preprocess_cfg {pixels!r:.60}: a dictionary is needed")
    evidence = Evidence(name=place, has_config=True, config_quick_gelu=config.get("quick_gelu"))
    return Origin(dict(config), evidence, weights, preprocess=pixels, source=place)


def _named_config(name: str, own_config: Mapping[str, Any] | None) -> dict[str, Any]:
    if own_config is not None:
        check_model_config(own_config, f"model {name}")
        return deepcopy(dict(own_config))
    from open_clip.factory import get_model_config, list_models

    config = get_model_config(_cleaned(name))
    if config is None and Path(name).is_file():
        raise BadInputError(f"{name} holds weights alone, which do not tell their model: add --model and --activation")
    if config is None:
        close = get_close_matches(name, list_models(), n=6, cutoff=0.5)
        raise BadInputError(f"--model {name}: open_clip has no such model (near it: {', '.join(close) or 'none'})")
    check_model_config(config, f"model {name}")
    return config


def _tag_or_file(name: str, pretrained: str, config: dict[str, Any], evidence: Evidence) -> Origin:
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    tag = get_pretrained_cfg(_cleaned(name), pretrained)
    if tag:
        quick = bool(tag.get("quick_gelu", False))
        evidence = Evidence(name=name, tag=pretrained, tag_quick_gelu=quick, name_quick_gelu=evidence.name_quick_gelu)
        return Origin(config, evidence, preprocess=tag, tag_config=tag, source=pretrained)
    path = Path(pretrained)
    if not path.is_file():
        tags = ", ".join(list_pretrained_tags_by_model(_cleaned(name))) or "none"
        raise BadInputError(
            f"--pretrained {pretrained}: neither a file or folder nor a tag of {name} (its tags: {tags})"
        )
    evidence = Evidence(name=name, name_quick_gelu=evidence.name_quick_gelu, bare_file=pretrained)
    return Origin(config, evidence, path, source=pretrained)


def weights_file(origin: Origin, cache: str | None = None) -> Path | None:
    """The file with the weights, downloaded now if they are a tag's; None for random weights.

    Raises:
        WorkFailedError: the download failed.
    """
    if origin.tag_config is None:
        return origin.weights
    from open_clip.pretrained import download_pretrained

    try:
        return Path(download_pretrained(dict(origin.tag_config), cache_dir=cache))
    except (OSError, RuntimeError) as error:
        raise WorkFailedError(f"the weights {origin.source} could not be downloaded: {error}") from error


def _check_same(name: str, config: Mapping[str, Any], found: Origin) -> None:
    """Refuse weights whose config is not that of the named model: shapes alone do not tell, say, the heads."""
    asked, given = _flat(config), _flat(found.model_config)
    differing = sorted(key for key in asked.keys() | given.keys() if asked.get(key) != given.get(key))
    if differing:
        shown = ", ".join(f"{key} {given.get(key)} instead of {asked.get(key)}" for key in differing[:4])
        raise BadInputError(
            f"{found.source} is another architecture than --model {name} ({len(differing)} settings differ: {shown}); "
            f"give it as --model to take its own"
        )


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Setting -> value of both towers; pictures may differ in size."""
    known = architecture(config)
    towers = {f"{tower}.{key}": value for tower in ("vision_cfg", "text_cfg") for key, value in known[tower].items()}
    del towers["vision_cfg.image_size"]
    return {"embed_dim": known.get("embed_dim")} | towers
