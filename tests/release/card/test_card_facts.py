"""Facts of a card go to JSON and back, and an exported folder hands them on."""

import json

import pytest

from release.card.card_facts import FACTS_FILE, CardFacts, Interpolated, read_facts
from release.card.collect import collect_card_facts
from release.card.write_card import write_card
from taxonomy.errors import BadInputError
from tests.release.card import card_world
from tests.release.card.card_world import MODEL_HASH


@pytest.fixture
def whole(tmp_path) -> CardFacts:
    return card_world.collected(tmp_path)


def stored(facts: CardFacts) -> dict:
    return json.loads(json.dumps(facts.to_dict(), allow_nan=False))


def write(folder, content) -> None:
    folder.mkdir(exist_ok=True)
    (folder / FACTS_FILE).write_text(json.dumps({"files": {}} | content), encoding="utf-8")


def test_facts_go_to_json_and_back(whole):
    assert whole.run is not None and whole.data is not None and whole.results
    assert CardFacts.from_dict(stored(whole)) == whole
    bare = CardFacts("a model", card_world.facts(), MODEL_HASH)
    assert CardFacts.from_dict(stored(bare)) == bare


def test_later_keys_are_passed_over(whole):
    content = stored(whole)
    content["data"]["later"] = content["later"] = content["results"][0]["later"] = {"x": 1}
    assert CardFacts.from_dict(content) == whole


def every_place(value, path=()):
    """Paths to all values of a tree."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from every_place(child, (*path, key))


def test_a_value_of_another_kind_is_refused_wherever_it_is(whole):
    content = stored(whole)
    free = ("model_config", "settings", "schema_version")
    places = [path for path in every_place(content) if path and not set(free) & set(path)]
    assert len(places) > 200
    for path in places:
        spoilt = json.loads(json.dumps(content))
        parent = spoilt
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = object
        with pytest.raises(BadInputError, match=r"^taxaflow\.json: facts\.") as caught:
            CardFacts.from_dict(spoilt)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lacking", ["label", "model", "model_hash"])
def test_a_missing_value_is_refused(whole, lacking):
    content = stored(whole)
    del content[lacking]
    with pytest.raises(BadInputError, match=f"lacks {lacking}"):
        CardFacts.from_dict(content)


def test_another_version_is_refused(whole):
    with pytest.raises(BadInputError, match="schema_version is 2, 1 can be read"):
        CardFacts.from_dict(stored(whole) | {"schema_version": 2})


def test_a_damaged_file_is_refused_and_an_absent_one_is_none(tmp_path):
    assert read_facts(tmp_path) is None
    for text in ("", "{", "[" * 100_000, '{"label": 1, "schema_version": 1}'):
        (tmp_path / FACTS_FILE).write_text(text)
        with pytest.raises(BadInputError, match=FACTS_FILE):
            read_facts(tmp_path)
    (tmp_path / FACTS_FILE).write_text('{"made_by": "taxaflow", "files": {}}')  # a folder without a card
    assert read_facts(tmp_path) is None


def test_an_exported_folder_hands_its_records_on(whole, tmp_path):
    write(tmp_path / "released", stored(whole))
    local = card_world.facts(name="local-dir:released", pretrained=str(tmp_path / "released"))
    again = collect_card_facts(local, MODEL_HASH, "released", tmp_path / "released")
    assert again.label == "released"
    assert (again.model, again.run, again.data, again.results) == (whole.model, whole.run, whole.data, whole.results)


def again_from(whole, tmp_path, results=(), **changes) -> CardFacts:
    """The facts of an export of the exported folder, which is built as `changes` say."""
    write(tmp_path / "released", stored(whole))
    place = str(tmp_path / "released")
    local = card_world.facts(name=f"local-dir:{place}", pretrained=place, **changes)
    return collect_card_facts(local, MODEL_HASH, "released", tmp_path / "released", results)


def test_figures_of_one_activation_never_become_those_of_the_other(whole, tmp_path, caplog):
    forced = {"activation": "quickgelu", "activation_source": "flag --activation, forced"}
    again = again_from(whole, tmp_path, **forced)
    assert again.results == () and again.other_activation == whole.results
    assert again.model.activation == "quickgelu" and again.model.activation_source == forced["activation_source"]
    assert "all results of these weights are under another activation" in caplog.text
    back = again_from(again, tmp_path)
    assert back.results == whole.results and back.other_activation == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"image_mean": (0.1, 0.2, 0.3)},
        {"image_std": (1.0, 1.0, 1.0)},
        {"interpolation": "bilinear"},
        {"resize_mode": "squash"},
        {"image_size": 64},
        {"context_length": 32},
    ],
)
def test_the_facts_are_those_of_the_folder_that_is_exported_now(whole, tmp_path, changes, caplog):
    again = again_from(whole, tmp_path, **changes)
    ((name, value),) = changes.items()
    assert getattr(again.model, name) == value and again.run == whole.run and again.data == whole.data
    assert (again.model.name, again.model.pretrained) == (whole.model.name, whole.model.pretrained)
    is_of_pictures = name != "context_length"
    assert again.results == (() if is_of_pictures else whole.results)
    assert ("1 of 1 results of the exported folder are left out" in caplog.text) == is_of_pictures


def test_new_results_join_those_of_an_exported_folder_and_win(whole, tmp_path):
    metric = {"value": 0.9, "low": 0.8, "high": 1.0}
    better = card_world.result(metrics={"top1": metric, "balanced_accuracy": metric})
    folder = card_world.write_results(tmp_path / "new", better, card_world.result(benchmark="fungi"))
    again = again_from(whole, tmp_path, [folder])
    assert [(one.benchmark, one.top1.value) for one in again.results] == [("fungi", 2 / 3), ("garden", 0.9)]
    other = card_world.write_results(tmp_path / "other", card_world.result(benchmark="fungi"))
    kept = again_from(whole, tmp_path, [other])
    assert [one.benchmark for one in kept.results] == ["fungi", "garden"]


def test_an_average_of_two_models_stays_one(tmp_path):
    made = Interpolated("start", "trained", 0.25, "highest top-1 on garden", "the point was chosen by the figures")
    facts = collect_card_facts(card_world.facts(), MODEL_HASH, "m", None, interpolated=made)
    assert CardFacts.from_dict(stored(facts)) == facts and again_from(facts, tmp_path).interpolated == made
    card = write_card(facts)
    assert "| weights | 0.75 of start and 0.25 of trained, averaged |" in card
    assert "| this point was chosen by | highest top-1 on garden |" in card
    assert "- Of the points between start and trained: the point was chosen by the figures." in card


def test_an_exported_folder_says_nothing_of_other_weights(whole, tmp_path):
    write(tmp_path / "released", stored(whole))
    other = collect_card_facts(card_world.facts(), "cd" * 32, "released", tmp_path / "released")
    assert (other.run, other.data, other.results) == (None, None, ())


def test_no_path_of_the_machine_is_in_the_facts(whole, tmp_path):
    assert str(tmp_path) not in json.dumps(whole.to_dict())
    weights = tmp_path / "secret" / "w.bin"
    facts = card_world.facts(
        name=f"local-dir:{weights.parent}",
        pretrained=str(weights),
        activation_source=f"model local-dir:{weights.parent}",
    )
    found = collect_card_facts(facts, MODEL_HASH, str(weights), None)
    assert str(tmp_path) not in json.dumps(found.to_dict()) and found.model.pretrained == "w.bin"
    assert found.model.activation_source == "model secret" and found.label == "w.bin"
