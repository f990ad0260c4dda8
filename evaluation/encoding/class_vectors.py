"""Class names -> class embeddings, each class encoded once per model and kept for every later task and run.

The store is a folder per model with part files that are never changed: processes add theirs by rename, and read
whatever is there.

Shapes: C classes, D embedding, V texts.
"""

import hashlib
import json
import logging
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
import torch

from evaluation.distributed import ALONE, Share
from evaluation.encoding.cache_file import write_cache
from evaluation.encoding.encoder import Encoder
from evaluation.encoding.prompts import class_prompts
from taxonomy.captions import CaptionFields
from taxonomy.errors import BadInputError

_LOG = logging.getLogger(__name__)

_PROMPTS_AT_ONCE = 4096
"""Prompts encoded and added up together: bounds the memory of 33,000 classes with 80 prompts each."""

_CLASSES_AT_ONCE = 4096
"""Encoded and written together: what an interrupted run loses at most, and what a part file holds."""

_FORM = "class vectors 1"
"""Changes when the same prompts give other vectors than before."""


def class_matrix(
    names: Sequence[str],
    fields: Mapping[str, CaptionFields],
    prompt_set: str,
    encoder: Encoder,
    cache_dir: Path | None = None,
    share: Share = ALONE,
) -> np.ndarray:
    """Unit rows [C, D], float32: per class the mean of its unit prompt embeddings, scaled to length 1.

    The same bytes from the cache as when they were made.

    Args:
        names: the class list.
        fields: class name -> its taxon, where known.
        prompt_set: of evaluation/encoding/prompts.py.
        encoder: encodes texts.
        cache_dir: of the whole run; the vectors lie in `prompts/` of it. None keeps nothing.
        share: this rank's part.

    Raises:
        BadInputError: no class, or one that has no text of this set.
    """
    return class_vectors(_Prompts(names, fields, prompt_set), encoder, cache_dir, share)


def class_vectors(
    prompts: Sequence[Sequence[str]], encoder: Encoder, cache_dir: Path | None = None, share: Share = ALONE
) -> np.ndarray:
    """As class_matrix, of classes given by their texts.

    Args:
        prompts: the texts of every class, at least one each.
        encoder: encodes texts.
        cache_dir: as class_matrix.
        share: this rank's part.

    Raises:
        BadInputError: no class, or a class without prompts.
    """
    if not len(prompts):
        raise BadInputError("no classes: a classification needs at least one")
    keys = [_key(texts) for texts in prompts]
    number_of = {key: number for number, key in enumerate(keys)}
    # what is known is what rank 0 knows: others may see other files
    store = None if cache_dir is None or share.rank else _Store(cache_dir / "prompts" / _model_key(encoder))
    known = store.read(set(number_of)) if store is not None else {}
    unknown = _unknown(list(number_of), known, share)
    # classes whose texts begin alike, as species of one genus, are encoded together
    unknown.sort(key=lambda key: (list(prompts[number_of[key]][:1]), key))
    for part in _parts(unknown):
        made_DC = class_embeddings([prompts[number_of[key]] for key in part], encoder, share)
        made_CD = made_DC.T.contiguous().cpu().numpy()
        known.update(zip(part, made_CD, strict=True))
        if store is not None:
            store.add(part, made_CD)
    return _of_rank_0(keys, known, share)


def _key(texts: Sequence[str]) -> bytes:
    """SHA-256 of a class's texts."""
    return hashlib.sha256(json.dumps(list(texts)).encode()).digest()


def _model_key(encoder: Encoder) -> str:
    """Folder name of one model: what its text embeddings depend on."""
    facts = [_FORM, encoder.hash, encoder.variant]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _unknown(keys: list[bytes], known: Mapping[bytes, np.ndarray], share: Share) -> list[bytes]:
    """The keys that rank 0 does not know."""
    is_unknown = torch.tensor([share.rank == 0 and key not in known for key in keys], dtype=torch.int64)
    return list(compress(keys, share.sum_over_ranks(is_unknown).tolist()))


def _parts(keys: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(keys), _CLASSES_AT_ONCE):
        yield keys[start : start + _CLASSES_AT_ONCE]


def _of_rank_0(keys: list[bytes], known: Mapping[bytes, np.ndarray], share: Share) -> np.ndarray:
    """The vectors [C, D] in the order of the keys, the same bytes on every rank."""
    width = len(known[keys[0]]) if share.rank == 0 else 0
    width = int(share.sum_over_ranks(torch.tensor(width)))
    class_CD = np.zeros((len(keys), width), np.float32)
    if share.rank == 0:
        np.stack([known[key] for key in keys], out=class_CD)
    return share.sum_over_ranks(torch.from_numpy(class_CD)).numpy()


@dataclass(frozen=True)
class _Prompts(Sequence[list[str]]):
    """The texts of every class of a list, made when asked for: 80 each of a million would not fit in memory."""

    names: Sequence[str]
    fields: Mapping[str, CaptionFields]
    prompt_set: str

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, number: int) -> list[str]:  # pyright: ignore[reportIncompatibleMethodOverride]  # no slices are taken
        return class_prompts(self.names[number], self.prompt_set, self.fields)


@dataclass(frozen=True)
class _Store:
    """One model's part files, each `key_C32` (SHA-256 per class) and `vector_CD`."""

    folder: Path

    def read(self, wanted: set[bytes]) -> dict[bytes, np.ndarray]:
        """The vectors that are there; part files that are damaged are passed over, saying so."""
        found: dict[bytes, np.ndarray] = {}
        for path in sorted(self.folder.glob("*.npz")):
            try:
                with np.load(path, allow_pickle=False) as part:  # its checksums are compared on reading
                    keys = [key.tobytes() for key in part["key_C32"]]
                    if not wanted.isdisjoint(keys):
                        pairs = zip(keys, _checked(part["vector_CD"]), strict=True)
                        found.update((key, vector_D) for key, vector_D in pairs if key in wanted)
            except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
                _LOG.warning("%s is damaged (%s): its classes are encoded again", path, error)
        return found

    def add(self, keys: Sequence[bytes], vector_CD: np.ndarray) -> None:
        """Keep them, as one file; vectors with numbers that are none are not worth it."""
        if not np.isfinite(vector_CD).all():
            return
        key_C32 = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), 32)
        name = hashlib.sha256(key_C32.tobytes()).hexdigest()[:32]
        write_cache(self.folder / f"{name}.npz", lambda file: np.savez(file, key_C32=key_C32, vector_CD=vector_CD))


def _checked(vector_CD: np.ndarray) -> np.ndarray:
    """The vectors of a part file.

    Raises:
        ValueError: they are no finite float32 rows.
    """
    if vector_CD.dtype != np.float32 or vector_CD.ndim != 2 or not np.isfinite(vector_CD).all():
        raise ValueError(f"vectors of {vector_CD.dtype}, shape {vector_CD.shape}, or not finite")
    return vector_CD


def class_embeddings(prompts: Sequence[Sequence[str]], encoder: Encoder, share: Share = ALONE) -> torch.Tensor:
    """Unit embeddings [D, C], float32: the mean of a class's unit prompt embeddings, scaled to length 1.

    Each distinct prompt is encoded once, whatever classes share it.

    Args:
        prompts: the texts of every class, at least one each.
        encoder: encodes texts.
        share: this rank's part.

    Raises:
        BadInputError: no class, or a class without prompts.
    """
    if not prompts or not all(prompts):
        raise BadInputError("zero-shot needs at least one class, and at least one prompt for each")
    uses: dict[str, list[int]] = {}
    for number, texts in enumerate(prompts):
        for text in texts:
            uses.setdefault(text, []).append(number)
    texts = sorted(uses)  # what begins alike stays together, on one rank
    own = texts[share.rank * len(texts) // share.size : (share.rank + 1) * len(texts) // share.size]
    sum_CD = _sum_by_class(own, uses, len(prompts), encoder)
    sum_CD = share.sum_over_ranks(sum_CD)
    return torch.nn.functional.normalize(sum_CD, dim=1).float().T.contiguous()


def _sum_by_class(texts: list[str], uses: dict[str, list[int]], num_classes: int, encoder: Encoder) -> torch.Tensor:
    """Sum [C, D] of the embeddings of these texts by class; fp64, so that the order of adding leaves no trace."""
    any_1D = encoder.encode_texts(["a"])  # tells width and device also where this rank has no prompt
    sum_CD = torch.zeros(num_classes, any_1D.shape[1], dtype=torch.float64, device=any_1D.device)
    for start in range(0, len(texts), _PROMPTS_AT_ONCE):
        part = texts[start : start + _PROMPTS_AT_ONCE]
        text_VD = encoder.encode_texts(part).double()
        rows = [(row, number) for row, text in enumerate(part) for number in uses[text]]
        row_P, class_P = torch.tensor(rows, device=any_1D.device).T
        sum_CD.index_add_(0, class_P, text_VD[row_P])
    return sum_CD
