"""From finished files to committed shards: the driver's half of the download protocol.

A shard is finished when its tar and, after it, its sidecar stand under their final names; it exists when the table
`shards` has its row. This module finds finished shards, checks them, commits them, keeps `downloads` equal to the
sidecars of committed shards, and sweeps every file that no row names.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from spark_jobs import pause_points, table_io
from spark_jobs.plan_shards import planned_shard_ids
from spark_jobs.sidecar import SIDECAR_SUFFIX, ShardRow, read_sidecar
from spark_jobs.tables import DOWNLOADS, SHARDS
from taxonomy.errors import WorkFailedError

ShardKey = tuple[str, int]
"""(split, shard_id) within one dataset."""

_LEDGER_BATCH = 256


@dataclass(frozen=True)
class CommittedShard:
    """A row of the table `shards`; its columns say what the fields mean."""

    dataset: str
    split: str
    shard_id: int
    shard_file: str
    sha256: str
    num_samples: int
    num_failed: int
    num_bytes: int
    run_id: str


class ShardStore:
    """The shards of one dataset, as files and as rows. One writer at a time: hold the lock `downloads`."""

    def __init__(self, root: Path, dataset: str) -> None:
        self.root = root
        self.dataset = dataset
        self.folder = root / "shards" / dataset
        self._seen: set[Path] = set()

    def committed(self) -> list[CommittedShard]:
        """The dataset's rows of the table `shards`, by split and shard_id."""
        rows = table_io.read_arrow(self.root, SHARDS, where=pc.field("dataset") == self.dataset).to_pylist()
        return sorted((CommittedShard(**row) for row in rows), key=lambda row: (row.split, row.shard_id))

    def open_keys(self, splits: Iterable[str]) -> list[ShardKey]:
        """The planned shards of these splits that have no row yet, in order."""
        done = {(row.split, row.shard_id) for row in self.committed()}
        planned = planned_shard_ids(self.root, self.dataset)
        return sorted((split, i) for split in splits for i in planned.get(split, ()) if (split, i) not in done)

    def finished(self, keys: Iterable[ShardKey]) -> list[ShardRow]:
        """The finished shards among `keys` that were not returned before, each checked against its sidecar.

        A tar whose size or sha256 is not what its sidecar says does not count. Where attempts left several for one
        shard, the one with most pictures wins, then the smallest sha256.
        """
        wanted = set(keys)
        best: dict[ShardKey, ShardRow] = {}
        for sidecar in self._new_sidecars():
            row = self._checked(sidecar)
            if row is None or (row.split, row.shard_id) not in wanted:
                continue
            other = best.get((row.split, row.shard_id))
            if other is None or (-row.num_samples, row.sha256) < (-other.num_samples, other.sha256):
                best[row.split, row.shard_id] = row
        return [best[key] for key in sorted(best)]

    def _new_sidecars(self) -> list[Path]:
        found = sorted(path for path in self.folder.glob(f"*/*{SIDECAR_SUFFIX}") if path not in self._seen)
        self._seen.update(found)
        return found

    def _checked(self, sidecar: Path) -> ShardRow | None:
        try:
            row, _ = read_sidecar(sidecar)
        except WorkFailedError:
            return None  # swept: a sidecar is published whole, so this one is not ours
        tar = self.folder / row.split / row.shard_file
        intact = row.dataset == self.dataset and sidecar.name == row.shard_file + SIDECAR_SUFFIX and tar.is_file()
        intact = intact and tar.stat().st_size == row.num_bytes and _sha256(tar) == row.sha256
        return row if intact else None

    def commit(self, rows: Sequence[ShardRow]) -> None:
        """Make the shards exist: append those whose key has no row yet, then their photos to `downloads`."""
        done = {(row.split, row.shard_id) for row in self.committed()}
        new = [row for row in rows if (row.split, row.shard_id) not in done]
        if not new:
            return
        pause_points.reached("before_commit")
        rows_of_table = [{name: getattr(row, name) for name in SHARDS.column_names} for row in new]
        table_io.append_rows(self.root, SHARDS, rows_of_table)
        pause_points.reached("after_commit")
        self.complete_ledger()
        pause_points.reached("after_downloads")

    def complete_ledger(self) -> None:
        """Append to `downloads` the sidecars of committed shards that it lacks."""
        of_dataset = pc.field("dataset") == self.dataset
        listed = table_io.read_arrow(self.root, DOWNLOADS, ["shard_file"], of_dataset)
        known = set(listed.column("shard_file").unique().to_pylist())
        missing = [row for row in self.committed() if row.shard_file not in known]
        for start in range(0, len(missing), _LEDGER_BATCH):
            batch = missing[start : start + _LEDGER_BATCH]
            photos = [read_sidecar(self._sidecar(row))[1] for row in batch]
            table_io.append_arrow(self.root, DOWNLOADS, pa.concat_tables(photos))

    def _sidecar(self, row: CommittedShard) -> Path:
        return self.folder / row.split / (row.shard_file + SIDECAR_SUFFIX)

    def sweep(self) -> int:
        """Delete every file below the dataset's splits that no committed shard names; how many there were."""
        kept = {self._sidecar(row) for row in self.committed()}
        kept |= {self.folder / row.split / row.shard_file for row in self.committed()}
        kept |= {path for path in self.folder.glob("*/sizes.json")} | set(self.folder.glob("manifests/*.json"))
        stray = [path for path in self.folder.glob("*/*") if path.is_file() and path not in kept]
        for path in stray:
            path.unlink(missing_ok=True)
        self._seen.difference_update(stray)
        return len(stray)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
