"""Flags made from the fields of a config: one parser for every command about models. No heavy imports."""

import argparse
import textwrap
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from evaluation.settings.option import Option, flag_of, nearest, options
from taxonomy.errors import BadInputError

Config = TypeVar("Config")

_WIDTH = 118
"""Columns of --help."""

_STANDS_FOR = {int: "N", float: "X"}


@dataclass(frozen=True)
class Command(Generic[Config]):
    """What a command's --help says, and the config that its flags fill.

    Attributes:
        name: "taxaflow eval".
        usage: one line behind the name.
        description: what it does, one sentence.
        epilog: examples, and what comes next.
        config_class: a dataclass whose fields are made by `option`, which checks itself when made.
        words: the field that takes what stands without a flag, and what stands for one of these in --help.
        refused: flag -> what to use instead.
    """

    name: str
    usage: str
    description: str
    epilog: str
    config_class: type[Config]
    words: tuple[str, str] | None = None
    refused: Mapping[str, str] = field(default_factory=dict)


def load(command: Command[Config], arguments: Sequence[str]) -> Config:
    """The config of the command line: its flags over --config over the defaults. --help prints and exits.

    Raises:
        BadInputError: a flag, a key of the file or a value is not allowed.
    """
    given = parse(command, arguments)
    file = given.pop("config", None)
    values = read_toml(Path(file)) if file is not None else {}
    return from_mapping(command.config_class, values | given, f"--config {file}")


def from_mapping(config_class: type[Config], values: Mapping[str, Any], where: str) -> Config:
    """The config of TOML values and flags; `where` begins the message of a wrong key.

    Raises:
        BadInputError: a key is unknown, or a value not allowed.
    """
    known = options(config_class)
    for key in values:
        if key not in known:
            hint = nearest(key, known) or "; keys are the flags of --help with _ for -"
            raise BadInputError(f"{where}: unknown key {key}{hint}")
    return config_class(**values)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        BadInputError: it is missing or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"--config {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInputError(f"--config {path}: not valid TOML: {error}") from error


def parse(command: Command[Any], arguments: Sequence[str]) -> dict[str, Any]:
    """Field -> value of the flags that were given, and of no others. --help prints and exits.

    Raises:
        BadInputError: a flag is unknown (names the nearest) or refused, or its value is of another kind.
    """
    found, unknown = _parser(command).parse_known_args(list(arguments))
    if unknown:
        _refuse(command, unknown)
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in vars(found).items()}
    if command.words is not None and not given.get(command.words[0], True):
        del given[command.words[0]]  # no words at all
    return given


def _refuse(command: Command[Any], unknown: Sequence[str]) -> NoReturn:
    flag = next((word.split("=")[0] for word in unknown if word.startswith("-")), None)
    if flag is None:
        raise BadInputError(f"unexpected {unknown[0]!r}: every value follows a flag; --help shows them")
    if flag in command.refused:
        raise BadInputError(f"{flag} is not supported: {command.refused[flag]}")
    known = [name for field_, one in options(command.config_class).items() for name in (flag_of(field_), *one.also)]
    raise BadInputError(f"unknown flag {flag}{nearest(flag, [*known, '--config']) or '; --help shows all'}")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInputError(message.removeprefix("argument "))


def _parser(command: Command[Any]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=command.name,
        usage=f"{command.name} {command.usage}",
        description=textwrap.fill(command.description, _WIDTH),
        epilog=command.epilog,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=30, width=_WIDTH),
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--config", metavar="FILE", help="TOML with these settings, _ for -; flags win over it.")
    groups: dict[str, Any] = {}
    words, stands = command.words or ("", "")
    for name, one in options(command.config_class).items():
        if name == words:
            parser.add_argument(words, nargs="*", metavar=stands, help=one.help.replace("%", "%%"))
            continue
        group = groups.setdefault(one.group, None) or parser.add_argument_group(one.group)
        groups[one.group] = group
        default = command.config_class.__dataclass_fields__[name].default  # pyright: ignore[reportAttributeAccessIssue]
        group.add_argument(flag_of(name), *one.also, dest=name, **_argument(one, default))
    return parser


def _argument(one: Option, default: Any) -> dict[str, Any]:
    """What argparse wants to know of an option; its choices are checked by the config, for TOML too."""
    settings: dict[str, Any] = {"help": _help(one, default)}
    if one.kind is bool:
        return settings | {"action": argparse.BooleanOptionalAction if one.can_be_negated else "store_true"}
    stands = one.metavar or ("|".join(one.choices) if one.choices else _STANDS_FOR.get(one.kind, "TEXT"))
    settings |= {"metavar": stands, "type": {int: _whole, float: _number}.get(one.kind, str)}
    if one.may_be_alone:
        return settings | {"nargs": "?", "const": True}
    return settings | ({"nargs": "+"} if one.kind is tuple else {})


def _help(one: Option, default: Any) -> str:
    shown = " ".join(default) if isinstance(default, tuple) else default
    says_it = one.kind is bool or one.may_be_alone or shown in (None, "")
    return (one.help if says_it else f"{one.help} [default: {shown}]").replace("%", "%%")


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} does not fit: give a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} does not fit: give a number") from None
