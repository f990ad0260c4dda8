"""Labels -> unit embeddings, made once per model, prompt set and list, in parts that an interrupted run leaves behind.

The folder that people pass on holds `embeddings.npy`, `about.json` and the list, as `labels.csv`.

Shapes: C labels, D embedding, P labels of a part.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from inference.label_embeddings.bar import label_bar
from inference.label_embeddings.cache import (
    DAMAGED,
    EMBEDDINGS_FILE,
    SCHEMA_VERSION,
    CacheEntry,
    LabelEmbeddings,
    about_of,
    mapped,
)
from inference.label_embeddings.texts import label_texts
from inference.label_embeddings.vector_file import write_vectors
from inference.labels.labels import COMMON_NAME, LABELS_FILE, Labels, read_labels
from inference.leftovers import leftovers, sweep
from inference.predict.config import ABOUT_FILE
from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.whole_file import sync, write_whole

__all__ = [
    "LabelEmbeddings",
    "embed_labels",
    "read_about",
    "read_label_embeddings",
    "write_label_embeddings",
]

if TYPE_CHECKING:
    from evaluation.encoding.encoder import OpenClipEncoder

_LABELS_AT_ONCE = 4096
"""Encoded and kept together: what an interrupted run loses at most."""


def embed_labels(
    labels: Labels,
    prompt_set: str,
    encoder: "OpenClipEncoder",
    cache_dir: Path | None = None,
    title: str | None = None,
) -> LabelEmbeddings:
    """The labels' embeddings: per label the mean of its unit prompt embeddings, scaled to length 1, as in evaluation.

    Args:
        labels: the list.
        prompt_set: of evaluation/encoding/prompts.py.
        encoder: encodes texts.
        cache_dir: of all runs; None keeps nothing.
        title: of the bar that a terminal shows; None shows none.

    Raises:
        BadInputError: a label has no text of this set.
        WorkFailedError: the model gives numbers that are not finite.
    """
    entry = None if cache_dir is None else CacheEntry(cache_dir, labels, prompt_set, encoder)
    known = entry.read() if entry is not None else None
    if known is not None:
        return known
    parts = _parts(labels, prompt_set, encoder, entry, title)
    if entry is not None and (made := entry.finish(parts)) is not None:
        return made
    about = about_of(labels, prompt_set, encoder)
    label_CD = np.concatenate(list(_parts(labels, prompt_set, encoder, entry, title)))
    return LabelEmbeddings(labels, label_CD, about | {"embed_dim": label_CD.shape[1]})


def _parts(
    labels: Labels, prompt_set: str, encoder: "OpenClipEncoder", entry: CacheEntry | None, title: str | None
) -> Iterator[np.ndarray]:
    """The embeddings in the order of the list, a part at a time, from the cache where it has them."""
    from evaluation.encoding.class_vectors import class_embeddings

    with label_bar(title, len(labels)) as advance:
        for number, start in enumerate(range(0, len(labels), _LABELS_AT_ONCE)):
            stop = min(start + _LABELS_AT_ONCE, len(labels))
            part_PD = entry.read_part(number, stop - start) if entry is not None else None
            if part_PD is None:
                made_DP = class_embeddings(label_texts(labels, range(start, stop), prompt_set), encoder)
                part_PD = made_DP.T.contiguous().cpu().numpy()
                if not np.isfinite(part_PD).all():
                    raise WorkFailedError("embeddings of labels hold numbers that are not finite; try --precision fp32")
                if entry is not None:
                    entry.keep_part(number, part_PD)
            yield part_PD
            advance(stop - start)


def write_label_embeddings(folder: Path, made: LabelEmbeddings, dtype: str = "float16") -> None:
    """Write a folder with labels.csv, embeddings.npy and about.json, whole or not at all.

    Args:
        folder: new, empty, or of label embeddings, which are replaced.
        made: what goes there.
        dtype: "float16" halves the file and moves cosines by less than 0.001; "float32".

    Raises:
        BadInputError: the folder holds something else.
        WorkFailedError: it could not be written, as on a full disk; what was there is as it was.
    """
    _recover(folder)
    if folder.exists() and not (folder / ABOUT_FILE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInputError(f"{folder} holds something else than label embeddings; give a new folder")
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        _write_csv(temporary / LABELS_FILE, made.labels)
        parts = (made.label_CD[start : start + 65_536] for start in range(0, len(made.label_CD), 65_536))
        sums = write_vectors(temporary / EMBEDDINGS_FILE, parts, made.label_CD.shape, dtype)
        about = {**made.about, "dtype": dtype, "sums": sums}
        write_whole(temporary / ABOUT_FILE, json.dumps(about, indent=1).encode())
        _replace(temporary, folder)
    except OSError as error:
        raise WorkFailedError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace(temporary: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        folder.rename(old)
    try:
        temporary.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _recover(folder: Path) -> None:
    """Put back what stepped aside for a run that was killed before its own was in place; remove what it left."""
    for old in leftovers(folder.parent, "old", folder.name):
        if not folder.exists():
            with suppress(OSError):
                old.rename(folder)
    for ending in ("old", "tmp"):
        sweep(folder.parent, ending, folder.name)


def _write_csv(path: Path, labels: Labels) -> None:
    columns = {"label": labels.names, **{rank: codes.cast(pa.string()) for rank, codes in labels.lineage.items()}}
    if labels.common_names is not None:
        columns[COMMON_NAME] = labels.common_names
    pa_csv.write_csv(pa.table(columns), path)
    sync(path)


def read_about(folder: Path) -> dict[str, Any]:
    """What the embeddings of a folder are of, from its about.json.

    Raises:
        BadInputError: it is no folder of label embeddings.
    """
    try:
        about = json.loads((folder / ABOUT_FILE).read_bytes())
        texts = ("prompt_set", "model_hash", "variant", "activation", "labels_sha256")
        kinds = dict.fromkeys(texts, str) | {"logit_scale": float}
        is_ours = about["schema_version"] == SCHEMA_VERSION
        wrong = [name for name, kind in kinds.items() if is_ours and not isinstance(about[name], kind)]
        if wrong or not is_ours:
            raise ValueError(f"{(*wrong, 'schema_version')[0]} is not as expected in {ABOUT_FILE}")
    except DAMAGED as error:
        raise BadInputError(_unusable(folder, error)) from error
    return about


def read_label_embeddings(folder: Path, labels: Labels | None = None) -> LabelEmbeddings:
    """The list and embeddings of a folder of `write_label_embeddings`, the embeddings mapped.

    Args:
        folder: where they lie.
        labels: the list in it, if it was read before.

    Raises:
        BadInputError: it is no such folder, or damaged.
    """
    about = read_about(folder)
    labels = read_labels(folder) if labels is None else labels
    try:
        label_CD = mapped(folder, about)
        if (labels.sha256, len(labels)) != (about["labels_sha256"], len(label_CD)):
            raise ValueError(f"{LABELS_FILE} has changed since it was written")
    except DAMAGED as error:
        raise BadInputError(_unusable(folder, error)) from error
    return LabelEmbeddings(labels, label_CD, about)


def _unusable(folder: Path, error: Exception) -> str:
    said = f"{Path(error.filename or folder).name}: {error.strerror}" if isinstance(error, OSError) else error
    return f"{folder}: no usable label embeddings ({said}); make them again, or give the list itself"
