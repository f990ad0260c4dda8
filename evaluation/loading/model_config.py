"""Is a model's config, from whoever wrote it, one that can be built, and that makes nothing run code?

Configs come with folders, hub models, checkpoints and `.pt` files. What of them reaches other packages than open_clip
(tokenizers and text towers of transformers, image towers of timm) is held to what is known to be harmless there.
"""

import math
import re
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from taxonomy.errors import BadInputError

_TOWERS = ("vision_cfg", "text_cfg")
_MOST = {"layers": 1_000}
_MOST_OF_ANY = 10_000_000
_FROM_ZERO = ("pad_id", "eos_id")
_CODE = "trust_remote_code"
_DEPTH = 8
_HUB_NAME = re.compile(r"(?!\.)[\w.-]+(/(?!\.)[\w.-]+)?")
_TIMM_NAME = re.compile(r"[\w.-]+")
_WORD = re.compile(r"[\w<>|/-]+")


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and _WORD.fullmatch(one) for one in value)


def _is_one_of(*allowed: Any) -> Callable[[Any], bool]:
    return lambda value: any(value is one or (isinstance(one, str) and value == one) for one in allowed)


_CLEAN = (_is_one_of("canonicalize", "lower", "whitespace"), "canonicalize, lower or whitespace")
_WORDS = (_is_words, "a list of words")
_CLIP_TOKENIZER = {
    "clean": _CLEAN,
    "additional_special_tokens": _WORDS,
    "reduction_mask": (_is_one_of("", "simple", "random", "shuffle", "syntax"), "simple, random, shuffle or syntax"),
}
_HF_TOKENIZER = {
    "clean": _CLEAN,
    "additional_special_tokens": _WORDS,
    "strip_sep_token": (_is_one_of(True, False), "true or false"),
    "language": (lambda value: isinstance(value, str) and bool(_WORD.fullmatch(value)), "a language's code"),
}
"""Name in `tokenizer_kwargs` -> is the value allowed, and what is, in words; of CLIP's tokenizer and of others.

All others go to transformers' `from_pretrained`, which takes files, addresses and permission to run code.
"""


def check_model_config(config: Any, where: str) -> None:
    """Check an open_clip `model_cfg`.

    Args:
        config: as it was read.
        where: begins the message.

    Raises:
        BadInputError: a setting is missing, of another type, out of range, or could make other packages run code;
            names it.
    """
    if not isinstance(config, Mapping):
        raise BadInputError(f"{where}: model_cfg {_shown(config)}: a dictionary is needed")
    _check_plain(config, where)
    lacking = [key for key in ("embed_dim", *_TOWERS) if key not in config]
    if lacking:
        raise BadInputError(f"{where}: its config lacks {', '.join(lacking)}")
    _check_top(config, where)
    for tower, hints in zip(_TOWERS, _hints(), strict=True):
        settings = config[tower]
        if not isinstance(settings, Mapping):
            raise BadInputError(f"{where}: {tower} {_shown(settings)}: a dictionary is needed")
        # open_clip's own configs say null for what such image towers do not have
        may_lack = bool(settings.get("timm_model_name")) or isinstance(settings.get("layers"), list | tuple)
        for key, value in settings.items():
            if key in hints and not (value is None and may_lack):  # what open_clip does not know, it refuses itself
                _check_value(f"{where}: {tower}.{key}", str(key), value, _kinds(hints[key]))
    _check_names(config, where)
    _check_tokenizer(config["text_cfg"], where)


def _check_plain(value: Any, where: str, depth: int = 0) -> None:
    """Refuse what JSON could not hold, and permission to run code, however deep and whatever its value."""
    if depth > _DEPTH:
        raise BadInputError(f"{where}: its config is nested too deeply: {_DEPTH} levels are allowed")
    if isinstance(value, Mapping):
        if _CODE in value:
            raise BadInputError(f"{where}: its config has {_CODE}, which is refused: no model may bring code to run")
        odd = next((key for key in value if not (isinstance(key, str) and key.isidentifier())), None)
        if odd is not None:
            raise BadInputError(f"{where}: its config has a setting {_shown(odd)}: words are allowed")
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            _check_plain(one, where, depth + 1)
    elif not isinstance(value, str | int | float | None):
        raise BadInputError(f"{where}: its config holds {_shown(value)}: numbers, texts and lists of them are allowed")


def _check_top(config: Mapping[str, Any], where: str) -> None:
    kinds = {"embed_dim": {int}, "quick_gelu": {bool}, "custom_text": {bool}, "nonscalar_logit_scale": {bool}}
    kinds |= {"init_logit_scale": {float, NoneType}, "init_logit_bias": {float, NoneType}}
    for key, allowed in kinds.items():
        if key in config:
            _check_value(f"{where}: {key}", key, config[key], allowed)


def _hints() -> list[dict[str, Any]]:
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg

    made = []
    for towers_class in (CLIPVisionCfg, CLIPTextCfg):
        unset = {key for key, value in vars(towers_class()).items() if value is None}
        hints = get_type_hints(towers_class).items()
        made.append({key: Union[hint, None] if key in unset else hint for key, hint in hints})  # noqa: UP007
    return made


def _kinds(hint: Any) -> set[type]:
    """The types that a hint allows, tuples as tuple."""
    if get_origin(hint) in (Union, UnionType):
        return set().union(*(_kinds(one) for one in get_args(hint)))
    return {get_origin(hint) or hint}


def _check_value(named: str, key: str, value: Any, kinds: set[type]) -> None:
    most = _MOST.get(key, _MOST_OF_ANY)
    if isinstance(value, bool) or value is None:
        is_right = type(value) in kinds
    elif isinstance(value, int) and int in kinds:
        is_right = (0 if key in _FROM_ZERO else 1) <= value <= most
    elif isinstance(value, int | float):
        is_right = float in kinds and abs(value) <= _MOST_OF_ANY and math.isfinite(value)
    elif isinstance(value, list | tuple):
        is_right = tuple in kinds and bool(value) and all(type(one) is int and 1 <= one <= most for one in value)
    elif isinstance(value, Mapping):
        is_right = dict in kinds
    else:
        is_right = isinstance(value, str) and str in kinds
    if not is_right:
        raise BadInputError(f"{named} {_shown(value)}: {_allowed(key, kinds, most)} is needed")


def _allowed(key: str, kinds: set[type], most: int) -> str:
    words = {
        bool: "true or false",
        int: f"a whole number from {0 if key in _FROM_ZERO else 1} to {most}",
        float: "a finite number",
        str: "a text",
        tuple: "a list of such numbers",
        dict: "a dictionary",
    }
    return " or ".join(text for kind, text in words.items() if kind in kinds)


def _check_names(config: Mapping[str, Any], where: str) -> None:
    """Refuse names that are places: of this machine, or of weights and code elsewhere."""
    vision, text = config["vision_cfg"], config["text_cfg"]
    names = (("vision_cfg.timm_model_name", vision.get("timm_model_name"), _TIMM_NAME, "a name of timm"),)
    hub = "a name on the hub, ORG/NAME or NAME,"
    names += tuple((f"text_cfg.{key}", text.get(key), _HUB_NAME, hub) for key in ("hf_tokenizer_name", "hf_model_name"))
    for key, name, pattern, allowed in names:
        if name and not pattern.fullmatch(name):
            raise BadInputError(f"{where}: {key} {_shown(name)}: {allowed} is needed")
    if text.get("tokenizer_mode") not in (None, "", "clips"):
        raise BadInputError(f"{where}: text_cfg.tokenizer_mode {_shown(text['tokenizer_mode'])}: clips is allowed")


def _check_tokenizer(text: Mapping[str, Any], where: str) -> None:
    known = _HF_TOKENIZER if text.get("hf_tokenizer_name") else _CLIP_TOKENIZER
    for key, value in (text.get("tokenizer_kwargs") or {}).items():
        if key not in known:
            raise BadInputError(
                f"{where}: text_cfg.tokenizer_kwargs has {_shown(key)}, which is refused; "
                f"allowed are {', '.join(known)}"
            )
        is_allowed, allowed = known[key]
        if not is_allowed(value):
            raise BadInputError(f"{where}: text_cfg.tokenizer_kwargs.{key} {_shown(value)}: {allowed} is needed")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
