"""`taxaflow data status`: the tables of a root, their versions, and how far its datasets are. No JVM."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from spark_jobs import table_io
from spark_jobs.tables import DOWNLOADS, RUNS, SELECTIONS, SHARD_PLAN, SHARDS, TABLES
from taxonomy.errors import BadInputError


@dataclass(frozen=True)
class TableState:
    """A table's name, newest version and number of rows."""

    name: str
    version: int
    num_rows: int


@dataclass(frozen=True)
class DatasetState:
    """How far a dataset is.

    Attributes:
        name: of the dataset.
        fates: train, val, test, excluded -> photos of the selection.
        planned_shards: shards in the plan.
        done_shards: of them, committed.
        statuses: status -> photos by their latest outcome.
        num_bytes: size of the committed tars.
    """

    name: str
    fates: dict[str, int]
    planned_shards: int
    done_shards: int
    statuses: dict[str, int]
    num_bytes: int


def table_states(root: Path) -> list[TableState]:
    """The tables that exist below `root`, in the order that data flows.

    Raises:
        BadInputError: `root` has no tables.
    """
    states = []
    for table in TABLES.values():
        if table_io.exists(root, table):
            version = table_io.open_table(root, table).version()
            states.append(TableState(table.name, version, table_io.arrow_dataset(root, table).count_rows()))
    if not states:
        raise BadInputError(f"{root} has no tables yet; start with: taxaflow data ingest")
    return states


def dataset_states(root: Path, dataset: str | None = None) -> list[DatasetState]:
    """The state of one dataset, or of all that have a selection.

    Raises:
        BadInputError: there is no dataset of that name.
    """
    fates = _counts(root, dataset)
    if dataset is not None and dataset not in fates:
        known = ", ".join(sorted(_counts(root, None))) or "none"
        raise BadInputError(f"no dataset named {dataset} in {root}; it has: {known}")
    return [_dataset_state(root, name, fates[name]) for name in sorted(fates)]


def _counts(root: Path, dataset: str | None) -> dict[str, dict[str, int]]:
    if not table_io.exists(root, SELECTIONS):
        return {}
    where = None if dataset is None else pc.field("dataset") == dataset
    found: dict[str, dict[str, int]] = {}
    for group in table_io.count_values(root, SELECTIONS, ["dataset", "fate"], where).to_pylist():
        found.setdefault(group["dataset"], {})[group["fate"]] = group["num_rows"]
    return found


def _dataset_state(root: Path, name: str, fates: dict[str, int]) -> DatasetState:
    if not table_io.exists(root, DOWNLOADS):
        return DatasetState(name, fates, 0, 0, {}, 0)
    of_dataset = pc.field("dataset") == name
    # Before `shards`, so that a shard committed meanwhile is in neither or in `shards` alone.
    outcomes = table_io.read_arrow(root, DOWNLOADS, ["photo_id", "status", "shard_file"], of_dataset)
    shards = table_io.read_arrow(root, SHARDS, ["shard_file", "shard_id", "num_bytes"], of_dataset)
    num_planned = table_io.count_values(root, SHARD_PLAN, ["split", "shard_id"], of_dataset).num_rows
    num_bytes = sum(shards.column("num_bytes").to_pylist())
    return DatasetState(name, fates, num_planned, shards.num_rows, _latest_statuses(outcomes, shards), num_bytes)


def _latest_statuses(outcomes: pa.Table, shards: pa.Table) -> dict[str, int]:
    """Status -> photos, `ok` first; a photo's latest status is that of its highest shard_id."""
    joined = outcomes.join(shards.select(["shard_file", "shard_id"]), "shard_file", join_type="inner")
    last = joined.sort_by("shard_id").group_by("photo_id", use_threads=False).aggregate([("status", "last")])
    counts = {row["values"]: row["counts"] for row in last.column("status_last").value_counts().to_pylist()}
    return {"ok": counts.pop("ok", 0), **dict(sorted(counts.items()))} if counts else {}


def last_runs(root: Path, num_runs: int = 5) -> list[dict[str, object]]:
    """The last finished runs, newest first: job, finished_at, seconds."""
    if not table_io.exists(root, RUNS):
        return []
    rows = table_io.read_arrow(root, RUNS, ["job", "finished_at", "seconds"]).to_pylist()
    return sorted(rows, key=lambda row: row["finished_at"], reverse=True)[:num_runs]
