"""Which models an evaluation is of."""

from pathlib import Path

import pytest

from evaluation.settings.baselines import BASELINES, ModelChoice, brings_weights, choose
from taxonomy.errors import BadInputError


def asked(choice: ModelChoice) -> tuple[str, str | None]:
    return choice.model, choice.pretrained


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run of the trainer with three checkpoints, and one that was not finished."""
    for name in ("step_000009", "step_1000000", "step_000100", ".step_000200.tmp"):
        folder = tmp_path / "first" / "checkpoints" / name
        folder.mkdir(parents=True)
        (folder / "state.json").touch()
        (folder / "model.safetensors").touch()
    return tmp_path / "first"


def test_the_baselines_are_those_of_the_paper():
    assert {name: asked(choice) for name, choice in BASELINES.items()} == {
        "bioclip": ("hf-hub:imageomics/bioclip", None),
        "openai": ("ViT-B-16", "openai"),
        "metaclip": ("ViT-L-14-quickgelu", "metaclip_fullcc"),
    }


def test_ones_own_model_comes_first_and_a_baseline_only_once():
    chosen = choose("ViT-B-32", "openai", None, ("openai", "bioclip", "openai"))
    assert chosen == [
        ModelChoice("ViT-B-32", "openai", "ViT-B-32 openai"),
        BASELINES["openai"],
        BASELINES["bioclip"],
    ]
    assert choose(None, None, None, ("metaclip",)) == [BASELINES["metaclip"]]


def test_the_published_name_of_rn50_is_understood(tmp_path):
    weights = tmp_path / "file.pt"
    weights.touch()
    assert [asked(one) for one in choose("resnet50", None, str(weights))] == [("RN50", str(weights))]


def test_of_a_run_its_newest_checkpoint_is_meant(run_folder):
    (chosen,) = choose(None, None, str(run_folder))
    assert asked(chosen) == (str(run_folder / "checkpoints" / "step_1000000"), None)
    assert chosen.label == "first step_1000000"


def test_a_checkpoint_brings_its_model_and_its_label_names_no_folder_of_the_machine(run_folder):
    step = run_folder / "checkpoints" / "step_000009"
    for given in (step, step / "model.safetensors"):
        (chosen,) = choose(None, None, str(given))
        assert asked(chosen) == (str(given), None)
        assert chosen.label == "first step_000009"
        assert brings_weights(chosen)
    (named,) = choose("tiny", None, str(step))
    assert asked(named) == ("tiny", str(step))


def test_folders_and_hub_models_bring_theirs_too():
    assert [asked(one) for one in choose(None, None, "hf-hub:org/x")] == [("hf-hub:org/x", None)]
    assert choose("local-dir:/data/models/mine", None, None)[0].label == "mine"
    assert all(map(brings_weights, choose("local-dir:/data/models/mine", None, None)))


def test_a_name_alone_has_random_weights():
    assert [brings_weights(one) for one in choose("ViT-B-16", None, None)] == [False]
    assert [brings_weights(one) for one in choose("ViT-B-16", "openai", None)] == [True]


@pytest.mark.parametrize(
    ("model", "pretrained", "resume", "expected"),
    [
        (None, None, None, "no model: give --model"),
        (None, "openai", None, "--pretrained openai: needs --model"),
        ("RN50", "openai", "{}/file.pt", "--pretrained openai and --resume .*file.pt both give the weights"),
        ("RN50", None, "{}/nowhere.pt", "--resume .*nowhere.pt: no such file or folder"),
        (None, None, "{}/file.bin", "--resume .*file.bin: add --model"),
    ],
)
def test_what_names_no_model_or_two_is_refused(tmp_path, model, pretrained, resume, expected):
    for name in ("file.pt", "file.bin"):
        (tmp_path / name).touch()
    with pytest.raises(BadInputError, match=f"^{expected}"):
        choose(model, pretrained, resume.format(tmp_path) if resume else None)
