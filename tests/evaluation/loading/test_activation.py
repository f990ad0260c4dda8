"""Which activation a model has: the order of the sources, and which contradictions are refused."""

import itertools

import pytest

from evaluation.loading.activation import ACTIVATIONS, Evidence, decide
from taxonomy.errors import BadInputError

STORED = {
    "state": lambda quick: {"state": "quickgelu" if quick else "gelu", "state_source": "tag openai"},
    "config": lambda quick: {"has_config": True, "config_quick_gelu": quick},
    "tag": lambda quick: {"tag": "openai", "tag_quick_gelu": quick},
}


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", ["ViT-B-16", "ViT-B-16-quickgelu"])
def test_what_is_stored_with_the_weights_wins_over_the_name(kind, quick, name):
    decision = decide(Evidence(name=name, **STORED[kind](quick)))
    assert decision.activation == ("quickgelu" if quick else "gelu")
    assert decision.is_quick == quick
    assert kind in decision.source


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize(("flag", "quick"), itertools.product(ACTIVATIONS, [False, True]))
def test_a_flag_against_what_is_stored_needs_force(kind, flag, quick):
    evidence = Evidence(name="ViT-B-16", flag=flag, **STORED[kind](quick))
    if (flag == "quickgelu") == quick:
        assert decide(evidence).activation == flag
        return
    with pytest.raises(BadInputError, match="--force"):
        decide(evidence)
    forced = decide(evidence, force=True)
    assert forced.activation == flag
    assert any("forced" in remark for remark in forced.remarks)


def test_the_order_of_the_sources():
    everything = Evidence(
        name="ViT-B-16", state="quickgelu", has_config=True, config_quick_gelu=False, tag="t", tag_quick_gelu=False
    )
    assert decide(everything).activation == "quickgelu"
    assert decide(Evidence(name="x", has_config=True, config_quick_gelu=True, tag="t")).activation == "quickgelu"


def test_a_config_without_the_key_is_gelu_and_says_so():
    decision = decide(Evidence(name="local-dir:x-quickgelu", has_config=True))
    assert decision.activation == "gelu"
    assert "no quick_gelu key" in decision.remarks[0]


@pytest.mark.parametrize("value", ["no", "false", 0, 1, [], {}])
def test_a_quick_gelu_that_is_neither_true_nor_false_is_refused(value):
    with pytest.raises(BadInputError, match=r"quick_gelu .* true or false is allowed"):
        decide(Evidence(name="local-dir:x", has_config=True, config_quick_gelu=value))


def test_openai_weights_under_the_plain_name_are_quickgelu_and_say_so():
    decision = decide(Evidence(name="ViT-B-16", tag="openai", tag_quick_gelu=True))
    assert decision.activation == "quickgelu"
    assert "openai" in decision.remarks[0] and "gelu for ViT-B-16" in decision.remarks[0]
    named = decide(Evidence(name="ViT-B-16-quickgelu", tag="openai", tag_quick_gelu=True, name_quick_gelu=True))
    assert named.activation == "quickgelu" and not named.remarks


def test_a_bare_file_needs_the_flag_unless_the_name_tells():
    with pytest.raises(BadInputError, match="--activation"):
        decide(Evidence(name="ViT-B-16", bare_file="w.pt"))
    assert decide(Evidence(name="ViT-B-16", bare_file="w.pt", flag="gelu")).activation == "gelu"
    assert decide(Evidence(name="ViT-B-16-quickgelu", bare_file="w.pt")).activation == "quickgelu"
    assert decide(Evidence(name="own", name_quick_gelu=False, bare_file="w.pt")).activation == "gelu"


def test_a_flag_may_contradict_the_name_alone():
    assert decide(Evidence(name="ViT-B-16-quickgelu", flag="gelu")).activation == "gelu"


def test_from_scratch_the_architecture_decides():
    assert decide(Evidence(name="ViT-B-16")).activation == "gelu"
    assert decide(Evidence(name="own", name_quick_gelu=True)).activation == "quickgelu"


def test_an_unknown_flag_names_the_allowed_ones():
    with pytest.raises(BadInputError, match="gelu, quickgelu"):
        decide(Evidence(name="ViT-B-16", flag="relu"))


def test_the_source_in_a_state_does_not_grow_with_every_checkpoint():
    source = "tag openai"
    for _ in range(3):
        source = decide(Evidence(name="x", state="quickgelu", state_source=source)).source
    assert source == "state.json of the checkpoint (tag openai)"
