"""A label list parsed and its taxa numbered, kept for later runs: a million labels then cost a look at a mapped file.

Two files each, by the content of the list's file: `<key>.arrow`, and `<key>.json` with its checksum, written last.
"""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from evaluation.encoding.cache_file import write_cache
from inference.label_embeddings.vector_file import word_sum
from inference.labels.labels import COMMON_NAME, LABELS_FILE, NAME, Labels, read_labels
from inference.labels.lineage_groups import Groups, conflicts, lineage_groups
from inference.leftovers import sweep
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS

_LOG = logging.getLogger(__name__)

_FORM = "label list 2"
"""Changes when the same file gives other labels or groups than before."""

_FOLDER = "lists"
_CODE, _FIRST = "code ", "first "


@dataclass(frozen=True)
class LabelList:
    """A list and what follows from its lineages.

    Attributes:
        labels: the list.
        groups: rank -> its taxa.
        conflicts: what in it contradicts itself, a line each.
    """

    labels: Labels
    groups: dict[str, Groups]
    conflicts: list[str]


def open_list(path: Path, cache_dir: Path | None) -> LabelList:
    """The labels of a file, or of a folder of label embeddings.

    Args:
        path: as `read_labels`.
        cache_dir: of all runs; None keeps nothing.

    Raises:
        BadInputError: as `read_labels`.
    """
    if cache_dir is None:
        return _parsed(path)
    sweep(cache_dir / _FOLDER, "tmp")
    kept = _Kept(cache_dir, path / LABELS_FILE if path.is_dir() else path)
    found = kept.read()
    if found is None:
        found = _parsed(path)
        kept.write(found)
    return found


def _parsed(path: Path) -> LabelList:
    labels = read_labels(path)
    groups = lineage_groups(labels)
    return LabelList(labels, groups, conflicts(labels, groups))


class _Kept:
    """The files of one list."""

    def __init__(self, cache_dir: Path, path: Path):
        try:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise BadInputError(f"{path}: {error.strerror}; give a label list") from error
        key = hashlib.sha256(json.dumps([_FORM, path.suffix.lower(), content]).encode()).hexdigest()[:32]
        self._table = cache_dir / _FOLDER / f"{key}.arrow"
        self._facts = self._table.with_suffix(".json")

    def read(self) -> LabelList | None:
        try:
            facts = json.loads(self._facts.read_bytes())
            if word_sum(np.memmap(self._table, np.uint8, "r")) != facts["sum"]:
                raise ValueError("does not fit its checksum")
            table = pa.ipc.open_file(pa.memory_map(str(self._table))).read_all()
            return _of_table(table, facts)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
            _LOG.warning("%s is damaged (%s): the list is read again", self._table, error)
            return None

    def write(self, found: LabelList) -> None:
        sink = pa.BufferOutputStream()
        batch = _to_batch(found)
        with pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        content = sink.getvalue()
        first = {rank: len(own.first_G) for rank, own in found.groups.items()}
        facts = {"sum": word_sum(np.frombuffer(content, np.uint8)), "labels_sha256": found.labels.sha256}
        facts |= {"conflicts": found.conflicts, "num_groups": first}
        if write_cache(self._table, lambda file: file.write(content)):
            write_cache(self._facts, lambda file: file.write(json.dumps(facts).encode()))


def _to_batch(found: LabelList) -> pa.RecordBatch:
    """All columns as one batch, so that each is one piece when mapped."""
    labels, num = found.labels, len(found.labels)
    columns: dict[str, pa.Array] = {NAME: labels.names, **labels.lineage}
    if labels.common_names is not None:
        columns[COMMON_NAME] = labels.common_names
    for rank, own in found.groups.items():
        columns[_CODE + rank] = pa.array(own.code_C)
        columns[_FIRST + rank] = pa.array(np.pad(own.first_G, (0, num - len(own.first_G))).astype(np.int32))
    return pa.RecordBatch.from_pydict(columns)


def _of_table(table: pa.Table, facts: dict) -> LabelList:
    columns = {name: table[name].chunk(0) for name in table.column_names}
    lineage = {rank: columns[rank] for rank in RANKS if rank in columns}
    labels = Labels(columns[NAME], lineage, columns.get(COMMON_NAME), facts["labels_sha256"])
    groups = {
        rank: Groups(columns[_CODE + rank].to_numpy(), columns[_FIRST + rank].to_numpy()[:num].astype(np.int64))
        for rank, num in facts["num_groups"].items()
    }
    return LabelList(labels, groups, list(facts["conflicts"]))
