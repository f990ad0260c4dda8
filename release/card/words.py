"""Words of a card: names from strangers made harmless in Markdown and YAML, and free of a machine's folders."""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from evaluation.loading.facts import HUB, LOCAL, STEP_FOLDER, WEIGHTS_FILE

MAX_LETTERS = 200
"""Of one name in a card."""

_INVISIBLE = ("Cc", "Cf", "Co", "Cn", "Zl", "Zp")
"""Unicode categories of controls, direction marks, line ends and characters that are none."""

_SPECIAL = re.compile(r"([\\`*\[\]|~$#])|((?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
_ENTITIES = (
    ("&", "&amp;"),
    ("<", "&lt;"),
    (">", "&gt;"),
    ("@", "&commat;"),
    ("://", "&colon;//"),
    ("www.", "www&period;"),
)
_VIT = re.compile(r"ViT-\w+/\d+[\w-]*")
"""open_clip's own names with a slash (ViT-B/16)."""

_SINGLE_SLASH = re.compile(r"(?<![:/\w.])(?:local-dir:)?(?:~|\.{1,2}|(?=/))(?:/[^/\s,;()]+)+/?|\blocal-dir:\S+")
_QUOTED = {'"': '\\"', "\\": "\\\\"}


class Markdown(str):
    """Text that is Markdown already and goes into the card as it is."""


def one_line(text: str) -> str:
    """The text on one line: NFC, without invisible characters, at most MAX_LETTERS long."""
    line = _visible_text(text).strip()
    return line if len(line) <= MAX_LETTERS else f"{line[: MAX_LETTERS - 3]}..."


def _visible_text(text: str) -> str:
    """NFC, without invisible characters, every run of blanks as one space."""
    return re.sub(r"\s+", " ", "".join(map(_visible, unicodedata.normalize("NFC", text))))


def _visible(letter: str) -> str:
    category = unicodedata.category(letter)
    if category == "Cs":  # half a character: no file could hold it
        return "\N{REPLACEMENT CHARACTER}"
    return " " if category in _INVISIBLE else letter


def escaped(value: object) -> str:
    """A value as Markdown that shows it and does nothing else: no markup, table cell, HTML, link or mention of it."""
    if isinstance(value, Markdown):
        return value
    text = _visible_text(str(value))
    for plain, entity in _ENTITIES:
        text = text.replace(plain, entity)
    return _SPECIAL.sub(lambda match: f"\\{match[0]}" if match[0] != "#" else "&num;", text)


def without_folders(place: str) -> str:
    """What a model, file or folder is called, without where it lies on a machine; hub names stay whole.

    Checkpoints of ours are called by run and step, as in `demo step_000226`.
    """
    if place.startswith(HUB) or _VIT.fullmatch(place):
        return place
    path = PurePosixPath(place.removeprefix(LOCAL).replace("\\", "/"))
    path = path.parent if path.name == WEIGHTS_FILE else path
    if STEP_FOLDER.fullmatch(path.name) and path.parent.name == "checkpoints":
        return f"{path.parent.parent.name} {path.name}".strip()
    return path.name or "model"


def text_without_folders(text: str) -> str:
    """A sentence with every path in it shortened to its name."""
    return _SINGLE_SLASH.sub(lambda match: without_folders(match[0]), text)


def value_text(value: Any) -> str:
    """A setting's value in words: `0.0005`, `true`, `none`, `[0.48, 0.46, 0.41]`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {value_text(each)}" for key, each in value.items()) or "none"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    return without_folders(value) if isinstance(value, str) and re.search(r"[/\\]", value) else str(value)


def to_yaml(value: Any, indent: int = 0) -> str:
    """Lines of YAML that every version of it reads back as the same value: all texts are quoted, all numbers plain.

    Args:
        value: a mapping or list of texts, numbers, switches and mappings and lists of these; None is left out.
        indent: spaces before each line.
    """
    lines = []
    pairs = value.items() if isinstance(value, Mapping) else ((None, each) for each in value)
    for key, each in pairs:
        if each is None:
            continue
        head = " " * indent + ("-" if key is None else f"{_key(key)}:")
        if isinstance(each, Mapping) or (isinstance(each, Sequence) and not isinstance(each, str)):
            nested = to_yaml(each, indent + 2)
            lines.append(f"{head}\n{nested}" if nested else f"{head} {'{}' if isinstance(each, Mapping) else '[]'}\n")
        else:
            lines.append(f"{head} {_scalar(each)}\n")
    return "".join(lines)


def _key(key: str) -> str:
    return (
        key if re.fullmatch(r"[a-z][a-z_-]*", key) and key not in ("y", "n", "yes", "no", "on", "off") else _text(key)
    )


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    return _text(str(value))


def _number(value: float) -> str:
    """Without an exponent, which YAML 1.1 and 1.2 read differently."""
    assert math.isfinite(value)
    digits = f"{value:.6f}".rstrip("0")
    return f"{digits}0" if digits.endswith(".") else digits


def _text(text: str) -> str:
    return '"' + "".join(_QUOTED.get(letter, letter) for letter in one_line(text)) + '"'
