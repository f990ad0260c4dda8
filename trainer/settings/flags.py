"""All flags of the trainer in one table, the parser made from it, and docs/flags.md, which this module prints.

Nothing heavy is imported: --help answers at once.
"""

import argparse
import ast
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from taxonomy.errors import BadInputError
from trainer.settings.flag import Flag, Status
from trainer.settings.own_flags import OWN
from trainer.settings.published_flags import PUBLISHED

FLAGS: tuple[Flag, ...] = (*PUBLISHED, *OWN)
ACCEPTED: Mapping[str, Flag] = {flag.name: flag for flag in FLAGS if flag.status is not Status.REFUSED}
"""Field of the config -> its flag."""
REFUSED: Mapping[str, Flag] = {flag.name: flag for flag in FLAGS if flag.status is Status.REFUSED}

_GROUPS = ("Recipe", *dict.fromkeys(flag.group for flag in PUBLISHED if flag.status is not Status.REFUSED))

_EXAMPLES = """\
The --no- form of a switch puts out what a recipe switches on.

examples:
  taxaflow train --recipe tiny --train-data demo_output/shards/demo/manifest.json
  taxaflow train --recipe bt-clip-o --train-data 'shards/{000000..000159}.tar' --name first
  torchrun --nproc-per-node 8 -m trainer --recipe bt-clip-o --train-data manifest.json --loss multi_positive
  taxaflow train --recipe logs/first/config.toml --name first --resume latest

docs/flags.md lists all flags, and what differs from the published trainer's."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint at the known word that looks most like this one, as `; did you mean X?`; empty where none does."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def refusal(flag: Flag) -> BadInputError:
    """The error that answers a refused flag."""
    return BadInputError(f"{flag.names[0]} is not supported: {flag.note}")


def parse(arguments: Sequence[str]) -> dict[str, Any]:
    """Field -> value of the flags that were given, and of no others. --help prints and exits.

    Raises:
        BadInputError: a flag is unknown (names the nearest), refused, or its value is of another type.
    """
    found, unknown = _parser().parse_known_args(arguments)
    if unknown:
        _refuse_unknown(unknown)
    given = vars(found)
    for name in given:
        if name in REFUSED:
            raise refusal(REFUSED[name])
    return {name: dict(value) if ACCEPTED[name].type is dict else value for name, value in given.items()}


def _refuse_unknown(unknown: Sequence[str]) -> NoReturn:
    word = next((word for word in unknown if word.startswith("-")), None)
    if word is None:
        raise BadInputError(f"unexpected {unknown[0]!r}: every value follows a flag; --help shows them")
    known = [name for flag in FLAGS for name in flag.names]
    known += [f"--no-{name[2:]}" for flag in FLAGS if _has_negation(flag) for name in flag.names]
    raise BadInputError(
        f"unknown flag {word.split('=')[0]}{nearest(word.split('=')[0], known) or '; --help shows all'}"
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInputError(message.removeprefix("argument "))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="taxaflow train",
        usage="taxaflow train [--recipe NAME] --train-data PATH [FLAG ...]",
        description="Train a CLIP model on pairs of pictures and taxon captions.",
        epilog=_EXAMPLES,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=34, width=118),
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    groups = {group: parser.add_argument_group(group) for group in _GROUPS}
    for flag in FLAGS:
        (parser if flag.status is Status.REFUSED else groups[flag.group]).add_argument(*flag.names, **_argument(flag))
    return parser


def _argument(flag: Flag) -> dict[str, Any]:
    """What argparse wants to know of a flag."""
    hidden = flag.status is Status.REFUSED
    settings: dict[str, Any] = {"dest": flag.name, "help": argparse.SUPPRESS if hidden else _help(flag)}
    if flag.type is bool:
        return settings | {"action": argparse.BooleanOptionalAction if _has_negation(flag) else "store_true"}
    metavar = "|".join(flag.choices) if 0 < len(flag.choices) <= 3 else _METAVARS[flag.type]
    return settings | {"type": _READERS[flag.type], "nargs": flag.nargs, "metavar": metavar}


def _has_negation(flag: Flag) -> bool:
    return flag.type is bool and flag.can_be_negated


def _help(flag: Flag) -> str:
    shown = "" if flag.type in (bool, dict) or flag.default in (None, "") else f" [default: {_text(flag.default)}]"
    return (flag.help + shown).replace("%", "%%")


def _int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} does not fit: give a whole number") from None


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} does not fit: give a number") from None


def _pair(text: str) -> tuple[str, Any]:
    """The key and value of key=value; a value that Python does not read as a literal is a text, as published."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise argparse.ArgumentTypeError(f"{text!r} does not fit: give key=value")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


_READERS = {int: _int, float: _float, str: str, dict: _pair}
_METAVARS = {int: "N", float: "X", str: "TEXT", dict: "KEY=VALUE"}


def _text(value: Any) -> str:
    """A default as one would type it."""
    if value is None or value == "" or value == {}:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return repr(value)[1:-1] if isinstance(value, str) else str(value)


def to_markdown() -> str:
    """The content of docs/flags.md."""
    kept = [flag for flag in PUBLISHED if flag.status is not Status.REFUSED]
    refused = [flag for flag in PUBLISHED if flag.status is Status.REFUSED]
    return "\n".join(
        (
            "# Flags of the trainer",
            "",
            "Made by `python -m trainer.settings.flags > docs/flags.md`.",
            "Keys of a recipe are the same names with `_` for `-`.",
            "Most switches have a `--no-` form. The command line wins over the recipe, the recipe over the defaults.",
            "",
            f"## Published flags that are accepted: {len(kept)}",
            "",
            "*changed* says that something differs; *no effect* that the flag does nothing.",
            "",
            *_table(("flag", "type", "default", "published default", "status", "what it does", "what differs, and why"),
                    (_published_row(flag) for flag in kept)),
            "",
            f"## Published flags that are refused: {len(refused)}",
            "",
            *_table(("flag", "why, and what to use instead"), ((_names(flag), flag.note) for flag in refused)),
            "",
            f"## Flags of our own: {len(OWN)}",
            "",
            *_table(("flag", "type", "default", "what it does"), (_row(flag) for flag in OWN)),
        )
    )  # fmt: skip


def _row(flag: Flag) -> tuple[str, ...]:
    return _names(flag), _type(flag), _text(flag.default), flag.help


def _published_row(flag: Flag) -> tuple[str, ...]:
    differing = _text(flag.published) if flag.published != flag.default else "same"
    names, kind, default, help_text = _row(flag)
    return names, kind, default, differing, flag.status.value, help_text, flag.note


def _names(flag: Flag) -> str:
    return ", ".join(f"`{name}`" for name in flag.names)


def _type(flag: Flag) -> str:
    if flag.choices:
        return ", ".join(flag.choices)
    many = {"+": ", one or more", "*": ", any number"}.get(flag.nargs or "", "")
    return {bool: "switch", str: "text", int: "whole number", float: "number", dict: "key=value"}[flag.type] + many


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


if __name__ == "__main__":
    print(to_markdown())
