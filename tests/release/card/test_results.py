"""Results in the card: of this model and activation alone, in a fixed order, beside published figures."""

import dataclasses

import pytest

from evaluation.benchmarks.published_figures import PAPERS_EIGHT, PUBLISHED_NUM_IMAGES, PUBLISHED_TOP1
from release.card.card_facts import CardFacts
from release.card.collect import collect_card_facts
from release.card.limits import limits
from release.card.result_facts import Figure
from release.card.results import pictures_of, read_measured
from release.card.run_facts import RunRecord, TrainingLog
from release.card.write_card import write_card
from taxonomy.errors import BadInputError
from tests.evaluation.results.records import NAMES
from tests.release.card import card_world
from tests.release.card.card_world import MODEL_HASH, facts, result, write_results

OTHER = {"hash": "cd" * 32, "name": "another"}


def test_results_of_other_models_are_passed_over(tmp_path):
    folder = write_results(tmp_path / "r", result(), result(model=OTHER, benchmark="fungi"))
    assert [one.benchmark for one in read_measured([folder], MODEL_HASH, facts(), {})] == ["garden"]


def test_a_folder_without_a_result_of_the_model_is_refused(tmp_path):
    folder = write_results(tmp_path / "r", result(model=OTHER))
    with pytest.raises(
        BadInputError, match=r"none of its 1 results is of this model \(abababab\).*another \(cdcdcdcd\)"
    ):
        read_measured([folder], MODEL_HASH, facts(), {})
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match="no results"):
        read_measured([tmp_path / "empty"], MODEL_HASH, facts(), {})


def test_several_folders_are_one_table_in_a_fixed_order(tmp_path):
    one = write_results(tmp_path / "a", result(), result(taxon="genus", headline=False), result(benchmark="deepweeds"))
    two = write_results(tmp_path / "b", result(benchmark="biotrove_unseen"), result())
    found = read_measured([one, two], MODEL_HASH, facts(), {})
    assert found == read_measured([two, one], MODEL_HASH, facts(), {})
    order = [(each.benchmark, each.taxon) for each in found]
    headline = "scientific_name"
    assert order == [
        ("biotrove_unseen", headline), ("deepweeds", headline), ("garden", headline), ("garden", "genus"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", PAPERS_EIGHT)
def test_headlines_stand_beside_the_published_figures(name, tmp_path):
    rows = (result(benchmark=name), result(benchmark=name, taxon="rollup_genus", headline=False))
    headline, other = read_measured([write_results(tmp_path / "r", *rows)], MODEL_HASH, facts(), {})
    assert {one.model: (one.top1, one.half_width) for one in headline.published} == {
        model: (figures[name].top1, figures[name].half_width) for model, figures in PUBLISHED_TOP1.items()
    }
    assert headline.published_num_images == PUBLISHED_NUM_IMAGES[name]
    assert other.published == () and other.published_num_images is None


@pytest.mark.parametrize(
    ("taxon", "seen", "expected"),
    [
        ("scientific_name", {"scientific_name": frozenset(NAMES[:2])}, 2),
        ("rollup_species", {"scientific_name": frozenset(NAMES[:1]), "species": frozenset(NAMES)}, 1),
        ("label", {"common_name": frozenset(NAMES[1:]), "scientific_name": frozenset(NAMES[:1])}, 3),
        ("rollup_genus", {"genus": frozenset()}, 0),
        ("genus", {"scientific_name": frozenset(NAMES)}, None),
        ("scientific_name", {}, None),
    ],
)
def test_classes_seen_are_those_named_in_training_at_their_level(taxon, seen, expected, tmp_path):
    (found,) = read_measured([write_results(tmp_path / "r", result(taxon=taxon))], MODEL_HASH, facts(), seen)
    assert found.num_classes_seen == expected


def test_results_under_the_other_activation_stand_apart(tmp_path):
    worse = {"value": 0.2, "low": 0.1, "high": 0.3}
    other = result(model={"activation": "quickgelu"}, metrics={"top1": worse, "balanced_accuracy": worse})
    folder = write_results(tmp_path / "r", result(), other)
    found = collect_card_facts(facts(), MODEL_HASH, "m", None, [folder])
    assert [one.activation for one in found.results] == ["gelu"]
    assert [one.activation for one in found.other_activation] == ["quickgelu"]
    expected = (
        "Built with quickgelu instead of gelu, its top-1 on garden (scientific name, default) is 20.0 % (10.0 to 30.0)"
    )
    assert any(line.startswith(expected) for line in limits(found))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_size", 64),
        ("interpolation", "bilinear"),
        ("resize_mode", "squash"),
        ("image_mean", [0.5, 0.5, 0.4]),
        ("image_std", [1.0, 1.0, 1.0]),
    ],
)
@pytest.mark.parametrize("protocol", ["default", "default_sci"])
def test_results_with_other_pictures_are_left_out_and_said(name, value, protocol, tmp_path, caplog):
    other = result(protocol=protocol, preprocessing=dict(pictures_of(facts(), "default")) | {name: value})
    folder = write_results(tmp_path / "r", result(benchmark="fungi"), other)
    assert [one.benchmark for one in read_measured([folder], MODEL_HASH, facts(), {})] == ["fungi"]
    assert "is left out of the card" in caplog.text and name in caplog.text and "garden--" in caplog.text


def test_a_protocol_that_sets_the_pictures_itself_does_not_ask_for_the_models_own(tmp_path, caplog):
    own = facts(interpolation="bilinear", image_mean=(0.1, 0.1, 0.1), resize_mode="squash")
    folder = write_results(tmp_path / "r", *(result(protocol=name) for name in ("paper", "paper_sci", "bioclip")))
    assert len(read_measured([folder], MODEL_HASH, own, {})) == 3 and not caplog.text
    assert read_measured([folder], MODEL_HASH, facts(image_size=64), {}) == ()


def test_two_results_of_one_task_that_differ_are_refused_with_both_names(tmp_path):
    one, two = write_results(tmp_path / "a"), write_results(tmp_path / "b", result(chance=0.1))
    with pytest.raises(BadInputError, match=r"/a/garden--.*\.json and .*/b/garden--.*\.json .*differ \(chance\)"):
        read_measured([one, two], MODEL_HASH, facts(), {})
    renamed = write_results(tmp_path / "c", result(model={"name": "the same, elsewhere"}))
    assert len(read_measured([one, renamed], MODEL_HASH, facts(), {})) == 1


def test_results_under_another_activation_alone_are_mentioned_and_are_not_its_own(tmp_path, caplog):
    folder = write_results(tmp_path / "r", result(model={"activation": "quickgelu"}))
    found = collect_card_facts(facts(), MODEL_HASH, "m", None, [folder])
    assert found.results == () and len(found.other_activation) == 1
    assert "all results of these weights are under another activation than this model's gelu" in caplog.text
    assert said(found, "what was measured of its weights was under quickgelu, not gelu: its accuracy is not known")
    assert (
        "Of its weights under another activation there is: garden (scientific name, default), quickgelu, top-1 66.7"
        in (write_card(found))
    )


def card(**changes) -> CardFacts:
    return CardFacts("m", facts(), MODEL_HASH, **changes)


def measured(tmp_path, **changes):
    return read_measured([write_results(tmp_path / "r", result(**changes))], MODEL_HASH, facts(), {})


def said(found: CardFacts, word: str) -> list[str]:
    return [line for line in limits(found) if word in line]


def test_a_result_no_better_than_the_most_frequent_class_is_called_that(tmp_path):
    weak = measured(tmp_path, majority=0.3)
    assert said(card(results=weak), "the most frequent class each time (30.0 %)")
    better = tuple(dataclasses.replace(one, majority=0.29) for one in weak)
    assert not said(card(results=better), "most frequent")


def test_the_weakest_level_of_a_benchmark_is_named(tmp_path):
    def figure(value):
        plain = {"value": value, "low": value - 0.01, "high": value + 0.01}
        return {"top1": plain, "balanced_accuracy": plain}

    levels = {"scientific_name": 0.8, "genus": 0.6, "kingdom": 0.7, "rollup_genus": 0.1}
    rows = [result(taxon=taxon, metrics=figure(value)) for taxon, value in levels.items()]
    found = read_measured([write_results(tmp_path / "r", *rows)], MODEL_HASH, facts(), {})
    assert said(
        card(results=found), "Of 3 levels it is right least often on garden (genus, default): 60.0 % (59.0 to 61.0)"
    )
    assert not said(card(results=measured(tmp_path / "one")), "least often")


def test_wide_intervals_are_called_wide(tmp_path):
    (one,) = measured(tmp_path)
    assert said(card(results=(one,)), "70.0 percentage points wide")
    narrow = dataclasses.replace(one, metrics=dict(one.metrics) | {"top1": Figure(0.66, 0.62, 0.71)})
    assert not said(card(results=(narrow,)), "wide")


@pytest.mark.parametrize(("confidence", "words"), [(0.9, "too sure"), (0.4, "not sure enough"), (None, None)])
def test_confidences_that_are_off_are_warned_of(confidence, words, tmp_path):
    (one,) = measured(tmp_path)
    off = dataclasses.replace(
        one, mean_confidence=confidence, metrics=dict(one.metrics) | {"ece": Figure(0.05, None, None)}
    )
    (line,) = said(card(results=(off,)), "(ECE)")
    assert (words is None and line.endswith("(ECE).")) or words in line
    good = dataclasses.replace(off, metrics=dict(one.metrics) | {"ece": Figure(0.049, None, None)})
    assert not said(card(results=(good,)), "(ECE)")


def test_the_mean_confidence_is_that_of_all_pictures(tmp_path):
    bins = [
        {"low": 0.0, "high": 0.5, "n": 1, "confidence": 0.4, "accuracy": 0.0},
        {"low": 0.5, "high": 0.9, "n": 0, "confidence": None, "accuracy": None},
        {"low": 0.9, "high": 1.0, "n": 3, "confidence": 0.96, "accuracy": 1.0},
    ]
    (one,) = measured(tmp_path, calibration=bins)
    assert one.mean_confidence == pytest.approx((0.4 + 3 * 0.96) / 4)


def test_benchmarks_of_training_pictures_are_called_that(tmp_path):
    manifest = card_world.write_dataset(tmp_path / "data")
    folder = write_results(tmp_path / "r", result(benchmark="shards_small_train"), result(benchmark="shards_small_val"))
    found = collect_card_facts(facts(), MODEL_HASH, "m", None, [folder], manifest)
    (own,), (other,) = said(found, "it was trained on"), said(found, "not part of these records")
    assert own.startswith("shards_small_train") and "shards_small_val" in other and "_train" not in other


def test_pictures_left_out_are_stated(tmp_path):
    assert said(card(results=measured(tmp_path)), "2 pictures of garden (scientific name, default) were missing")


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (TrainingLog(is_done=False, later_steps=186), "had not ended when it was saved, at step 40; the run went on"),
        (TrainingLog(is_done=True, skipped_steps=3), "3 steps with a loss or gradient"),
        (TrainingLog(is_done=True, num_unreadable_lines=2), "2 lines of the training log"),
        (None, "The log of its training did not come with it"),
    ],
)
def test_what_is_odd_about_a_run_is_stated(log, words):
    found = card(run=RunRecord(step=40, log=log))
    assert said(found, words)
    assert not said(card(run=RunRecord(step=40, log=TrainingLog(is_done=True))), words)


def test_a_forced_or_stated_activation_is_warned_of():
    forced = dataclasses.replace(card(), model=facts(activation_source="flag --activation, forced"))
    stated = dataclasses.replace(card(), model=facts(activation_source="flag --activation"))
    assert said(forced, "against what its weights say") and said(stated, "was stated by whoever made this folder")
    assert not said(card(), "activation")


def test_species_are_those_of_the_split_and_only_where_it_is_known_to_be_the_runs(tmp_path):
    whole = card_world.collected(tmp_path)
    assert whole.data is not None and whole.run is not None and whole.data.is_trained_on
    (line,) = said(whole, "The training split holds")
    assert line.startswith("The training split holds 6 species. ")  # 640 pictures seen, of 22
    short = dataclasses.replace(whole, run=dataclasses.replace(whole.run, samples_seen=7))
    assert said(short, "holds 6 species, and the run saw no more than 7 of its 22 pictures.")
    unknown = dataclasses.replace(whole, data=dataclasses.replace(whole.data, is_trained_on=None))
    assert not said(unknown, "6 species") and not said(whole, "has seen")
