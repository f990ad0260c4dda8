"""The run in the card: what its files say up to the checkpoint, whatever is torn or missing."""

import json
import random
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from release.card.recipe import PUBLISHED, STANDARD
from release.card.run_record import read_run, summary_of, train_manifest
from taxonomy.errors import BadInputError
from tests.release.card import card_world
from trainer.settings import recipe as recipes
from trainer.settings.config import TrainConfig


@pytest.fixture
def run(tmp_path, manifest) -> Path:
    return card_world.write_run(tmp_path / "logs", manifest)


def test_a_run_is_its_newest_checkpoint_however_it_is_named(run):
    record = read_run(run)
    checkpoint = run / "checkpoints" / "step_000040"
    (checkpoint / "model.safetensors").write_bytes(b"")
    assert read_run(checkpoint) == record == read_run(checkpoint / "model.safetensors")
    assert record.name == "birds" and record.recipe == "tiny" and record.is_built_in and record.from_recipe == ()
    assert (record.step, record.epoch, record.samples_seen, record.num_ranks) == (40, 13, 640, 2)
    log = record.log
    assert (log.first_step, log.first_loss, log.last_step, log.last_loss) == (10, 4.0, 40, 1.0)
    assert log.images_per_s == 125.0  # median of 110, 120, 130, 140
    assert log.captions == {"com": 240, "sci": 400} and log.bad_samples == {"truncated": 4}
    assert (log.skipped_steps, log.resumes, log.is_done, log.later_steps) == (2, (20,), True, 0)
    assert log.evaluation == {"val-top1": 0.75, "val-top1-low": 0.6, "val-images": 100} and log.evaluation_step == 40


def test_what_came_after_an_earlier_checkpoint_is_not_of_it(run):
    log = read_run(run / "checkpoints" / "step_000020").log
    assert (log.last_step, log.last_loss, log.captions["sci"]) == (20, 3.0, 200)
    assert not log.is_done and log.later_steps == 20 and log.evaluation == {} and log.skipped_steps == 1


def test_a_run_that_was_done_and_went_on_is_not_done():
    lines = [{"step": 20, "loss": 1.0}, {"event": "done", "step": 20}, {"step": 30, "loss": 0.9}]
    encoded = [json.dumps(line).encode() for line in lines]
    assert summary_of(encoded, 20).is_done and not summary_of(encoded, 30).is_done


def test_a_checkpoint_by_itself_has_settings_and_no_log(run, tmp_path):
    alone = shutil.copytree(run / "checkpoints" / "step_000040", tmp_path / "given" / "best")
    record, there = read_run(alone), read_run(run)
    assert record.log is None and record.settings == there.settings and record.step == 40
    assert train_manifest(alone) == train_manifest(run)


def test_a_file_in_the_published_form_has_the_settings_of_its_run_alone(run):
    file = run / "checkpoints" / "epoch_3.pt"
    file.write_bytes(b"")
    record = read_run(file)
    assert record.name == "birds" and record.settings["loss"] == "multi_positive"
    assert record.step is None and record.log is None


def test_nothing_recorded_gives_none(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "w.bin").write_bytes(b"")
    for path in ("empty", "w.bin", "nowhere"):
        assert read_run(tmp_path / path) is None and train_manifest(tmp_path / path) is None


@pytest.mark.parametrize("content", ["", "{", "null", "[" * 100_000, "wrong kind"])
@pytest.mark.parametrize(("file", "wrong_kind"), [("state.json", "[]"), ("ranks.json", "{}")])
def test_a_damaged_record_is_refused_by_name(content, file, wrong_kind, run):
    content = wrong_kind if content == "wrong kind" else content
    path = run / "checkpoints" / "step_000040" / file
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BadInputError, match=file) as caught:
        read_run(run)
    assert "\n" not in str(caught.value)


def test_no_line_of_a_log_stops_the_reading():
    whole = [json.dumps(line).encode() + b"\n" for line in card_world.log_lines()]
    expected = summary_of(whole, 40)
    rng = random.Random(0)
    foreign = [
        *(b"{", b"[]", b"null", b"\xff\xfe", b'{"step": "1"}', b'{"step": true}', b'{"loss": 1}', b"[" * 5000),
        *(line[: rng.randrange(1, len(line) - 2)] for line in whole),
    ]
    rng.shuffle(foreign)
    mixed = [line for pair in zip(whole, foreign, strict=False) for line in pair] + foreign[len(whole) :]
    found = summary_of(mixed, 40)
    assert found.num_unreadable_lines == len(foreign)
    assert asdict(found) | {"num_unreadable_lines": 0} == asdict(expected)


def test_odd_values_in_whole_lines_are_passed_over():
    lines = [
        {"step": 1, "loss": None, "images_per_s": "fast", "captions": ["sci"], "bad_samples": {"x": "y", "z": 2}},
        {"step": 2, "loss": float("nan"), "captions": {"sci": 3, "com": 1.5}, "skipped_steps": None},
        {"event": "evaluation", "step": 2, "val-top1": "much", "val-ok": 0.5},
    ]
    log = summary_of([json.dumps(line).encode() for line in lines], None)
    assert log.first_loss is None and log.images_per_s is None and log.captions == {"sci": 3}
    assert log.bad_samples == {"z": 2} and log.evaluation == {"val-ok": 0.5}


def test_every_setting_that_shapes_learning_is_compared_with_the_built_in_recipe(tmp_path, manifest):
    flags = ("--lr", "1e-3", "--seed", "7", "--workers", "0", "--save-steps", "5", "--text_type", "sci")
    record = read_run(card_world.write_run(tmp_path / "changed", manifest, flags=flags))
    assert {one.name: (one.here, one.there) for one in record.from_recipe} == {
        "lr": ("0.001", "0.002"),
        "seed": ("7", "0"),
        "text_type": ("sci", "mixed"),
    }


def test_a_published_recipe_is_compared_with_what_is_published_of_it(tmp_path, manifest):
    flags = ("--recipe", "bt-clip-o", "--max-steps", "50", "--loss", "multi_positive")
    record = read_run(card_world.write_run(tmp_path / "o", manifest, flags=flags))
    assert record.recipe == record.published_recipe == "bt-clip-o"
    differing = {one.name: (one.here, one.there) for one in record.from_published}
    assert differing == {
        "loss": ("multi_positive", "infonce"),
        "precision": ("bf16", "bf16_published"),  # by the published name, with fp32 weights
        "dataset_resampled": ("false", "true"),  # a manifest is never resampled
    }
    assert {one.name for one in record.from_recipe} == {"loss", "max_steps"}


def test_an_own_recipe_is_named_without_its_folder(tmp_path, manifest):
    own = tmp_path / "secret" / "mine.toml"
    own.parent.mkdir()
    own.write_text('model = "ViT-B-32"\nlr = 1e-4\n')
    record = read_run(card_world.write_run(tmp_path / "own", manifest, flags=("--recipe", str(own))))
    assert record.recipe == "mine.toml" and not record.is_built_in and record.from_recipe == ()
    assert record.published_recipe == STANDARD and "lr" in {one.name for one in record.from_published}


def test_no_path_of_the_machine_is_recorded(tmp_path, manifest):
    weights = tmp_path / "secret" / "w.bin"
    weights.parent.mkdir()
    weights.write_bytes(b"")
    flags = ("--recipe", "bt-clip-o", "--pretrained", str(weights), "--activation", "gelu")
    record = read_run(card_world.write_run(tmp_path / "logs2", manifest, flags=flags))
    assert str(tmp_path) not in repr(record) and "secret" not in repr(record)
    assert record.settings["pretrained"] == "w.bin"


def test_a_run_of_another_version_is_read_as_far_as_it_is_known(run):
    path = run / "checkpoints" / "step_000040" / "state.json"
    state = json.loads(path.read_text())
    state["config"] |= {"flux": 3, "recipe": "tiny", "lr": "fast"}
    path.write_text(json.dumps(state))
    record = read_run(run)
    assert record.settings["flux"] == "3"
    assert ("flux", "3", "none") in {(one.name, one.here, one.there) for one in record.from_recipe}


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_the_published_values_are_those_that_the_recipes_call_published(recipe):
    text = recipes.find(recipe).read_text(encoding="utf-8")
    marked = dict(re.findall(r"^(\w+) = [^#\n]+?\s+# (published|standard|chosen)", text, re.MULTILINE))
    values = recipes.read(recipe)
    published = {name: values[name] for name, mark in marked.items() if mark == "published"}
    no_learning = {"workers", "save_frequency", "zeroshot_frequency"}
    there = {name: value for name, value in published.items() if name not in no_learning and name != "precision"}
    assert there == {name: value for name, value in PUBLISHED[recipe].items() if name != "precision"}
    assert set(PUBLISHED[recipe]) <= {field for field in TrainConfig.__dataclass_fields__}
