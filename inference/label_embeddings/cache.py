"""Label embeddings in the cache: an entry is a folder `labels/<key>/` with `embeddings.npy` and `about.json`.

The latter is written last; until then the folder holds `part-<number>.npz`, which an interrupted run leaves behind.

Shapes: C labels, D embedding, P labels of a part.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.encoding.cache_file import write_cache
from inference.label_embeddings.vector_file import map_vectors, write_vectors
from inference.labels.labels import Labels
from inference.leftovers import sweep
from inference.predict.config import ABOUT_FILE
from taxonomy.errors import WorkFailedError
from taxonomy.whole_file import write_whole

if TYPE_CHECKING:
    from evaluation.encoding.encoder import OpenClipEncoder

_LOG = logging.getLogger(__name__)

EMBEDDINGS_FILE = "embeddings.npy"

SCHEMA_VERSION = 2
"""Changes when the same texts give other embeddings than before, or files of another form."""

DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True)
class LabelEmbeddings:
    """A list with the embeddings of its labels.

    Attributes:
        labels: the list.
        label_CD: unit rows, float32 or float16, mapped from a file where there is one.
        about: schema_version, model_hash, variant (activation and precision), activation, prompt_set, labels_sha256,
            logit_scale, num_labels, embed_dim, dtype; of those in a file also its `sums`.
    """

    labels: Labels
    label_CD: np.ndarray
    about: Mapping[str, Any]


def about_of(labels: Labels, prompt_set: str, encoder: "OpenClipEncoder") -> dict[str, Any]:
    """What embeddings are of; without their width."""
    return {
        "schema_version": SCHEMA_VERSION,
        "model_hash": encoder.hash,
        "variant": encoder.variant,
        "activation": encoder.facts.activation,
        "prompt_set": prompt_set,
        "labels_sha256": labels.sha256,
        "logit_scale": encoder.logit_scale,
        "num_labels": len(labels),
        "dtype": "float32",
    }


class CacheEntry:
    """The files of one list, model and prompt set in the cache.

    Attributes:
        folder: where they lie.
    """

    def __init__(self, cache_dir: Path, labels: Labels, prompt_set: str, encoder: "OpenClipEncoder"):
        self._labels = labels
        self._about = about_of(labels, prompt_set, encoder)
        key = json.dumps([self._about[name] for name in ("schema_version", *_KEYS)])
        self.folder = cache_dir / "labels" / hashlib.sha256(key.encode()).hexdigest()[:32]
        self._keeps_parts = True

    def read(self) -> LabelEmbeddings | None:
        """What is kept; None if nothing is, or it is damaged, which is logged."""
        try:
            about = json.loads((self.folder / ABOUT_FILE).read_bytes())
            label_CD = mapped(self.folder, about)
            if any(about[name] != value for name, value in self._about.items()):
                raise ValueError(f"its {ABOUT_FILE} is of something else")
            self._clear()
            return LabelEmbeddings(self._labels, label_CD, about)
        except FileNotFoundError:
            pass
        except DAMAGED as error:
            _LOG.warning("%s is damaged (%s): its labels are embedded again", self.folder, error)
        return None

    def read_part(self, number: int, num_rows: int) -> np.ndarray | None:
        """A part [P, D] of an interrupted run; None if it is not there or damaged."""
        path = self._part(number)
        try:
            with np.load(path, allow_pickle=False) as part:  # its checksums are compared on reading
                part_PD = part["label_PD"]
            if part_PD.dtype == np.float32 and part_PD.ndim == 2 and len(part_PD) == num_rows:
                return part_PD
            _LOG.warning("%s is of another form: its labels are embedded again", path)
        except FileNotFoundError:
            pass
        except DAMAGED as error:
            _LOG.warning("%s is damaged (%s): its labels are embedded again", path, error)
        return None

    def keep_part(self, number: int, part_PD: np.ndarray) -> None:
        """Keep a part; a full disk costs one warning."""
        if self._keeps_parts:
            self._keeps_parts = write_cache(self._part(number), lambda file: np.savez(file, label_PD=part_PD))

    def finish(self, parts: Iterator[np.ndarray]) -> LabelEmbeddings | None:
        """All parts in one file, mapped, the others removed; None if it could not be written, which is logged."""
        temporary = self.folder / f".{EMBEDDINGS_FILE}.{os.getpid()}.tmp"
        first_PD = next(parts)
        shape = (len(self._labels), first_PD.shape[1])
        try:
            self._make_room(2 * shape[0] * shape[1] * first_PD.itemsize)  # the parts and the whole
            sums = write_vectors(temporary, _again(first_PD, parts), shape, "float32")
            about = self._about | {"embed_dim": shape[1], "sums": sums}
            temporary.replace(self.folder / EMBEDDINGS_FILE)
            write_whole(self.folder / ABOUT_FILE, json.dumps(about).encode())
            label_CD = mapped(self.folder, about)
        except (OSError, ValueError, WorkFailedError) as error:
            if isinstance(error, WorkFailedError) and not isinstance(error.__cause__, OSError):
                raise
            _LOG.warning("cannot keep label embeddings in %s (%s): the next run makes them again", self.folder, error)
            return None
        finally:
            with suppress(OSError):
                temporary.unlink()
        self._clear()
        return LabelEmbeddings(self._labels, label_CD, about)

    def _clear(self) -> None:
        """Remove what a whole entry does not need, as after a run that was killed before it did."""
        sweep(self.folder, "tmp")
        for path in self.folder.glob("part-*.npz"):
            with suppress(OSError):
                path.unlink()

    def _make_room(self, num_bytes: int) -> None:
        """Make the folder, without what runs that were killed left in it.

        Raises:
            OSError: there are not so many bytes free.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        sweep(self.folder, "tmp")
        kept = sum(path.stat().st_size for path in self.folder.glob("part-*.npz"))
        if shutil.disk_usage(self.folder).free < num_bytes - kept:
            self._keeps_parts = False
            raise OSError(errno.ENOSPC, f"{num_bytes / 1e9:.1f} GB are needed")

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number:06}.npz"


_KEYS = ("model_hash", "variant", "prompt_set", "labels_sha256")


def _again(first: np.ndarray, others: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from others


def mapped(folder: Path, about: Mapping[str, Any]) -> np.ndarray:
    """The embeddings [C, D] of a folder.

    Raises:
        OSError, ValueError, KeyError, TypeError: they are not there, or not what `about` says.
    """
    if about["schema_version"] != SCHEMA_VERSION or about["dtype"] not in ("float32", "float16"):
        raise ValueError(f"schema_version {about['schema_version']}, {about['dtype']}: not known here")
    shape = (int(about["num_labels"]), int(about["embed_dim"]))
    return map_vectors(folder / EMBEDDINGS_FILE, shape, about["dtype"], about["sums"])
