"""Settings check every field when they are made, inherited ones too, and fields of others can be taken over."""

from dataclasses import dataclass, fields

import pytest

from evaluation.settings.option import Settings, option, option_of, options
from taxonomy.errors import BadInputError


@dataclass(frozen=True)
class Speed(Settings):
    batch_size: int = option("Pictures of a pass.", 64, int, "Speed", least=1)
    shares: tuple[str, ...] = option("Of each part.", ("1",), tuple, "Speed")


@dataclass(frozen=True)
class Place(Settings):
    out: str = option("The folder.", "out", str, "Output")


@dataclass(frozen=True)
class Both(Place, Speed):
    top_k: int | None = option("Answers.", None, int, "Answers", least=1)
    batch_size: int = option_of(Speed, "batch_size", help="Texts of a pass.", default=8)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"batch_size": 0}, "--batch-size 0: must be at least 1"),
        ({"out": " "}, "--out ' ' does not fit"),
        ({"top_k": "2"}, "--top-k '2' does not fit: give a whole number"),
    ],
)
def test_a_wrong_value_of_any_field_is_refused_with_its_flag(values, says):
    with pytest.raises(BadInputError, match=says):
        Both(**values)


def test_values_are_in_the_kind_of_their_option():
    assert Both(shares=["1", "2"]).shares == ("1", "2")


def test_a_field_taken_over_keeps_all_but_what_is_changed():
    taken, own = options(Both)["batch_size"], options(Speed)["batch_size"]
    assert (taken.help, taken.group, taken.least, taken.kind) == ("Texts of a pass.", own.group, own.least, own.kind)
    assert (Both().batch_size, Speed().batch_size, own.help) == (8, 64, "Pictures of a pass.")
    assert [field.name for field in fields(Both)] == ["batch_size", "shares", "out", "top_k"]
