"""Stored facts of a model: other types are refused, texts stay on one line, any JSON is read or refused."""

import json

import pytest

from evaluation.loading.facts import ModelFacts, facts_of_checkpoint, stored_facts
from taxonomy.errors import BadInputError
from tests.evaluation.small_models import SMALL

FACTS = ModelFacts("small", None, "gelu", "", (0.5,) * 3, (0.5,) * 3, "bicubic", 16, 77, 16, model_config=SMALL)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": 5}, "name 5: a text"),
        ({"pretrained": ["x"]}, r"pretrained \['x'\]: a text or nothing"),
        ({"activation": ["gelu"]}, "one of gelu, quickgelu"),
        ({"activation_source": None}, "activation_source None: a text"),
        ({"image_mean": ["a", "b", "c"]}, r"image_mean \['a', 'b', 'c'\]: three numbers"),
        ({"image_mean": 0.5}, "image_mean 0.5: three numbers"),
        ({"image_mean": "abc"}, "image_mean 'abc': three numbers"),
        ({"image_mean": {"a": 1, "b": 2, "c": 3}}, "image_mean .*: three numbers"),
        ({"image_std": [1, 1, float("nan")]}, "image_std .*: three numbers"),
        ({"image_std": [0.5, 0.5, 0]}, "image_std .*: only numbers above 0"),
        ({"image_size": "16"}, "image_size '16': a whole number"),
        ({"image_size": True}, "image_size True: a whole number"),
        ({"interpolation": ["bicubic"]}, "bicubic or bilinear"),
        ({"resize_mode": {}}, "shortest, squash or longest"),
        ({"context_length": None}, "context_length None: a whole number"),
        ({"embed_dim": 1.5}, "embed_dim 1.5: a whole number"),
        ({"model_config": "x"}, "model_config 'x': a dictionary"),
    ],
)
def test_facts_of_another_type_are_refused_by_name(change, named, tmp_path):
    stored = {"model_facts": FACTS.to_dict() | change}
    with pytest.raises(BadInputError, match=f"^w.pt: .*{named}"):
        stored_facts(stored, "w.pt")
    (tmp_path / "state.json").write_text(json.dumps(stored))
    with pytest.raises(BadInputError, match=r"state\.json: "):
        facts_of_checkpoint(tmp_path)


def test_stored_texts_are_on_one_line_that_a_terminal_only_shows():
    stored = FACTS.to_dict() | {"name": "a\x1b[2J\nb", "pretrained": "c\rd", "activation_source": "e\u202ef"}
    facts = ModelFacts.from_dict(stored)
    assert (facts.name, facts.pretrained, facts.activation_source) == ("a [2J b", "c d", "e f")


def test_json_of_any_depth_is_read_or_refused(tmp_path):
    (tmp_path / "state.json").write_text("[" * 100_000)
    with pytest.raises(BadInputError, match="not readable as JSON"):
        facts_of_checkpoint(tmp_path)
