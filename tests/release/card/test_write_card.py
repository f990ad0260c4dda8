"""The card as written: what the hub reads, what was recorded, what is missing, and hostile names."""

import dataclasses
import json
import subprocess
import sys

import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from release.card.card_facts import CardFacts
from release.card.collect import collect_card_facts
from release.card.data_facts import LicenceCount
from release.card.run_facts import Difference, RunRecord
from release.card.words import escaped, one_line
from release.card.write_card import MAX_LICENCES, write_card
from tests.evaluation.results.records import NAMES
from tests.release.card import card_world
from tests.release.card.card_world import HOSTILE, MODEL_HASH, result


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> CardFacts:
    fungi = result(benchmark="fungi", taxon="label", protocol="paper")
    other = result(model={"activation": "quickgelu"})
    return card_world.collected(tmp_path_factory.mktemp("whole"), result(), fungi, other)


def front_of(card: str) -> dict:
    empty, front, _ = card.split("---\n", 2)
    assert empty == ""
    return yaml.safe_load(front)


def body_of(card: str) -> str:
    return card.split("---\n", 2)[2]


def tables_of(text: str) -> list[list[int]]:
    """The number of cells of every row of every table, as a reader of GitHub's Markdown sees them."""
    tables: list[list[int]] = []
    for token in MarkdownIt("gfm-like", {"linkify": False}).parse(text):
        if token.type == "table_open":
            tables.append([])
        if token.type == "tr_open":
            tables[-1].append(0)
        if token.type in ("td_open", "th_open"):
            tables[-1][-1] += 1
    return tables


def assert_is_plain(card: str) -> None:
    """Nothing but headings, lists, tables, text and our own code may be in a card, and every table is whole."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(body_of(card))
    inline = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inline} <= {"text", "text_special", "softbreak", "code_inline"}
    assert {child.content for child in inline if child.type == "code_inline"} <= {"hf-hub:", "local-dir:"}
    assert not any(token.type in ("html_block", "blockquote_open", "hr", "code_block") for token in tokens)
    headings = [tokens[place + 1].content for place, one in enumerate(tokens) if one.type == "heading_open"]
    assert headings[1:] == ["Model", "Training", "Data", "Results", "Limits", "Citation"]
    for rows in tables_of(body_of(card)):
        assert len(set(rows)) == 1
    lines = body_of(card).splitlines()
    in_tables = sum(sum(1 for _ in rows) for rows in tables_of(body_of(card)))
    separators = sum(line.startswith("|---") for line in lines)
    assert in_tables + separators == sum(line.startswith("|") for line in lines)  # no row fell out of its table


def test_the_hub_reads_the_front_matter(whole):
    card = write_card(whole)
    front = front_of(card)
    assert front["license"] == "unknown" and front["library_name"] == "open_clip"
    assert front["pipeline_tag"] == "zero-shot-image-classification" and "base_model" not in front
    data = ModelCard(card).data
    assert data.model_name == "birds step_000040"
    found = {(one.dataset_type, one.metric_type): one for one in data.eval_results}
    assert set(found) == {(name, kind) for name in ("fungi", "garden") for kind in ("accuracy", "balanced_accuracy")}
    top1 = found["garden", "accuracy"]
    assert top1.metric_value == pytest.approx(2 / 3, abs=1e-6) and top1.dataset_config == "scientific_name"
    assert top1.metric_args == {"interval_level": 0.95, "low": 0.3, "high": 1.0, "num_images": 6, "num_classes": 3}


def test_start_weights_from_the_hub_are_named_to_it(whole):
    facts = dataclasses.replace(whole, model=card_world.facts(pretrained="hf-hub:imageomics/bioclip"), license="mit")
    front = front_of(write_card(facts))
    assert front["base_model"] == "imageomics/bioclip" and front["license"] == "mit"
    average = dataclasses.replace(whole, model=card_world.facts(pretrained="hf-hub:imageomics/bioclip..demo alpha 0.5"))
    assert "base_model" not in front_of(write_card(average))


def test_a_card_says_what_was_recorded(whole):
    card = write_card(whole)
    for line in (
        "| recipe | tiny |",
        "| steps | 40 |",
        "| pictures seen | 640 |",
        "| processes | 2 |",
        "| pictures per step | 16 |",
        "| loss | 4.0000 at step 10, 1.0000 at step 40 |",
        "| stopped and resumed | at step 20 |",
        "| captions by kind | com 240, sci 400 |",
        "| bad samples | truncated 4 |",
        "| lr | 0.002 | 0.0005 |",
        "| val-top1-low | 0.6 |",
        "The checkpoint names exactly these training shards.",
        "| CC-BY-NC-4.0 | 5 | 1 |",
        "- 5 of 22 training pictures (22.7 %) are under licences with NC",
        "| garden | scientific name | published | default | 66.7 (30.0 to 100.0) | 66.7 (30.0 to 100.0) | 33.3 | 3 |",
        "BioTrove-CLIP-O ViT-B-16, published",
        "43.2 ± 3.07",
        "They were not measured here.",
        "- BioTrove: A Large Curated Image Dataset",
    ):
        assert line in card, line
    assert_is_plain(card)


def test_what_was_not_recorded_is_said_to_be_missing():
    card = write_card(CardFacts("w", card_world.facts(pretrained="w.bin"), MODEL_HASH))
    for line in (
        "There is no record of the training",
        "There is no record of the data",
        "There is no result of an evaluation",
        "| weights from | w.bin |",
        "| licence of the model | not stated by its publisher |",
        "its accuracy is not known",
        "Nothing to cite is recorded.",
    ):
        assert line in card, line
    assert "model-index" not in front_of(card) and "None" not in card and "published" not in card
    assert_is_plain(card)


@pytest.mark.parametrize("missing", ["log", "step", "settings", "recipe", "num_ranks"])
def test_no_missing_part_of_a_run_becomes_a_value(whole, missing):
    empty = {"settings": {}, "recipe": None}
    run = dataclasses.replace(whole.run, **{missing: empty.get(missing)})
    card = write_card(dataclasses.replace(whole, run=run))
    assert "None" not in card
    assert "not recorded" in card or "follows no built-in" in card or missing == "recipe"
    assert_is_plain(card)


def test_equal_records_give_equal_bytes_whatever_their_order(tmp_path):
    one = card_world.collected(tmp_path / "a", result(), result(benchmark="fungi", taxon="label"))
    other = card_world.collected(tmp_path / "b", result(benchmark="fungi", taxon="label"), result())
    assert (
        write_card(one) == write_card(other) == write_card(CardFacts.from_dict(json.loads(json.dumps(one.to_dict()))))
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_anywhere_leaves_the_card_as_it_is_made(whole, name):
    """Every text in the facts, one after the other in one card, is the name."""

    def spoilt(value):
        if dataclasses.is_dataclass(value):
            kept = {"activation", "interpolation", "resize_mode", "model_config"}
            changes = {
                field.name: spoilt(getattr(value, field.name))
                for field in dataclasses.fields(value)
                if field.init and field.name not in kept
            }
            return dataclasses.replace(value, **changes)
        if isinstance(value, dict):
            return {key: spoilt(each) for key, each in value.items()}
        if isinstance(value, tuple):
            return tuple(map(spoilt, value))
        return name if isinstance(value, str) else value

    facts = spoilt(whole)
    facts = dataclasses.replace(facts, label=name)
    card = write_card(facts)
    assert_is_plain(card)
    assert front_of(card)["model-index"][0]["name"] == one_line(name)
    assert escaped(name).strip() in card
    card.encode()


def test_hostile_species_and_licences_in_shards_do_no_harm(tmp_path):
    names = [name.replace("\ud800", "?") for name in HOSTILE]  # no shard could hold half a character

    def photo(number):
        text = names[number % len(names)]
        return card_world.photo(number, scientific_name=text, license=text, attribution=text)

    manifest = card_world.write_dataset(tmp_path / "data", (len(names),), photos=photo)
    facts = collect_card_facts(card_world.facts(), MODEL_HASH, names[0], None, (), manifest)
    assert {one.licence for one in facts.data.licences} == set(map(one_line, names))
    assert [one.total for one in facts.data.licences] == [1] * len(names)
    assert_is_plain(write_card(facts))


def test_the_hostile_keys_of_a_run_do_no_harm(whole):
    log = dataclasses.replace(whole.run.log, captions=dict.fromkeys(HOSTILE, 1), evaluation=dict.fromkeys(HOSTILE, 0.5))
    differences = tuple(Difference(name, name, name) for name in HOSTILE)
    run = dataclasses.replace(whole.run, log=log, from_recipe=differences, from_published=differences)
    assert_is_plain(write_card(dataclasses.replace(whole, run=run)))


def test_a_thousand_licences_are_summed_up(whole):
    licences = tuple(LicenceCount(f"licence {number}", {"train": 1000 - number}) for number in range(1000))
    data = dataclasses.replace(whole.data, licences=licences)
    card = write_card(dataclasses.replace(whole, data=data))
    rest = sum(range(1, 1000 - MAX_LICENCES + 1))
    assert f"| {1000 - MAX_LICENCES} others | {rest:,} |" in card and "licence 999" not in card


def test_a_run_of_no_recipe_is_said_to_follow_none(whole):
    run = dataclasses.replace(whole.run, recipe=None, is_built_in=False)
    card = write_card(dataclasses.replace(whole, run=run))
    assert "The run follows no built-in recipe." in card and "| recipe | none |" in card


def test_a_run_that_only_its_file_names_has_no_settings(whole):
    card = write_card(dataclasses.replace(whole, run=RunRecord(name="epoch-40", epoch=40)))
    assert "| whole passes over the data | 40 |" in card and "The settings are not recorded." in card
    assert "published command" not in card
    assert_is_plain(card)


def test_classes_seen_are_counted_by_name(tmp_path):
    photos = {0: NAMES[0], 4: NAMES[2]}

    def photo(number):
        return card_world.photo(number, scientific_name=photos.get(number, "Another one"))

    manifest = card_world.write_dataset(tmp_path / "data", photos=photo)
    results = card_world.write_results(tmp_path / "results")
    facts = collect_card_facts(card_world.facts(), MODEL_HASH, "m", None, [results], manifest)
    assert facts.results[0].num_classes_seen == 2
    assert "1 of the 3 classes of garden (scientific name, default) is not among the names" in write_card(facts)


@pytest.mark.process
def test_no_card_needs_torch():
    code = "import sys, release.card.write_card, release.card.collect; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
