"""status, doctor and the table layer: no JVM."""

import json

import pytest
from deltalake.exceptions import DeltaError

from spark_jobs import table_io
from spark_jobs.doctor import findings
from spark_jobs.status import dataset_states, last_runs, table_states
from spark_jobs.tables import DOWNLOADS, PHOTOS, SELECTIONS, SHARD_PLAN, SHARDS, TABLES
from taxonomy.errors import BadInputError
from tests.spark_jobs.small_root import make_tables, photo_row, selection_row


def shard(split: str, shard_id: int, num_samples: int) -> dict[str, object]:
    name = f"birds-{split}-{shard_id:06d}-abc.tar"
    numbers = {"num_samples": num_samples, "num_failed": 1, "num_bytes": 100}
    return (
        {"dataset": "birds", "split": split, "shard_id": shard_id, "shard_file": name}
        | numbers
        | {
            "sha256": "ab" * 32,
            "run_id": "r",
        }
    )


def outcome(shard_id: int, position: int, photo_id: int, status: str) -> dict[str, object]:
    from datetime import UTC, datetime

    return {
        "shard_file": f"birds-train-{shard_id:06d}-abc.tar",
        "position": position,
        "photo_id": photo_id,
        "dataset": "birds",
        "status": status,
        "attempts": 1,
        "fetched_at": datetime(2026, 10, 1, tzinfo=UTC),
    }


def test_status_tells_tables_and_the_latest_outcome_of_every_photo(root):
    make_tables(root, range(1, 11))
    table_io.create(root, SHARD_PLAN)
    table_io.append_rows(root, SHARDS, [shard("train", 0, 1), shard("train", 1, 1)])
    rows = [outcome(0, 0, 1, "ok"), outcome(0, 1, 2, "timeout"), outcome(1, 0, 2, "ok"), outcome(1, 1, 3, "gone")]
    table_io.append_rows(root, DOWNLOADS, rows)
    states = {state.name: (state.version, state.num_rows) for state in table_states(root)}
    assert states["photos"][1] == 10 and states["downloads"][1] == 4
    (state,) = dataset_states(root, "birds")
    assert state.fates == {"train": 7, "val": 1, "test": 2}
    assert state.statuses == {"ok": 2, "gone": 1}
    assert (state.done_shards, state.num_bytes) == (2, 200)
    assert last_runs(root) == []
    with pytest.raises(BadInputError, match="it has: birds"):
        dataset_states(root, "fish")


@pytest.mark.process
def test_doctor_finds_what_this_test_runs_on(root):
    found = {finding.what: finding for finding in findings(root)}
    for name in ("Python", "Java", "pyspark", "delta-spark", "deltalake"):
        assert found[name].state == "ok", found[name]


def test_doctor_says_what_to_do_without_java(root, monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    java = next(finding for finding in findings(root) if finding.what == "Java")
    assert java.state == "missing" and "apt-get install openjdk-17" in java.detail


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_table_is_made_with_comments_keys_and_no_deletion_vectors(root, table):
    table_io.create(root, table)
    table_io.create(root, table)
    opened = table_io.open_table(root, table)
    assert opened.version() <= 1 and opened.protocol().reader_features is None
    fields = json.loads(opened.schema().to_json())["fields"]
    assert [field["name"] for field in fields] == table.column_names
    assert all(field["metadata"]["comment"] for field in fields)
    assert set(table.key) <= set(table.column_names)


def test_checks_that_a_killed_process_left_out_are_added(root):
    table_io.create(root, PHOTOS)
    (table_io.table_path(root, PHOTOS) / "_delta_log" / f"{1:020d}.json").unlink()  # killed before this commit
    assert not [key for key in table_io.open_table(root, PHOTOS).metadata().configuration if "constraints" in key]
    with pytest.raises((DeltaError, ValueError)):
        table_io.append_rows(root, PHOTOS, [photo_row(1) | {"category": "Pisces"}])
    configuration = table_io.open_table(root, PHOTOS).metadata().configuration
    assert {key.removeprefix("delta.constraints.") for key in configuration if "constraints" in key} == set(
        PHOTOS.checks
    )
    assert not table_io.has_rows(root, PHOTOS)
    version = table_io.version(root, PHOTOS)
    table_io.create(root, PHOTOS)
    assert table_io.version(root, PHOTOS) == version


@pytest.mark.parametrize("change", [{"taxon_rank": "tribe"}, {"category": "Pisces"}, {"photo_url": None}])
def test_rows_that_break_a_rule_of_their_table_are_refused(root, change):
    with pytest.raises((DeltaError, ValueError)):
        table_io.append_rows(root, PHOTOS, [photo_row(1) | change])
    assert not table_io.has_rows(root, PHOTOS)


@pytest.mark.parametrize("change", [{"fate": "excluded"}, {"reason": "over_cap"}, {"order_hash": None}])
def test_a_fate_and_its_reason_go_together(root, change):
    with pytest.raises((DeltaError, ValueError)):
        table_io.append_rows(root, SELECTIONS, [selection_row(1) | change])


def test_a_table_of_a_newer_version_is_refused(root):
    table_io.create(root, PHOTOS)
    for log in (table_io.table_path(root, PHOTOS) / "_delta_log").glob("*.json"):
        log.write_text(log.read_text().replace("taxaflow schema 1", "taxaflow schema 9"))
    with pytest.raises(BadInputError, match="newer taxaflow"):
        table_io.open_table(root, PHOTOS)
    with pytest.raises(BadInputError, match="newer taxaflow"):
        table_io.create(root, PHOTOS)
