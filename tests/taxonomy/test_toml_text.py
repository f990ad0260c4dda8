"""TOML written here is read back by tomllib as the same values."""

import random
import tomllib

import pytest

from taxonomy.toml_text import to_toml

TEXTS = [
    *("", " ", "plain", "a'b", 'a"b', '"""', "\\", "C:\\new\\tab", "ends in \\", "\t\r\n\b\f", "\x00\x1f\x7f\x80\x85"),
    *("línea", "日本", "🦋", "\u2028", "#no comment", "[x]", "a = 1", "{", "=", "\ufeff", "\U0010ffff"),
]
VALUES = [
    *TEXTS,
    *(True, False, 0, 1, -7, 10**15, 2**63 - 1, -(2**63)),
    *(0.0, -0.0, 1.0, 5e-4, 1e-6, 1e16, 1e300, 5e-324, 0.1 + 0.2, -2.5, float("inf")),
    *([], [1, 2], ["a", "b\n"], [[1.5], []], {}, {"a": 1, "b": {"c d": [True], "": "x", 'q"': {}}}),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_each_value_comes_back_in_its_type(value):
    read = tomllib.loads(to_toml({"key": value}))["key"]
    assert repr(read) == repr(value)  # tells 1 from 1.0 and True, 0.0 from -0.0


@pytest.mark.parametrize("key", TEXTS, ids=repr)
def test_each_text_is_possible_as_a_key(key):
    assert tomllib.loads(to_toml({key: 1, "a" + key: {key: 2}})) == {key: 1, "a" + key: {key: 2}}


def test_random_texts_come_back():
    generator = random.Random(0)
    alphabet = [chr(code) for code in range(0x100)] + list("\\\\\"\"''\u2028\ufffe🐛")
    texts = ["".join(generator.choices(alphabet, k=generator.randrange(20))) for _ in range(500)]
    assert tomllib.loads(to_toml({"key": texts}))["key"] == texts


def test_one_line_per_key_in_order_none_left_out_tuples_as_lists():
    assert to_toml({"b": (1, "x\ny"), "a": None, "c": {"d": None, "e": 2}}) == 'b = [1, "x\\ny"]\nc = {e = 2}\n'
