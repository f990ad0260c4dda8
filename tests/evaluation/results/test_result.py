"""Result files: named by their key, whole, equal bytes for equal content, and read back as written."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from evaluation.results.result import (
    file_name,
    name_in_files,
    names_sha256,
    read_results,
    result_schema,
    write_result,
)
from evaluation.results.schema_check import KEYWORDS, first_problem
from taxonomy.errors import BadInputError, WorkFailedError
from tests.evaluation.results.records import record


def test_file_name_is_the_key() -> None:
    assert file_name(record()) == "garden--scientific_name--published--default--abababab-gelu.json"
    keys = [
        record(benchmark="b"),
        record(taxon="genus"),
        record(class_list="fixed"),
        record(protocol="paper"),
        record(model=record()["model"] | {"hash": "cd" * 32}),
        record(model=record()["model"] | {"activation": "quickgelu"}),
        record(model=record()["model"] | {"activation": None}),
    ]
    assert len({file_name(each) for each in [record(), *keys]}) == 8


@pytest.mark.parametrize("name", ["../../etc/x", "a--b", "a/b", "", ".", "..", "käfer", "a b", "-a", "a" * 300])
def test_odd_names_stay_in_their_folder_and_apart(name: str) -> None:
    made = name_in_files(name)
    assert made != name
    assert Path(made).name == made
    assert "--" not in made
    assert made.strip("-.") == made
    assert made != name_in_files(f"{name} ")
    assert name_in_files(made) == made  # a harmless name is kept


def test_written_records_are_read_back_in_the_order_of_their_names(tmp_path: Path) -> None:
    records = [record(benchmark="b"), record(benchmark="a", metrics=record()["metrics"] | {"ece": _none()})]
    for each in records:
        write_result(tmp_path / "out", each)
    (tmp_path / "out" / "split.json").write_text("[]")
    assert read_results(tmp_path / "out") == records[::-1]


def _none() -> dict[str, None]:
    return {"value": None, "low": None, "high": None}


def test_a_rerun_changes_no_byte_and_a_new_figure_replaces_the_file(tmp_path: Path) -> None:
    path = write_result(tmp_path, record())
    before, time = path.read_bytes(), path.stat().st_mtime_ns
    assert write_result(tmp_path, record()) == path
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, time)
    write_result(tmp_path, record(num_near_ties=0))
    assert [each["num_near_ties"] for each in read_results(tmp_path)] == [0]
    assert len(list(tmp_path.iterdir())) == 1


def test_two_models_whose_hashes_begin_alike_are_not_mixed(tmp_path: Path) -> None:
    write_result(tmp_path, record())
    other = record(model=record()["model"] | {"hash": "ab" * 31 + "00"})
    with pytest.raises(BadInputError, match="another model"):
        write_result(tmp_path, other)


@pytest.mark.parametrize("field", ["precision", "preprocessing", "prompts", "rows_sha256"])
def test_a_result_otherwise_made_is_not_replaced(field: str, tmp_path: Path) -> None:
    others = {"precision": "amp_bf16", "preprocessing": {"image_size": 336}, "rows_sha256": "f" * 64}
    others["prompts"] = {"set": "sci", "logit_scale": 100.0}
    path = write_result(tmp_path, record())
    before = path.read_bytes()
    with pytest.raises(BadInputError, match=f"another {field}"):
        write_result(tmp_path, record(**{field: others[field]}))
    assert path.read_bytes() == before


def test_numpy_numbers_are_numbers_and_what_is_none_is_null(tmp_path: Path) -> None:
    metric = {"value": np.float32(0.5), "low": np.float64("nan"), "high": float("inf")}
    preprocessing = {"image_mean": np.array([0.5, 0.25])}
    written = record(num_images=np.int64(6), metrics=record()["metrics"] | {"ece": metric})
    write_result(tmp_path, written | {"preprocessing": preprocessing})
    (read,) = read_results(tmp_path)
    assert read["num_images"] == 6
    assert read["metrics"]["ece"] == {"value": 0.5, "low": None, "high": None}
    assert read["preprocessing"] == {"image_mean": [0.5, 0.25]}


def test_what_was_not_measured_is_filled_with_null(tmp_path: Path) -> None:
    left_out = ("calibration", "few_shot", "linear_probe", "abstention", "other_species_interval", "interval")
    short = {name: value for name, value in record().items() if name not in left_out}
    short["model"] = {"hash": "ab" * 32, "activation": "gelu", "name": "ViT-B-16"}
    short["confusions"] = [{"true": "a", "guessed": "b", "count": 1, "share": 0.5}]
    write_result(tmp_path, short)
    (read,) = read_results(tmp_path)
    assert [read[name] for name in left_out[:5]] == [None] * 5
    assert read["interval"]["level"] == 0.95
    assert read["model"] | {"activation_source": None, "pretrained": None} == read["model"]
    assert read["confusions"][0]["examples"] == []
    assert list(read) == [name for name in result_schema()["properties"] if name in read]


def test_a_full_disk_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_result(tmp_path, record())
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorkFailedError, match="No space left"):
        write_result(tmp_path, record(num_near_ties=0))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_class_list_digest_is_of_nfc_names_in_order() -> None:
    # sha256 of "a\nb", from `printf 'a\nb' | sha256sum`
    assert names_sha256(["a", "b"]) == "7e18f737311b2dc3b2f269dd78396b0351f14fb66efa879f768cb23181883c78"
    assert names_sha256(["b", "a"]) != names_sha256(["a", "b"])
    assert names_sha256(["a\u0308"]) == names_sha256(["\u00e4"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not a result file"),
        ("[]", "not object"),
        ('{"schema_version": 1}', "has no benchmark"),
        ('{"a": NaN}', "NaN is not JSON"),
        ("[" * 100_000, "not a result file"),
        (json.dumps(record(schema_version=2)), "version 1"),
        (json.dumps(record(headline="yes")), "headline"),
        (json.dumps(record(chance=1.5)), "chance is 1.5"),
        (json.dumps(record(extra=1)), "unknown field extra"),
    ],
)
def test_other_files_of_that_name_are_one_line(content: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / file_name(record())).write_text(content)
    with pytest.raises(BadInputError, match=reason) as caught:
        read_results(tmp_path)
    assert "\n" not in str(caught.value)
    write_result(tmp_path, record())  # what cannot be read is no result: a new one takes its place
    assert len(read_results(tmp_path)) == 1


def test_no_folder_or_no_results_is_bad_input(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(BadInputError, match="no results"):
            read_results(folder)


def test_the_schema_is_one_and_the_record_fits_it() -> None:
    jsonschema.Draft202012Validator.check_schema(result_schema())
    jsonschema.validate(record(), result_schema())


def _described(schema: Any) -> None:
    """Every field says what it means, and no keyword is used that the check leaves out."""
    for name, each in schema.get("properties", {}).items():
        assert len(each.get("description", "")) > 4, name
    assert set(schema) <= KEYWORDS, set(schema) - KEYWORDS
    inside = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values(), schema.get("items")]
    for each in [*inside, schema.get("additionalProperties")]:
        if isinstance(each, dict):
            _described(each)


def test_every_field_of_the_schema_says_what_it_means() -> None:
    _described(result_schema())


def _spoilt(value: Any) -> list[Any]:
    """Copies of a JSON value, each with one part replaced or taken away."""
    others = [None, True, -1, 2.5, "", "x", [], {}]
    found = [other for other in others if other != value or type(other) is not type(value)]
    if isinstance(value, dict):
        for name, inner in value.items():
            found.append({key: each for key, each in value.items() if key != name})
            found += [value | {name: spoilt} for spoilt in _spoilt(inner)]
    if isinstance(value, list):
        found += [[spoilt, *value[1:]] for spoilt in (_spoilt(value[0]) if value else [])]
    return found


def test_the_check_agrees_with_jsonschema_on_every_spoilt_record() -> None:
    validator = jsonschema.Draft202012Validator(result_schema())
    disagree, num_wrong = [], 0
    cases = _spoilt(copy.deepcopy(record()))
    for case in cases:
        is_valid = validator.is_valid(case)
        num_wrong += not is_valid
        if is_valid != (first_problem(case, result_schema()) is None):
            disagree.append(case)
    assert not disagree
    assert 300 < num_wrong < len(cases)
