"""Which tokenizer a model gets, and that none runs code or is fetched unasked."""

import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from open_clip import CLIP, SimpleTokenizer
from safetensors.torch import save_file

from evaluation.model import ModelRequest, get_tokenizer, resolve
from evaluation.open_encoder import open_encoder
from taxonomy.errors import BadInputError, WorkFailedError
from tests.evaluation.small_models import SMALL, changed

pytestmark = pytest.mark.torch

CODE = {"trust_remote_code": True}
WORDS = changed(SMALL, text_cfg={"hf_tokenizer_name": "org/words"})


@pytest.fixture
def asked(monkeypatch) -> list[tuple[str, dict[str, Any]]]:
    """What transformers is asked for; the package stands in, and has nothing."""
    calls = []

    class AutoTokenizer:
        @staticmethod
        def from_pretrained(name, **settings):
            calls.append((str(name), settings))
            raise OSError("nothing here")

    module = ModuleType("transformers")
    module.__spec__ = ModuleSpec("transformers", None)
    module.AutoTokenizer = AutoTokenizer  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "transformers", module)
    return calls


def write_folder(folder: Path, config: dict[str, Any]) -> Path:
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config | {"quick_gelu": False}}))
    save_file(CLIP(**SMALL).state_dict(), folder / "open_clip_model.safetensors")
    return folder


def write_file(file: Path, **facts: Any) -> Path:
    stored = resolve(ModelRequest("small", model_config=SMALL)).to_dict() | facts
    torch.save({"state_dict": CLIP(**SMALL).state_dict(), "model_facts": stored}, file)
    return file


@pytest.mark.parametrize("config", [changed(WORDS, text_cfg={"tokenizer_kwargs": CODE}), WORDS | {"x": CODE}])
def test_a_model_that_wants_to_run_code_is_refused_before_anything_is_asked_for(config, asked, tmp_path):
    places = [
        f"local-dir:{write_folder(tmp_path / 'folder', config)}",
        str(write_file(tmp_path / "w.pt", model_config=config)),
    ]
    for place in places:
        with pytest.raises(BadInputError, match="trust_remote_code, which is refused"):
            open_encoder(ModelRequest(place), torch.device("cpu"))
    assert asked == []


def test_code_is_never_allowed_where_transformers_is_asked(asked, tmp_path):
    folder = write_folder(tmp_path / "folder", WORDS)
    with pytest.raises(WorkFailedError, match="org/words could not be loaded: nothing here"):
        open_encoder(ModelRequest(f"local-dir:{folder}"), torch.device("cpu"))
    ((name, settings),) = asked
    assert name == "org/words" and settings["trust_remote_code"] is False


def test_a_place_that_a_file_names_is_not_opened(asked, tmp_path):
    """The folder is there, and its own config allows code."""
    elsewhere = write_folder(tmp_path / "elsewhere", changed(WORDS, text_cfg={"tokenizer_kwargs": CODE}))
    (elsewhere / "tokenizer_config.json").write_text("{}")
    for config, expected in ((SMALL, []), (WORDS, ["org/words"])):
        file = write_file(tmp_path / "w.pt", name=f"local-dir:{elsewhere}", model_config=config)
        facts = resolve(ModelRequest(str(file)))
        if config is WORDS:
            with pytest.raises(WorkFailedError):
                get_tokenizer(facts)
        else:
            assert isinstance(get_tokenizer(facts), SimpleTokenizer)
        assert [name for name, _ in asked] == expected


def test_a_folder_that_is_asked_for_brings_its_tokenizer(asked, tmp_path):
    folder = write_folder(tmp_path / "folder", WORDS)
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(WorkFailedError):
        open_encoder(ModelRequest(f"local-dir:{folder}"), torch.device("cpu"))
    assert [name for name, _ in asked] == [str(folder)]


def test_the_name_of_a_model_does_not_choose_its_tokenizer(asked):
    assert isinstance(get_tokenizer(resolve(ModelRequest("my-siglip", model_config=SMALL))), SimpleTokenizer)
    assert asked == []


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(BadInputError, match="org/words needs a package: pip install transformers"):
        get_tokenizer(resolve(ModelRequest("own", model_config=WORDS)))


def test_settings_of_clips_tokenizer_reach_it():
    def with_settings(**settings: Any) -> Any:
        config = changed(SMALL, text_cfg={"tokenizer_kwargs": settings})
        return get_tokenizer(resolve(ModelRequest("own", model_config=config)))

    plain = with_settings()
    assert torch.equal(with_settings(clean="canonicalize")(["Turdus merula!"]), plain(["Turdus merula"]))
    assert with_settings(additional_special_tokens=["<mask>"])(["<mask>"])[0, 1] == plain.vocab_size
