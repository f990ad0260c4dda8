"""What one flag of the trainer is: its names and values, what the published trainer had, and how we treat it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """How a published flag fares here; our own flags work."""

    WORKS = "works"
    CHANGED = "changed"
    NO_EFFECT = "no effect"
    REFUSED = "refused"


@dataclass(frozen=True)
class Limits:
    """Which numbers are allowed: in words that follow "must be", and as a test."""

    words: str
    holds: Callable[[float], bool]


POSITIVE = Limits("above 0", lambda number: number > 0)
NOT_NEGATIVE = Limits("at least 0", lambda number: number >= 0)
COUNT = Limits("at least 1", lambda number: number >= 1)
SHARE = Limits("at least 0 and below 1", lambda number: 0 <= number < 1)
ABOVE_ONE = Limits("above 1", lambda number: number > 1)

_ALLOWED = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "a table of keys and values",
}


@dataclass(frozen=True)
class Flag:
    """One flag.

    Attributes:
        names: as typed, the first one gives the field of the config: `--train-data` -> `train_data`.
        type: int, float, str, bool (a switch) or dict (key=value parts).
        default: ours; None where nothing is chosen.
        help: what it does, for --help.
        group: the heading of --help that it stands under.
        is_published: whether the published trainer has it.
        published: the published trainer's default.
        status: how it is treated.
        note: what differs and why; of a refused flag the reason and what to use instead.
        nargs: `+` for a list, `*` for key=value parts.
        choices: the texts allowed; empty for any.
        refused_choices: published texts that are refused -> why, and what to use instead.
        limits: the numbers allowed, of each number in a list.
        can_be_negated: whether `--no-...` exists, so that the command line can switch off what a recipe switches on.
    """

    names: tuple[str, ...]
    type: type
    default: Any
    help: str
    group: str = ""
    is_published: bool = False
    published: Any = None
    status: Status = Status.WORKS
    note: str = ""
    nargs: str | None = None
    choices: tuple[str, ...] = ()
    refused_choices: Mapping[str, str] = field(default_factory=dict)
    limits: Limits | None = None
    can_be_negated: bool = True

    @property
    def name(self) -> str:
        """The config's field and the recipe's key."""
        return self.names[0].removeprefix("--").replace("-", "_")

    def converted(self, value: Any) -> Any:
        """The value in the flag's type: whole numbers become floats where floats are meant, lists tuples.

        Raises:
            ValueError: it does not fit; the message says what to give.
        """
        if self.nargs == "+":
            if not isinstance(value, list | tuple) or not value:
                raise ValueError(f"a list, each part {_ALLOWED[self.type]}")
            return tuple(_converted(self.type, part) for part in value)
        return _converted(self.type, value)


def _converted(kind: type, value: Any) -> Any:
    if kind is float and type(value) is int:
        value = _float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise ValueError(_ALLOWED[kind])
    if kind is str and not _is_unicode(value):
        raise ValueError("a text of valid characters")  # a file name that is no UTF-8 fits into no TOML file
    return plain(value) if kind is dict else value


def _float(whole: int) -> float:
    try:
        return float(whole)
    except OverflowError:
        return math.inf


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def plain(value: Any) -> Any:
    """A copy in what TOML has: every list-like a list, every mapping a dict, at any depth."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def published(names: str, kind: type, default: Any, help_text: str, **more: Any) -> Flag:
    """A flag of the published trainer that means the same here; `default` is the published one."""
    return Flag(tuple(names.split()), kind, default, help_text, is_published=True, published=default, **more)


def changed(names: str, kind: type, default: Any, help_text: str, note: str, **more: Any) -> Flag:
    """A published flag that differs as the note says; `ours` is our default where it is another."""
    ours = more.pop("ours", default)
    flag = published(names, kind, default, help_text, status=Status.CHANGED, note=note, **more)
    return replace(flag, default=ours)


def no_effect(names: str, help_text: str, note: str) -> Flag:
    """A published switch that is accepted and does nothing."""
    return published(names, bool, False, help_text, status=Status.NO_EFFECT, note=note)


def refused(names: str, kind: type, default: Any, note: str) -> Flag:
    """A published flag that is known and refused; the note says why and what to use instead."""
    return published(names, kind, default, "Refused.", status=Status.REFUSED, note=note, can_be_negated=False)


def own(names: str, kind: type, default: Any, help_text: str, **more: Any) -> Flag:
    """A flag that the published trainer does not have."""
    return Flag(tuple(names.split()), kind, default, help_text, **more)


def in_group(group: str, *flags: Flag) -> tuple[Flag, ...]:
    """The flags under one heading."""
    return tuple(replace(flag, group=group) for flag in flags)
