"""Configs of models: all that open_clip has and takes; permission to run code and the rest are refused."""

import json
from typing import Any

import pytest
from open_clip import list_models
from open_clip.factory import get_model_config

from evaluation.loading.model_config import check_model_config
from taxonomy.errors import BadInputError
from tests.evaluation.small_models import SMALL, changed

pytestmark = pytest.mark.torch


def deep(levels: int) -> dict[str, Any]:
    return {"inner": deep(levels - 1)} if levels else {}


def text(**settings: Any) -> dict[str, Any]:
    return changed(SMALL, text_cfg=settings)


def vision(**settings: Any) -> dict[str, Any]:
    return changed(SMALL, vision_cfg=settings)


def tokenizer(**settings: Any) -> dict[str, Any]:
    return text(tokenizer_kwargs=settings)


def test_every_model_of_open_clip_is_allowed():
    assert len(list_models()) > 100
    for name in list_models():
        check_model_config(get_model_config(name), name)


@pytest.mark.parametrize(
    "config",
    [
        SMALL | {"init_logit_bias": -10, "init_logit_scale": 2.5, "custom_text": True, "quick_gelu": False},
        tokenizer(clean="canonicalize", additional_special_tokens=["<|mask|>"], reduction_mask="simple"),
        text(hf_tokenizer_name="org/words", tokenizer_kwargs={"strip_sep_token": True, "language": "eng_Latn"}),
        text(hf_tokenizer_name="words", tokenizer_mode="clips", tokenizer_kwargs=None),
        text(act_kwargs={"approximate": "tanh"}, norm_kwargs={"eps": 1e-6}, pad_id=0, ls_init_value=None),
        vision(mlp_ratio=4, image_size=[16, 16]),
    ],
)
def test_what_open_clip_takes_is_allowed(config):
    check_model_config(config, "here")
    check_model_config(json.loads(json.dumps(config)), "here")


@pytest.mark.parametrize("value", [True, False, None, "yes"])
@pytest.mark.parametrize(
    "place",
    [
        lambda code: SMALL | code,
        lambda code: changed(SMALL, text_cfg=code),
        lambda code: tokenizer(**code),
        lambda code: text(hf_tokenizer_name="org/words", tokenizer_kwargs=code),
        lambda code: vision(act_kwargs={"a": [1, {"b": code}]}),
    ],
)
def test_permission_to_run_code_is_refused_wherever_it_is(place, value):
    with pytest.raises(BadInputError, match=r"^here: its config has trust_remote_code, which is refused"):
        check_model_config(place({"trust_remote_code": value}), "here")


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (5, "model_cfg 5: a dictionary"),
        ({"embed_dim": 3}, "lacks vision_cfg, text_cfg"),
        (SMALL | {"vision_cfg": 5}, "vision_cfg 5: a dictionary"),
        (SMALL | {"text_cfg": [1]}, r"text_cfg \[1\]: a dictionary"),
        (SMALL | {"embed_dim": -1}, "embed_dim -1: a whole number from 1"),
        (SMALL | {"embed_dim": 10**12}, "embed_dim 1000000000000: a whole number from 1"),
        (SMALL | {"embed_dim": "16"}, "embed_dim '16'"),
        (SMALL | {"embed_dim": True}, "embed_dim True"),
        (SMALL | {"quick_gelu": "no"}, "quick_gelu 'no': true or false"),
        (SMALL | {"quick_gelu": 0}, "quick_gelu 0: true or false"),
        (SMALL | {"init_logit_bias": "a"}, "init_logit_bias 'a': a finite number"),
        (SMALL | {"init_logit_scale": float("nan")}, "init_logit_scale nan"),
        (SMALL | {1: 2}, "setting 1: words"),
        (SMALL | {"a\x1b[2J": 2}, r"setting 'a\\x1b\[2J'"),
        (SMALL | {"x": {1, 2}}, r"holds \{1, 2\}"),
        (SMALL | deep(20), "nested too deeply"),
        (vision(layers=10**6), "vision_cfg.layers 1000000: a whole number from 1 to 1000"),
        (vision(layers=[3, "a"]), "vision_cfg.layers"),
        (vision(width=None), "vision_cfg.width None"),
        (vision(patch_size=8.5), "vision_cfg.patch_size 8.5"),
        (vision(mlp_ratio="4"), "vision_cfg.mlp_ratio '4': a finite number"),
        (vision(timm_model_name="hf-hub:org/model"), "timm_model_name 'hf-hub:org/model': a name of timm"),
        (text(hf_tokenizer_name="/home/x"), "hf_tokenizer_name '/home/x': a name on the hub"),
        (text(hf_tokenizer_name="../x"), "hf_tokenizer_name"),
        (text(hf_model_name="./x"), "hf_model_name './x': a name on the hub"),
        (text(hf_model_name="a/b/c"), "hf_model_name"),
        (text(tokenizer_mode="x"), "tokenizer_mode 'x': clips"),
        (text(tokenizer_kwargs=[1]), "tokenizer_kwargs"),
        (tokenizer(bpe_path="/etc/passwd"), "tokenizer_kwargs has 'bpe_path', which is refused; allowed are clean, "),
        (tokenizer(context_length=7), "has 'context_length'"),
        (tokenizer(clean="x"), "tokenizer_kwargs.clean 'x': canonicalize, lower or whitespace"),
        (tokenizer(reduction_mask=1), "reduction_mask 1"),
        (tokenizer(additional_special_tokens=["("]), r"additional_special_tokens \['\('\]: a list of words"),
        (text(hf_tokenizer_name="a/b", tokenizer_kwargs={"tokenizer_file": "x"}), "has 'tokenizer_file'"),
        (text(hf_tokenizer_name="a/b", tokenizer_kwargs={"strip_sep_token": 1}), "strip_sep_token 1: true or false"),
    ],
)
def test_other_configs_are_refused_by_name(config, named):
    with pytest.raises(BadInputError, match=f"^here: .*{named}") as caught:
        check_model_config(config, "here")
    assert str(caught.value).isprintable()
