"""Protocols: what each of them fixes, and what it leaves to the model."""

import pytest

from evaluation.encoding.prompts import PROMPT_SETS
from evaluation.protocols import BIOCLIP, DEFAULT, PAPER, PROTOCOLS, find_protocol
from taxonomy.errors import BadInputError

OPENAI_PIXELS = {
    "image_mean": (0.48145466, 0.4578275, 0.40821073),
    "image_std": (0.26862954, 0.26130258, 0.27577711),
}


def test_the_papers_protocol_is_that_of_its_published_code():
    assert (PAPER.prompt_set, PAPER.logit_scale) == ("openai80", 100.0)
    assert PAPER.preprocess == {"interpolation": "bilinear", "resize_mode": "shortest", **OPENAI_PIXELS}


def test_bioclips_protocol_is_that_of_its_published_code():
    assert (BIOCLIP.prompt_set, BIOCLIP.logit_scale) == ("taxon_com_bioclip", None)
    assert BIOCLIP.preprocess == {"interpolation": "bicubic", "resize_mode": "shortest", **OPENAI_PIXELS}


def test_the_default_leaves_everything_but_the_prompts_to_the_model():
    assert (DEFAULT.prompt_set, DEFAULT.logit_scale, DEFAULT.preprocess) == ("openai81", None, {})


def test_every_protocol_goes_by_its_name_and_has_prompts_that_exist():
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert find_protocol(name) is protocol
        assert protocol.prompt_set in PROMPT_SETS
        assert "\n" not in protocol.doc


def test_an_unknown_protocol_is_refused_naming_those_that_exist():
    with pytest.raises(BadInputError, match="--protocol 'papr': allowed are default, paper, bioclip"):
        find_protocol("papr")
