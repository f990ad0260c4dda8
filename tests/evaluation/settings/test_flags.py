"""The flags of the evaluation: what is understood, what is refused, and the help."""

import dataclasses
import re
import shlex

import pytest

from evaluation.settings.config import EvalConfig
from evaluation.settings.flags import parse
from evaluation.settings.option import flag_of, options
from evaluation.settings.refused_flags import REFUSED
from taxonomy.errors import BadInputError


def refusal(line):
    with pytest.raises(BadInputError) as refused:
        parse(shlex.split(line))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_only_what_was_given_is_returned():
    assert parse([]) == {}
    assert parse(shlex.split("--fungi --taxon genus family --no-cache --seed 3 --config x.toml")) == {
        **{"fungi": True, "taxon": ("genus", "family"), "cache": False, "seed": 3, "config": "x.toml"}
    }


def test_a_benchmark_flag_alone_does_not_take_the_next_flag_for_its_csv():
    assert parse(shlex.split("--fungi --insects2 a.csv --deepweeds")) == {
        **{"fungi": True, "insects2": "a.csv", "deepweeds": True}
    }


def test_logs_means_out():
    assert parse(["--logs", "x"]) == parse(["--out", "x"]) == {"out": "x"}


def test_every_setting_has_a_flag_and_stands_in_the_help(capsys):
    with pytest.raises(SystemExit) as ended:
        parse(["--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    for name, one in options(EvalConfig).items():
        assert re.search(rf"^  {flag_of(name)}\b", shown, re.MULTILINE), name
        assert one.help.endswith("."), name
    assert len(options(EvalConfig)) == len(dataclasses.fields(EvalConfig))
    assert max(map(len, shown.splitlines())) <= 120


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--fungy", "unknown flag --fungy; did you mean --fungi?"),
        ("--wholly-else=3", "unknown flag --wholly-else; --help shows all"),
        ("--arbor", "unknown flag --arbor"),  # no abbreviations
        ("stray", "unexpected 'stray': every value follows a flag"),
        ("--batch-size many", "--batch-size: 'many' does not fit: give a whole number"),
        ("--batch-size", "--batch-size: expected one argument"),
        ("--taxon", "--taxon: expected at least one argument"),
        ("--inat2021 DIR", "--inat2021 is not supported: .*--folder DIR"),
        ("--imagenet_c=DIR", "--imagenet_c is not supported: "),
        ("--objectnet DIR", "--objectnet is not supported: "),
        ("--train-data x", "--train-data is not supported: .*taxaflow train"),
        ("--force-quick-gelu", "--force-quick-gelu is not supported: say --activation quickgelu"),
    ],
)
def test_flags_that_are_not_understood_are_refused_in_one_line(line, expected):
    assert re.match(expected.replace("?", r"\?"), refusal(line)), refusal(line)


def test_no_flag_is_both_refused_and_accepted():
    accepted = {name for field, one in options(EvalConfig).items() for name in (flag_of(field), *one.also)}
    assert not accepted & set(REFUSED)
    for flag in REFUSED:
        assert refusal(flag).startswith(f"{flag} is not supported: ")
