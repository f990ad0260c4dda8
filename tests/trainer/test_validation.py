"""Zero-shot accuracy while training: which pictures and classes, what the figures are, and what must not end a run."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch

import evaluation
from evaluation.benchmarks.shards import open_shards
from evaluation.encoding.encoder import OpenClipEncoder
from evaluation.model import get_tokenizer
from evaluation.run_options import RunOptions
from taxonomy.errors import BadInputError
from tests.trainer.small_dataset import Members, jpeg, photo, write_dataset
from tests.trainer.small_runs import write_recipe
from tests.trainer.two_ranks import ONE_RANK, on_two_ranks
from trainer.data.open_data import data_settings
from trainer.distributed import Ranks
from trainer.settings.config import load
from trainer.steps.model import TrainedModel, make_model, model_facts, step_settings
from trainer.validation import Validation

pytestmark = pytest.mark.torch

NUM_IMAGES = 24
NAMES = ("top1", "top3", "top5", "balanced_accuracy", "top1-low", "top1-high", "chance", "images", "unreadable")


def held_out(folder: Path, **options) -> Path:
    """A manifest whose val split has two shards, of 14 and 10 photos of six taxa."""
    manifest = write_dataset(folder, [14, 10, 10, 9], **options)
    content = json.loads(manifest.read_bytes())
    shards = content["splits"]["train"]
    content["splits"] = {"train": shards[2:], "val": shards[:2]}
    manifest.write_text(json.dumps(content))
    return manifest


def opened(folder: Path, *flags: str, ranks: Ranks = ONE_RANK) -> tuple[Validation, TrainedModel]:
    """What is measured with these flags, and an untrained model."""
    flags = (*flags, "--workers", "0", "--zeroshot-frequency", "1", "--zeroshot-batch-size", "4")
    config = load(["--recipe", str(write_recipe(folder)), *flags])
    facts = model_facts(config)
    settings = data_settings(config, facts, get_tokenizer(facts), ranks.device)
    return Validation.open(config, facts, settings, ranks), make_model(config, ranks)


def measured(validation: Validation, model: TrainedModel) -> dict[str, float]:
    return validation.measure(model, step_settings(validation.config, model, None), 1, True)


def spoilt(number: int, members: Members) -> Members:
    """Picture 3 is cut short, picture 5 is not there."""
    if number == 3:
        return [(name, content[:60] if name.endswith(".jpg") else content) for name, content in members]
    return members[1:] if number == 5 else members


def test_the_val_split_is_measured_as_the_evaluator_does(tmp_path):
    manifest = held_out(tmp_path / "data")
    validation, model = opened(tmp_path, "--train-data", str(manifest))
    found = measured(validation, model)
    assert list(found) == [f"val-{name}" for name in NAMES]
    assert (found["val-images"], found["val-unreadable"], found["val-chance"]) == (NUM_IMAGES, 0, 1 / 6)
    encoder = OpenClipEncoder(
        model.module.eval(), model.facts, get_tokenizer(model.facts), torch.device("cpu"), model.autocast
    )
    options = RunOptions(taxa=("headline",), class_list="fixed", prompt_set="sci")
    (record,) = evaluation.run(open_shards(manifest, "val"), encoder, options)
    assert [found[f"val-{name}"] for name in NAMES[:4]] == [record["metrics"][name]["value"] for name in NAMES[:4]]
    top1 = record["metrics"]["top1"]
    assert (found["val-top1-low"], found["val-top1-high"]) == (top1["low"], top1["high"])


def test_two_ranks_measure_what_one_does(tmp_path):
    manifest = held_out(tmp_path / "data", change=spoilt)
    alone = measured(*opened(tmp_path, "--train-data", str(manifest)))
    assert (alone["val-images"], alone["val-unreadable"], alone["val-missing"]) == (NUM_IMAGES - 2, 1, 1)
    assert on_two_ranks(partial(measured_on_a_rank, tmp_path), tmp_path) == [alone, alone]


def measured_on_a_rank(folder: Path, ranks: Ranks) -> dict[str, float]:
    own = folder / f"rank{ranks.rank}"
    own.mkdir()
    return measured(*opened(own, "--train-data", str(folder / "data" / "manifest.json"), ranks=ranks))


def test_shards_that_are_lost_or_cut_later_do_not_end_the_run(tmp_path):
    manifest = held_out(tmp_path / "data")
    validation, model = opened(tmp_path, "--train-data", str(manifest))
    first, second = (tmp_path / "data" / one["file"] for one in json.loads(manifest.read_bytes())["splits"]["val"])
    first.unlink()
    found = measured(validation, model)
    assert (found["val-images"], found["val-unreadable"]) == (10, 14)
    second.write_bytes(second.read_bytes()[:600])
    assert measured(validation, model) == {"val-chance": 1 / 6, "val-images": 0, "val-unreadable": NUM_IMAGES}


def test_a_model_without_numbers_has_no_figures_and_says_so(tmp_path, caplog):
    validation, model = opened(tmp_path, "--train-data", str(held_out(tmp_path / "data")))
    with torch.no_grad():
        next(model.module.parameters()).fill_(torch.nan)
    assert measured(validation, model) == {}
    assert "val is not measured" in caplog.text


def test_photos_without_scientific_names_are_told_apart_by_common_ones(tmp_path):
    manifest = held_out(tmp_path / "data", photos=lambda number: photo(number, scientific_name=None))
    validation, model = opened(tmp_path, "--train-data", str(manifest))
    assert (validation.sets[0].benchmark.headline, validation.sets[0].prompt_set) == ("common_name", "com")
    found = measured(validation, model)
    assert (found["val-chance"], found["val-images"]) == (1 / 4, 16), "every third taxon has no name"


def classes(root: Path, *names: str) -> Path:
    """A folder of class folders with one picture each."""
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        (root / name / "1.jpg").write_bytes(jpeg(number))
    return root


def test_imagenet_s_folders_have_its_names_and_come_first(tmp_path):
    manifest = held_out(tmp_path / "data")
    v2 = classes(tmp_path / "v2", *map(str, range(1000)))
    own = classes(tmp_path / "own", "1_house_sparrow", "2_tench")
    flags = ["--train-data", str(manifest), "--imagenet-val", str(own), "--imagenet-v2", str(v2)]
    validation, _ = opened(tmp_path, *flags)
    assert [one.name for one in validation.sets] == ["imagenet", "imagenetv2", "val"]
    labels = [list(one.benchmark.rows.labels[one.benchmark.headline]) for one in validation.sets]
    assert labels[0] == ["house sparrow", "tench"]
    assert (labels[1][0], labels[1][134], len(labels[1])) == ("tench", "crane bird", 1000)
    (v2 / "999" / "1.jpg").unlink()
    with pytest.raises(BadInputError, match=r"--imagenet-v2 .*v2: no picture in 999 \(1 such\)"):
        opened(tmp_path, *flags)


@pytest.mark.parametrize("flag", ["--train-data", "--val-data"])
def test_what_is_wrong_with_a_val_split_names_its_flag(tmp_path, flag):
    manifest = held_out(tmp_path / "data")
    content = json.loads(manifest.read_bytes())
    content["splits"]["val"][0]["num_samples"] = 15
    manifest.write_text(json.dumps(content))
    flags = ["--train-data", str(manifest), *([flag, str(manifest)] if flag == "--val-data" else [])]
    with pytest.raises(BadInputError, match=f"^{flag} .*holds 14 samples, its manifest says 15"):
        opened(tmp_path, *flags)
