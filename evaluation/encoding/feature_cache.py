"""Embeddings of pictures kept for later runs, under a name that holds all that they depend on. No torch.

Two files each: `<key>.npy`, the embeddings, and `<key>.json` with a checksum over both, which is written last. What
does not fit its checksum is made anew.

Shapes: N readable pictures, D embedding.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluation.encoding.cache_file import write_cache
from evaluation.encoding.preprocess import Preprocess

_LOG = logging.getLogger(__name__)

_FORM = "picture features 1"
"""Changes when the same pictures give other embeddings than before."""

Unreadable = list[tuple[int, str]]
"""Number among the pictures with a file, and the reason."""


class CachedFeatures(NamedTuple):
    """What one entry holds."""

    image_ND: np.ndarray
    unreadable: Unreadable


def features_key(
    encoder_facts: Sequence[str], preprocess: Preprocess, keys: Sequence[str], sources: Sequence[Any]
) -> str:
    """Hex SHA-256 of what the embeddings depend on.

    Args:
        encoder_facts: hash and variant of the encoder.
        preprocess: of the pictures.
        keys: of the pictures.
        sources: of the pictures. A file counts by its size and time, and so does the file that a reader names as
            `path`, with the reader's other fields; of any other reader the bytes count.
    """
    digest = hashlib.sha256(json.dumps([_FORM, *encoder_facts, preprocess.to_dict(), len(keys)]).encode())
    stamp = lru_cache(maxsize=65536)(_stamp)
    for key, source in zip(keys, sources, strict=True):
        digest.update(json.dumps([key, *_identity(source, stamp)]).encode())
    return digest.hexdigest()


def _identity(source: Any, stamp: Callable[[Path], list[Any]]) -> list[Any]:
    if isinstance(source, Path):
        return stamp(source)
    path = getattr(source, "path", None)
    if isinstance(path, Path) and is_dataclass(source):
        return [*stamp(path), *(str(getattr(source, field.name)) for field in fields(source) if field.name != "path")]
    return _content(source)


def _content(read: Any) -> list[Any]:
    try:
        return [hashlib.sha256(read()).hexdigest()]
    except OSError as error:
        return [os.strerror(error.errno) if error.errno else "unreadable"]


def _stamp(path: Path) -> list[Any]:
    """Size in bytes and time of the last change, ns; nothing for a file that is gone."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def read_features(cache_dir: Path, key: str) -> CachedFeatures | None:
    """The entry, its embeddings mapped from the file; None if it is not there or damaged, which is logged."""
    embeddings, facts = _files(cache_dir, key)
    try:
        stored = json.loads(facts.read_bytes())
        image_ND = np.load(embeddings, mmap_mode="c", allow_pickle=False)
        kept = CachedFeatures(image_ND, [(int(number), str(reason)) for number, reason in stored["unreadable"]])
        if stored["sha256"] == _checksum(kept):
            return kept
        _LOG.warning("%s does not fit its checksum: its pictures are encoded again", embeddings)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        _LOG.warning("%s is damaged (%s): its pictures are encoded again", facts, error)
    return None


def write_features(cache_dir: Path, key: str, kept: CachedFeatures) -> None:
    """Keep an entry; a full disk costs a warning."""
    embeddings, facts = _files(cache_dir, key)
    content = {"unreadable": kept.unreadable, "shape": kept.image_ND.shape, "sha256": _checksum(kept)}
    if write_cache(embeddings, lambda file: np.save(file, kept.image_ND, allow_pickle=False)):
        write_cache(facts, lambda file: file.write(json.dumps(content).encode()))


def _files(cache_dir: Path, key: str) -> tuple[Path, Path]:
    folder = cache_dir / "features"
    return folder / f"{key}.npy", folder / f"{key}.json"


def _checksum(kept: CachedFeatures) -> str:
    header = [kept.image_ND.dtype.str, list(kept.image_ND.shape), [list(one) for one in kept.unreadable]]
    digest = hashlib.sha256(json.dumps(header).encode())
    digest.update(np.ascontiguousarray(kept.image_ND).data)
    return digest.hexdigest()
