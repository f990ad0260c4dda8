"""From finished files to committed shards: the driver's half of the download protocol.

A shard is finished when its tar and, after it, its sidecar stand under their final names; it exists when the table
`shards` has its row. This module finds finished shards, checks them, commits them, keeps `downloads` equal to the
sidecars of committed shards, and sweeps every file that no row names.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from spark_jobs import pause_points, table_io
from spark_jobs.plan_shards import planned_shard_ids
from spark_jobs.sidecar import SIDECAR_SUFFIX, ShardRow, read_sidecar
from spark_jobs.tables import DOWNLOADS, SHARD_PLAN, SHARDS
from taxonomy.errors import BadInputError, WorkFailedError

ShardKey = tuple[str, int]
"""(split, shard_id) within one dataset."""

Form = tuple[list[tuple[int, int]], set[str], set[str]]
"""What a shard holds: (position, photo_id) in order; its renditions; its layouts."""

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
        self._in_ledger: set[str] | None = None

    def committed(self) -> list[CommittedShard]:
        """The dataset's rows of the table `shards`, by split and shard_id."""
        rows = table_io.read_arrow(self.root, SHARDS, where=self._of_dataset()).to_pylist()
        return sorted((CommittedShard(**row) for row in rows), key=lambda row: (row.split, row.shard_id))

    def check_files(self) -> None:
        """Make sure that every committed shard still has its tar, of the size it was committed with, and its sidecar.

        Raises:
            WorkFailedError: one has not; the message names it.
        """
        damaged = []
        for row in self.committed():
            tar = self.folder / row.split / row.shard_file
            if not tar.is_file() or tar.stat().st_size != row.num_bytes:
                damaged.append(tar)
            elif not self._sidecar(row).is_file():
                damaged.append(self._sidecar(row))
        if damaged:
            raise WorkFailedError(
                f"{len(damaged):,} files of committed shards are missing or damaged, the first is {damaged[0]}; put "
                "them back from a copy, or make a new dataset (select --dataset NEW, then download)"
            )

    def check_plan(self) -> None:
        """Make sure that shards which exist as files or rows have their plan, so that none is swept by mistake.

        Raises:
            BadInputError: there are shards, and no plan knows of any.
        """
        if table_io.exists(self.root, SHARD_PLAN) and planned_shard_ids(self.root, self.dataset):
            return
        if any(self.folder.glob("*/*.tar")):
            raise BadInputError(
                f"{self.folder} holds shards, but the table shard_plan knows of none: were tables deleted? Put them "
                "back from a copy, or move that folder away"
            )

    def open_keys(self, splits: Iterable[str]) -> list[ShardKey]:
        """The planned shards of these splits that have no row yet, in order."""
        done = {(row.split, row.shard_id) for row in self.committed()}
        planned = planned_shard_ids(self.root, self.dataset)
        return sorted((split, i) for split in splits for i in planned.get(split, ()) if (split, i) not in done)

    def finished(self, keys: Iterable[ShardKey]) -> list[ShardRow]:
        """The finished shards among `keys` that were not returned before, each checked against its sidecar.

        A tar whose size or sha256 is not what its sidecar says does not count. Attempts may have left several for one
        shard: all are returned, and `commit` chooses.
        """
        wanted = set(keys)
        rows = [row for sidecar in self._new_sidecars() if (row := self._checked(sidecar)) is not None]
        return [row for row in rows if (row.split, row.shard_id) in wanted]

    def adoptable(self, splits: Iterable[str]) -> list[ShardRow]:
        """The finished open shards that an earlier run left and that hold exactly the photos of their plan."""
        rows = self.finished(self.open_keys(splits))
        return [row for row in rows if self._planned_form(row) == self._stored_form(row)] if rows else []

    def _planned_form(self, row: ShardRow) -> Form:
        where = self._of_dataset() & (pc.field("split") == row.split) & (pc.field("shard_id") == row.shard_id)
        columns = ["position", "photo_id", "rendition", "layout"]
        plan = table_io.read_arrow(self.root, SHARD_PLAN, columns, where).sort_by("position").to_pylist()
        photos = [(photo["position"], photo["photo_id"]) for photo in plan]
        return photos, {photo["rendition"] for photo in plan}, {photo["layout"] for photo in plan}

    def _stored_form(self, row: ShardRow) -> Form:
        _, photos = read_sidecar(self.folder / row.split / (row.shard_file + SIDECAR_SUFFIX))
        columns = photos.select(["position", "photo_id"]).sort_by("position").to_pylist()
        return [(photo["position"], photo["photo_id"]) for photo in columns], {row.rendition}, {row.layout}

    def _of_dataset(self) -> pc.Expression:
        return pc.field("dataset") == self.dataset

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
        """Make the shards exist: append those whose key has no row yet, then their photos to `downloads`.

        Of several for one key the one with most pictures wins, then the smallest sha256.
        """
        done = {(row.split, row.shard_id) for row in self.committed()}
        best: dict[ShardKey, ShardRow] = {}
        for row in sorted(rows, key=lambda row: (-row.num_samples, row.sha256)):
            if (row.split, row.shard_id) not in done:
                best.setdefault((row.split, row.shard_id), row)
        if not best:
            return
        pause_points.reached("before_commit")
        new = [{name: getattr(best[key], name) for name in SHARDS.column_names} for key in sorted(best)]
        table_io.append_rows(self.root, SHARDS, new)
        pause_points.reached("after_commit")
        self.complete_ledger()
        pause_points.reached("after_downloads")

    def complete_ledger(self) -> None:
        """Append to `downloads` the sidecars of committed shards that it lacks."""
        if self._in_ledger is None:
            listed = table_io.count_values(self.root, DOWNLOADS, ["shard_file"], self._of_dataset())
            self._in_ledger = set(listed["shard_file"].to_pylist())
        missing = [row for row in self.committed() if row.shard_file not in self._in_ledger]
        for start in range(0, len(missing), _LEDGER_BATCH):
            batch = missing[start : start + _LEDGER_BATCH]
            photos = [read_sidecar(self._sidecar(row))[1] for row in batch]
            table_io.append_arrow(self.root, DOWNLOADS, pa.concat_tables(photos))
            self._in_ledger.update(row.shard_file for row in batch)

    def status_counts(self, rows: Iterable[CommittedShard]) -> dict[str, int]:
        """Status -> photos of these committed shards, `ok` first, by their sidecars."""
        counts: Counter[str] = Counter()
        for row in rows:
            counts.update(read_sidecar(self._sidecar(row))[1].column("status").to_pylist())
        return {"ok": counts.pop("ok", 0)} | dict(sorted(counts.items()))

    def _sidecar(self, row: CommittedShard) -> Path:
        return self.folder / row.split / (row.shard_file + SIDECAR_SUFFIX)

    def sweep(self) -> int:
        """Delete every file of the dataset that no committed shard and no manifest names; how many there were."""
        rows = self.committed()
        kept = {self._sidecar(row) for row in rows} | {self.folder / row.split / row.shard_file for row in rows}
        kept |= {self.folder / "manifest.json", *self.folder.glob("*/sizes.json")}
        kept |= set(self.folder.glob("manifests/[0-9a-f]*.json"))
        files = [path for pattern in ("*", "*/*") for path in self.folder.glob(pattern) if path.is_file()]
        stray = [path for path in files if path not in kept]
        for path in stray:
            path.unlink(missing_ok=True)
        self._seen.difference_update(stray)
        return len(stray)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
