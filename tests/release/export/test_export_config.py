"""Flags of an export that are refused when the config is made, before torch is imported; and what stands for one."""

import pytest

from evaluation.protocols import DEFAULT
from release.export.config import ExportConfig
from taxonomy.errors import BadInputError


def test_a_name_alone_has_no_weights() -> None:
    with pytest.raises(BadInputError, match=r"the weights of ViT-B-32 are random; add --resume CKPT"):
        ExportConfig(model="ViT-B-32", out="out")


@pytest.mark.parametrize(
    ("model", "pretrained"), [("ViT-B-32", "openai"), ("local-dir:folder", None), ("hf-hub:org/model", None)]
)
def test_tags_folders_and_hubs_have(model: str, pretrained: str | None) -> None:
    config = ExportConfig(model=model, pretrained=pretrained, out="out")
    assert (config.format, config.prompt_set) == (("folder",), DEFAULT.prompt_set)


@pytest.mark.parametrize("name", ["org/model", "Org-1/bt.clip_b"])
def test_names_of_repositories(name: str) -> None:
    assert ExportConfig(model="hf-hub:a/b", out="out", push=name).push == name


@pytest.mark.parametrize(
    "name", ["model", "org/", "/model", "a/b/c", "org/mo del", "org/../x", "org/-x", "org/a--b", "é/b"]
)
def test_what_is_no_repository(name: str) -> None:
    with pytest.raises(BadInputError, match=r"^--push .*: give ORG/NAME"):
        ExportConfig(model="hf-hub:a/b", out="out", push=name)
