"""The card of a run that was trained, evaluated and exported by the commands."""

import json
from pathlib import Path

import pytest
import yaml

from evaluation.cli import main as eval_main
from release.card.card_facts import CardFacts, read_facts
from release.export.cli import main as export_main
from tests.release.export.small_checkpoints import photos
from tests.trainer import small_runs
from tests.trainer.run_here import run_here

pytestmark = pytest.mark.torch

STEPS, PAIRS_PER_STEP = 12, 8


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A run that was stopped once and went on, its evaluation under both activations, and its export."""
    root = tmp_path_factory.mktemp("run")
    data = small_runs.write_data("shards", root / "data")
    recipe = small_runs.write_recipe(root)
    flags = ["--recipe", str(recipe), *data, "--logs", str(root / "runs"), "--name", "small", "--workers", "0"]
    flags += ["--max-steps", str(STEPS)]
    run_here(flags, stop_after=7)
    run_here([*flags, "--resume", "latest"])
    for number, content in enumerate(photos(4)):
        folder = root / "pictures" / f"Genus{number % 2} epithet{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(content)
    model = ["--resume", str(root / "runs" / "small"), "--activation", "both", "--force"]
    eval_main([*model, "--folder", str(root / "pictures"), "--out", str(root / "results"), "--workers", "0"])
    export_main(
        ["--resume", str(root / "runs" / "small"), "--out", str(root / "released"), "--results", str(root / "results")]
    )
    return root


@pytest.fixture(scope="module")
def facts(root) -> CardFacts:
    found = read_facts(root / "released")
    assert found is not None
    return found


def test_the_card_says_what_the_run_logged(root, facts):
    run, logged = facts.run, small_runs.logged(root / "runs" / "small")
    steps = [line for line in logged if "event" not in line]
    assert facts.label == f"small step_{STEPS:06d}" and run is not None and run.log is not None
    assert (run.step, run.samples_seen, run.num_ranks) == (STEPS, STEPS * PAIRS_PER_STEP, 1)
    assert (run.log.first_loss, run.log.last_loss) == (steps[0]["loss"], steps[-1]["loss"])
    assert run.log.resumes == (7,) and run.log.is_done
    assert sum(run.log.captions.values()) == STEPS * PAIRS_PER_STEP
    assert run.log.bad_samples == {
        reason: sum(line["bad_samples"].get(reason, 0) for line in steps)
        for reason in sorted({reason for line in steps for reason in line["bad_samples"]})
    }
    assert run.recipe == "dwarf.toml" and not run.is_built_in


def test_the_data_is_that_of_the_checkpoint(facts):
    assert facts.data is not None and facts.data.is_trained_on is True
    assert [(one.name, one.num_pictures, one.num_species) for one in facts.data.splits] == [("train", 120, 30)]


def test_results_of_both_activations_stand_apart(root, facts):
    (own,), (other,) = facts.results, facts.other_activation
    assert (own.activation, other.activation) == ("gelu", "quickgelu")
    assert own.num_classes_seen == 2 and own.num_images == 4
    files = [json.loads(file.read_text()) for file in (root / "results").glob("*--*.json")]
    (stored,) = [one for one in files if one["model"]["activation"] == "gelu"]
    assert own.top1.value == stored["metrics"]["top1"]["value"]
    assert facts.model_hash == stored["model"]["hash"]


def test_the_card_is_the_folders_and_names_no_place_of_the_machine(root, facts):
    from release.card.write_card import write_card

    card = (root / "released" / "README.md").read_text(encoding="utf-8")
    assert card == write_card(facts) and str(root) not in card
    assert str(root) not in (root / "released" / "taxaflow.json").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---\n", 2)[1])
    assert front["model-index"][0]["name"] == facts.label


def test_an_export_of_the_export_keeps_the_records(root, facts):
    export_main(["--model", f"local-dir:{root / 'released'}", "--out", str(root / "again")])
    again = read_facts(root / "again")
    assert again is not None and again.label == "released"
    assert (again.run, again.data, again.results, again.model) == (facts.run, facts.data, facts.results, facts.model)
