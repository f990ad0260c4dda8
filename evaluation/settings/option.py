"""A setting of a command: its help, and which values are allowed. The flags are made from these.

Fields of configs, which are `Settings`, carry them in their metadata.
"""

import dataclasses
import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from taxonomy.errors import BadInputError

_ALLOWED = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    tuple: "one text or a list of texts",
}


@dataclass(frozen=True)
class Option:
    """One setting.

    Attributes:
        help: what it does, for --help.
        kind: int, float, str, bool (a switch) or tuple (one text or several).
        group: its heading in --help.
        also: further flags of the same meaning.
        choices: the texts allowed; empty for any.
        least: the least number allowed.
        most: the greatest number allowed.
        metavar: what stands for the value in --help.
        may_be_alone: the flag may stand without a value; the field is then True.
        can_be_negated: whether a switch has a --no- form.
    """

    help: str
    kind: type
    group: str
    also: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    metavar: str | None = None
    may_be_alone: bool = False
    can_be_negated: bool = False

    def checked(self, flag: str, value: Any) -> Any:
        """The value in the option's kind; None, and what a flag alone gives, are passed on.

        Raises:
            BadInputError: it is of another kind or not allowed.
        """
        if value is None or (self.may_be_alone and isinstance(value, bool)):
            return value
        if self.kind is tuple:
            parts = value if isinstance(value, list | tuple) else (value,)
            return tuple(self._checked_part(flag, part, str) for part in parts)
        return self._checked_part(flag, value, self.kind)

    def _checked_part(self, flag: str, value: Any, kind: type) -> Any:
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind or value != value:
            raise BadInputError(f"{flag} {value!r} does not fit: give {_ALLOWED[self.kind]}")
        if kind is str:
            self._check_text(flag, value)
        if self.least is not None and value < self.least:
            raise BadInputError(f"{flag} {value}: must be at least {self.least}")
        if self.most is not None and value > self.most:
            raise BadInputError(f"{flag} {value}: must be at most {self.most}")
        return value

    def _check_text(self, flag: str, text: str) -> None:
        if not text.strip() or not _is_unicode(text):
            raise BadInputError(f"{flag} {text!r} does not fit: give a text of valid characters, or leave it out")
        if self.choices and text not in self.choices:
            hint = nearest(text, self.choices)
            raise BadInputError(f"{flag} {text!r}: allowed are {', '.join(self.choices)}{hint}")


def option(help_text: str, default: Any, kind: type = str, group: str = "", **more: Any) -> Any:
    """A field of a config with its option; see Option for what `more` can say."""
    return dataclasses.field(default=default, metadata={"option": Option(help_text, kind, group, **more)})


def option_of(config_class: type, name: str, **changes: Any) -> Any:
    """The field of another config with its default and option; `changes` replace what Option says, or the `default`."""
    field = config_class.__dataclass_fields__[name]  # pyright: ignore[reportAttributeAccessIssue]
    default = changes.pop("default", field.default)
    return dataclasses.field(
        default=default, metadata={"option": dataclasses.replace(field.metadata["option"], **changes)}
    )


@dataclass(frozen=True)
class Settings:
    """The settings of a command, each a field made by `option`, checked when they are made; configs inherit it."""

    def __post_init__(self) -> None:
        """Check every value of the config.

        Raises:
            BadInputError: a value is not allowed; names its flag.
        """
        for name, one in options(type(self)).items():
            object.__setattr__(self, name, one.checked(flag_of(name), getattr(self, name)))


def options(config_class: type) -> dict[str, Option]:
    """Field name -> option of a config, in the order of the fields."""
    return {field.name: field.metadata["option"] for field in dataclasses.fields(config_class)}


def flag_of(name: str) -> str:
    """The flag of a field: `batch_size` -> `--batch-size`."""
    return f"--{name.replace('_', '-')}"


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint at the known word that looks most like this one, as `; did you mean X?`; empty where none does."""
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
