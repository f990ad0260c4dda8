"""What pictures can be: the names of a list, with the taxa they stand for. Columns, no torch.

Shapes: C labels.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from evaluation.benchmarks.csv_benchmark import COMMON_NAMES, RANK_LEVELS, SCIENTIFIC_NAMES
from evaluation.benchmarks.csv_file import LABELS
from inference.labels.arrow import compute as pc
from inference.labels.dataset_labels import SUFFIX, dataset_taxa
from inference.labels.list_file import cleaned, cleaned_codes, no_column, read_columns
from taxonomy.captions import CaptionFields
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS

LABELS_FILE = "labels.csv"
"""The list within a folder of label embeddings."""

NAME, COMMON_NAME = "name", "common_name"

COLUMNS = {
    NAME: (*SCIENTIFIC_NAMES, *LABELS),
    COMMON_NAME: COMMON_NAMES,
    **RANK_LEVELS,
    "class": ("class", "cls"),
}
"""What a list may hold -> its columns, the first that is there."""


@dataclass(frozen=True)
class Labels:
    """A list of labels by columns.

    Attributes:
        names: C distinct texts, in the order of the list.
        lineage: rank -> C names, null where unknown, `species` the epithet; the ranks that the list has.
        common_names: C texts, null where unknown; None where the list has none.
        sha256: of all of these.
    """

    names: pa.StringArray
    lineage: Mapping[str, pa.DictionaryArray] = field(default_factory=dict)
    common_names: pa.StringArray | None = None
    sha256: str = ""

    def __len__(self) -> int:
        return len(self.names)

    def __post_init__(self) -> None:
        """Take the hash, where it is not known."""
        if not self.sha256:
            object.__setattr__(self, "sha256", _hash(self))

    def path(self, number: int) -> tuple[str | None, ...]:
        """A label's names at the seven ranks, `species` the epithet."""
        return tuple(self.lineage[rank][number].as_py() if rank in self.lineage else None for rank in RANKS)

    def common_name(self, number: int) -> str | None:
        """A label's common name."""
        return None if self.common_names is None else self.common_names[number].as_py()

    def fields(self, number: int) -> CaptionFields | None:
        """A label's taxon for captions; None in a list of nothing but names."""
        if not self.lineage and self.common_names is None:
            return None
        lineage: dict[str, str | None] = dict(zip(RANKS, self.path(number), strict=True))
        return CaptionFields(self.names[number].as_py(), self.common_name(number), lineage)


def read_labels(path: Path) -> Labels:
    """The labels of a list.

    Args:
        path: .txt with one name a line; .csv or .parquet with scientific_name (scientificName) or label, the ranks
            kingdom to species, and common_name, of which all but the name may be absent; a dataset's manifest.json,
            whose species are the list; or a folder of label embeddings, of which the list is read.

    Raises:
        BadInputError: it cannot be read, holds no label, a blank one, or one twice.
    """
    if path.is_dir():
        if not (path / LABELS_FILE).is_file():
            raise BadInputError(f"{path}: no {LABELS_FILE} in it; give a list, or a folder of label embeddings")
        path = path / LABELS_FILE
    found = _dataset_columns(path) if path.suffix == SUFFIX else read_columns(path, COLUMNS, NAME)
    if NAME not in found:
        raise BadInputError(no_column(path, COLUMNS[NAME], list(found)))
    names = cleaned(found[NAME])
    _check(path, found[NAME], names)
    lineage = {rank: cleaned_codes(found[rank]) for rank in RANKS if rank in found}
    lineage = {rank: codes for rank, codes in lineage.items() if codes.null_count < len(codes)}
    common = cleaned(found[COMMON_NAME]) if COMMON_NAME in found else None
    if common is not None and common.null_count == len(common):
        common = None
    return Labels(names, _with_epithets(lineage), common)


def _dataset_columns(manifest: Path) -> dict[str, pa.StringArray]:
    """The species of a dataset, as the columns of a list."""
    taxa = dataset_taxa(manifest)
    if not taxa:
        raise BadInputError(f"{manifest}: none of its photos has a scientific name")
    columns = zip(*taxa.values(), strict=True)
    found = {name: pa.array(column, pa.string()) for name, column in zip((*RANKS, COMMON_NAME), columns, strict=True)}
    return {NAME: pa.array(list(taxa), pa.string()), **found}


def _check(path: Path, raw: pa.StringArray, names: pa.StringArray) -> None:
    if names.null_count:
        place = pc.index(pc.is_null(names), True).as_py()
        text = raw[place].as_py()
        raise BadInputError(
            f"{path}, {_place(path, place)}: {text!r} is no name ({names.null_count:,} such rows); remove them"
        )
    codes = names.dictionary_encode()
    num_twice = len(codes) - len(codes.dictionary)
    if num_twice:
        counts = pc.value_counts(codes.indices)
        code = counts.field("values").filter(pc.greater(counts.field("counts"), 1))[0]
        is_it = pc.equal(codes.indices, code)
        first = pc.index(is_it, True).as_py()
        second = pc.index(is_it, True, first + 1).as_py()
        raise BadInputError(
            f"{path}: {names[first].as_py()!r} stands in {_place(path, first)} and again in {_place(path, second)} "
            f"({num_twice:,} repeated in all); every label may stand there once"
        )


def _place(path: Path, number: int) -> str:
    """Where people find a label."""
    is_text = path.suffix.lower() == ".txt"
    return f"line {number + 1:,}" if is_text else f"row {number + 1:,} below the header"


def _with_epithets(lineage: dict[str, pa.DictionaryArray]) -> dict[str, pa.DictionaryArray]:
    """The lineage; a `species` that repeats its genus ("Quercus robur") is cut to the epithet."""
    if not {"genus", "species"} <= lineage.keys():
        return lineage
    genus, species = (lineage[rank].cast(pa.string()) for rank in ("genus", "species"))
    has_words = pc.match_substring(species, " ").fill_null(False)
    if not pc.any(has_words).as_py():
        return lineage
    genus, own = genus.filter(has_words), species.filter(has_words)
    cut = [_epithet(*row) for row in zip(genus.to_pylist(), own.to_pylist(), strict=True)]
    epithets = pc.replace_with_mask(species, has_words, pa.array(cut, pa.string()))
    return {**lineage, "species": epithets.dictionary_encode()}


def _epithet(genus: str | None, species: str) -> str:
    while genus and species.lower().startswith(f"{genus.lower()} "):
        species = species[len(genus) + 1 :]
    return species


def _hash(labels: Labels) -> str:
    digest = hashlib.sha256()
    columns = {NAME: labels.names, COMMON_NAME: labels.common_names, **labels.lineage}
    for name, column in columns.items():
        if column is None:
            continue
        text = column.cast(pa.string())
        length_C = pc.binary_length(text).fill_null(-1).to_numpy(zero_copy_only=False)
        digest.update(f"{name} {len(text)}\n".encode())
        digest.update(length_C.astype("<i4").tobytes())
        digest.update(_bytes(text))
    return digest.hexdigest()


def _bytes(text: pa.StringArray) -> memoryview:
    """The texts one after the other."""
    whole = text.fill_null("")
    _, offsets, data = whole.buffers()
    offset_C = np.frombuffer(offsets, np.int32)[whole.offset : whole.offset + len(whole) + 1]
    return memoryview(data)[int(offset_C[0]) : int(offset_C[-1])] if data is not None else memoryview(b"")
