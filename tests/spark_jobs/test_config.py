"""Configs of TOML values: strict types, helpful refusals, column maps of any name."""

import dataclasses
import json
from pathlib import Path

import pytest

from spark_jobs import config as configs
from spark_jobs.config_values import CONVERSIONS
from spark_jobs.fetch import FetchPolicy
from taxonomy.errors import BadInputError

CLASSES = [configs.IngestConfig, configs.CountConfig, configs.SelectConfig, configs.DownloadConfig, configs.LabelConfig]


@pytest.fixture
def ingest(tmp_path):
    """Values of an ingest that is allowed."""
    (tmp_path / "m.csv").write_text("x\n")
    return {"source": "csv", "input": str(tmp_path / "m.csv"), "root": "r", "snapshot": "2026-10"}


def made(config_class, **values):
    return configs.from_mapping(config_class, values, "here")


@pytest.mark.parametrize("config_class", CLASSES)
def test_a_value_of_another_type_is_refused_with_key_value_and_what_is_allowed(config_class):
    wrong = {
        "b": ["false", 1, 0],
        "s": [3, True, ["x"]],
        "i": ["5", 2.5, True, float("inf")],
        "f": ["0.5", False, {}, float("nan"), 10**400],
    }
    wrong |= {"P": [3, True, ["a"]], "t": [5, [1, 2], {"Aves": 1}, True]}
    for field in dataclasses.fields(config_class):
        if field.name == "columns":
            continue
        for value in wrong[str(field.type)[0]]:
            with pytest.raises(BadInputError) as refused:
                made(config_class, **{field.name: value})
            assert str(refused.value).startswith(f"here: {field.name} = {value!r} does not fit: give a ") or (
                field.type == "bool" and str(refused.value).endswith("give true or false")
            )


def test_values_come_in_the_type_of_their_field(ingest):
    found = made(configs.SelectConfig, root="r", dataset="d", categories="Aves, Fungi", val=0, seed=7.0)
    assert (found.root, found.categories, found.val, found.seed) == (Path("r"), ("Aves", "Fungi"), 0.0, 7)
    assert type(found.seed) is int and type(found.val) is float
    assert made(configs.SelectConfig, root="r", dataset="d", licenses=["a, b", "c"]).licenses == ("a, b", "c")
    assert made(configs.IngestConfig, **ingest, complete=True).complete is True
    assert made(configs.IngestConfig, **ingest, complete=None).complete is False


@pytest.mark.parametrize("config_class", [*CLASSES, configs.StatusConfig, configs.DoctorConfig])
def test_every_field_has_a_conversion(config_class):
    kinds = {str(field.type).removesuffix(" | None") for field in dataclasses.fields(config_class)}
    assert kinds <= set(CONVERSIONS)


def test_a_table_of_columns_takes_any_name(ingest):
    columns = {"photo_url": "link, large", "scientificName": "name=taxon"}
    found = made(configs.IngestConfig, **ingest, columns=columns)
    assert found.column_map == {"photo_url": "link, large", "scientific_name": "name=taxon"}
    assert json.loads(configs.to_json(found))["columns"] == columns
    text = made(configs.IngestConfig, **ingest, columns="photo_url = link , genus=a=b")
    assert text.column_map == {"photo_url": "link", "genus": "a=b"}


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"photo_url": 3}, "columns = .* does not fit: give a table"),
        ({"photo_url": {"a": "b"}}, "does not fit"),
        (["photo_url=link"], "does not fit"),
        ({"colour": "c"}, "--columns colour=c: write ours=theirs"),
        ({"genus": ""}, "write ours=theirs"),
        ("genus", "write ours=theirs"),
        ({"scientific_name": "a", "scientificName": "b"}, "scientific_name is named twice"),
    ],
)
def test_bad_columns_are_refused(ingest, columns, says):
    with pytest.raises(BadInputError, match=says):
        made(configs.IngestConfig, **ingest, columns=columns)


def test_columns_in_a_config_file(ingest, tmp_path):
    file = tmp_path / "ingest.toml"
    file.write_text('[columns]\nphoto_url = "link, large"\n')
    values = configs.read_toml(file) | ingest
    assert made(configs.IngestConfig, **values).column_map == {"photo_url": "link, large"}


@pytest.mark.parametrize(
    ("user_agent", "has_contact"),
    [
        (configs.DEFAULT_USER_AGENT, False),
        ("lab", False),
        ("lab (me@example.org)", True),
        ("lab (+HTTPS://example.org)", True),
    ],
)
def test_contact_in_the_user_agent(user_agent, has_contact):
    assert configs.DownloadConfig(root=Path(), dataset="d", user_agent=user_agent).has_contact == has_contact


def test_fetching_has_the_defaults_of_the_command():
    config, policy = configs.DownloadConfig(root=Path(), dataset="d"), FetchPolicy()
    assert (policy.user_agent, policy.tries, policy.deadline_s) == (config.user_agent, config.tries, config.timeout_s)


@pytest.mark.parametrize("user_agent", ["", " x", "Universit\u00e4t/1.0", "a\r\nX-Other: 1", "/1.0", "tab\t"])
def test_a_user_agent_that_headers_cannot_hold_is_refused(user_agent):
    with pytest.raises(BadInputError, match="--user-agent"):
        configs.DownloadConfig(root=Path(), dataset="d", user_agent=user_agent)


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, 1e9, float("nan")])
def test_a_time_limit_beyond_reason_is_refused(timeout_s):
    with pytest.raises(BadInputError, match="--timeout-s"):
        configs.DownloadConfig(root=Path(), dataset="d", timeout_s=timeout_s)
