"""The flags of the evaluation, made from the fields of its config. No heavy imports: --help answers at once."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from evaluation.settings.config import EvalConfig, from_mapping, read_toml
from evaluation.settings.config_checks import check_paths
from evaluation.settings.option import Option, flag_of, nearest, options
from evaluation.settings.refused_flags import REFUSED
from taxonomy.errors import BadInputError

_EXAMPLES = """\
examples:
  taxaflow eval --resume demo_output/runs/demo --shards demo_output/shards/demo/manifest.json
  taxaflow eval --baseline bioclip openai --fungi --arbor-rare --images-root photos --protocol paper
  taxaflow eval --resume weights.bin --model ViT-B-16 --activation both --benchmarks all --benchmarks-root csvs
  taxaflow eval --batch-size=32 --workers=8 --imagenet-val VAL --model=resnet50 --resume FILE.pt --report-to wandb
  torchrun --nproc-per-node 8 -m evaluation --baseline openai --birds birds --ds-filter birds

taxaflow report RESULTS makes one page of the results."""


def load(arguments: Sequence[str]) -> EvalConfig:
    """The config of the command line: its flags over --config over the defaults. --help prints and exits.

    Raises:
        BadInputError: a flag, a key of the file or a value is not allowed, or a file named is not there.
    """
    given = parse(arguments)
    file = given.pop("config", None)
    values = read_toml(Path(file)) if file is not None else {}
    config = from_mapping(values | given, f"--config {file}")
    check_paths(config)
    return config


def parse(arguments: Sequence[str]) -> dict[str, Any]:
    """Field -> value of the flags that were given, and of no others. --help prints and exits.

    Raises:
        BadInputError: a flag is unknown (names the nearest) or refused, or its value is of another kind.
    """
    found, unknown = _parser().parse_known_args(list(arguments))
    if unknown:
        _refuse(unknown)
    return {name: tuple(value) if isinstance(value, list) else value for name, value in vars(found).items()}


def _refuse(unknown: Sequence[str]) -> NoReturn:
    flag = next((word.split("=")[0] for word in unknown if word.startswith("-")), None)
    if flag is None:
        raise BadInputError(f"unexpected {unknown[0]!r}: every value follows a flag; --help shows them")
    if flag in REFUSED:
        raise BadInputError(f"{flag} is not supported: {REFUSED[flag]}")
    known = [name for field, one in options(EvalConfig).items() for name in (flag_of(field), *one.also)]
    raise BadInputError(f"unknown flag {flag}{nearest(flag, [*known, '--config']) or '; --help shows all'}")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInputError(message.removeprefix("argument "))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="taxaflow eval",
        usage="taxaflow eval [--model NAME] [--resume CKPT] [--baseline NAME ...] BENCHMARK FLAGS [FLAG ...]",
        description="Zero-shot accuracies of CLIP models on biodiversity benchmarks, with intervals.",
        epilog=_EXAMPLES,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=30, width=118),
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--config", metavar="FILE", help="TOML with these settings, _ for -; flags win over it.")
    groups: dict[str, Any] = {}
    for name, one in options(EvalConfig).items():
        group = groups.setdefault(one.group, None) or parser.add_argument_group(one.group)
        groups[one.group] = group
        default = EvalConfig.__dataclass_fields__[name].default
        group.add_argument(flag_of(name), *one.also, dest=name, **_argument(one, default))
    return parser


def _argument(one: Option, default: Any) -> dict[str, Any]:
    """What argparse wants to know of an option; its choices are checked by the config, for TOML too."""
    settings: dict[str, Any] = {"help": _help(one, default)}
    if one.kind is bool:
        return settings | {"action": argparse.BooleanOptionalAction if one.can_be_negated else "store_true"}
    stands = one.metavar or ("|".join(one.choices) if one.choices else {int: "N"}.get(one.kind, "TEXT"))
    settings |= {"metavar": stands, "type": _whole if one.kind is int else str}
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
