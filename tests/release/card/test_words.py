"""Names and values in the card: hostile ones are shown and do nothing, folders stay out, YAML gives them back."""

import random

import pytest
import yaml
from markdown_it import MarkdownIt

from release.card.words import escaped, one_line, text_without_folders, to_yaml, value_text, without_folders
from tests.release.card.card_world import HOSTILE


def shown(text: str) -> str:
    """The text as a reader of the rendered Markdown sees it; nothing but text may be in it."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parseInline(text)
    children = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in children} <= {"text", "text_special"}, [child.type for child in children]
    return "".join(child.content for child in children)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_shown_and_does_nothing(name):
    assert shown(escaped(name)).strip() == one_line(name)


def test_any_text_is_shown_as_it_is():
    rng = random.Random(1)
    letters = "ab01 _*`~[]()<>&|!#+-.:@$\\\"'/\u00e9\u4e2d\U0001f426\n\t\x00\u202e"
    for _ in range(2000):
        name = "".join(rng.choices(letters, k=rng.randrange(1, 20)))
        text = escaped(name)
        assert "\n" not in text and "<" not in text and "://" not in text
        assert shown(text).strip() == one_line(name), name


def test_plain_names_stay_readable():
    for name in ("Turdus merula", "demo step_000226", "CC-BY-NC-4.0", "bt-clip-o", "0.8 (0.7 to 0.9)"):
        assert escaped(name) == name


def test_long_names_are_cut():
    assert len(one_line("x" * 10_000)) == 200 and one_line("x" * 200) == "x" * 200


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/home/someone/runs/demo/checkpoints/step_000226", "demo step_000226"),
        ("/home/someone/runs/demo/checkpoints/step_000226/model.safetensors", "demo step_000226"),
        ("runs/demo", "demo"),
        ("local-dir:/srv/models/released/", "released"),
        ("C:\\Users\\someone\\w.bin", "w.bin"),
        ("hf-hub:imageomics/bioclip", "hf-hub:imageomics/bioclip"),
        ("ViT-B/16", "ViT-B/16"),
        ("ViT-B-16", "ViT-B-16"),
        ("openai", "openai"),
    ],
)
def test_places_are_called_without_their_folders(place, name):
    assert without_folders(place) == name
    assert value_text(place) == name


def test_sentences_lose_their_folders():
    text = "state.json of the checkpoint (model local-dir:/srv/models/released)"
    assert text_without_folders(text) == "state.json of the checkpoint (model released)"
    assert text_without_folders("tag openai, 3/4 of it") == "tag openai, 3/4 of it"


@pytest.mark.parametrize("name", HOSTILE)
def test_yaml_gives_back_every_text(name):
    content = {"name": name, "list": [name, {"key": name}], "model-index": [{"results": [{"value": 0.5}]}]}
    read = yaml.safe_load(to_yaml(content))
    assert read == {"name": one_line(name), "list": [one_line(name), {"key": one_line(name)}]} | {
        "model-index": [{"results": [{"value": 0.5}]}]
    }


def test_yaml_gives_back_numbers_switches_and_empty_lists():
    content = {"a": 1, "b": 1e-5, "c": 0.806818, "d": True, "e": 0.0, "f": 1e16, "yes": "on", "g": [], "h": {}}
    read = yaml.safe_load(to_yaml(content | {"gone": None}))
    assert read == content and type(read["b"]) is float and type(read["e"]) is float


def test_yaml_is_the_same_to_a_reader_of_any_version():
    for text in ("on", "0o17", "017", "1_000", "1:30", "2020-01-01", "null", "~", ".nan", "0x1F", "=", "<<"):
        assert to_yaml({"a": text}) == f'a: "{text}"\n'
