"""Which pictures a few-shot classifier learns from: the same for every model, chosen by hash, written as JSON.

A picture's place among those of its class comes from the SHA-256 of "fold:key", so no random generator, no order of
the pictures and no other class has a say in it; the support of 1 shot is part of the support of 5.

Shapes: N pictures with a label, C classes.

Source: docs/design.md, Few-shot and probe.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SCHEMA_VERSION = 1
"""Version of the split file."""


@dataclass(frozen=True)
class Split:
    """The order in which the pictures of each class are taken as support.

    Attributes:
        class_N: int64, class of each picture.
        keys: what names each picture, as in its benchmark's file.
        ks: numbers of shots it is for, ascending.
        place_FN: int64, per fold and picture its place in its class's order, 0 first.
    """

    class_N: np.ndarray
    keys: Sequence[str]
    ks: tuple[int, ...]
    place_FN: np.ndarray

    @property
    def num_folds(self) -> int:
        """Number of folds."""
        return len(self.place_FN)

    def is_kept_C(self, k: int) -> np.ndarray:
        """Per class, bool, whether it has more than k pictures: k to learn from and at least one to be tested on."""
        return np.bincount(self.class_N) > k

    def support(self, fold: int, k: int) -> np.ndarray:
        """int64, numbers of the pictures learnt from, ascending: k of every class that is kept."""
        return np.flatnonzero(self.is_kept_C(k)[self.class_N] & (self.place_FN[fold] < k))

    def queries(self, fold: int, k: int) -> np.ndarray:
        """int64, numbers of the pictures tested, ascending: all others of the classes that are kept."""
        return np.flatnonzero(self.is_kept_C(k)[self.class_N] & (self.place_FN[fold] >= k))

    def to_json(self) -> str:
        """The file's text: per fold and class the keys in the order they are taken, as many as the most shots."""
        record = {
            "schema_version": SCHEMA_VERSION,
            "rule": "per class: sorted by SHA-256 of 'fold:key'; the first k are the support, if there are more than k",
            "ks": list(self.ks),
            "num_images": len(self.keys),
            "folds": [self._firsts(fold) for fold in range(self.num_folds)],
        }
        return json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"

    def _firsts(self, fold: int) -> dict[str, list[str]]:
        place_N = self.place_FN[fold]
        chosen = np.flatnonzero((place_N < max(self.ks, default=0)) & self.is_kept_C(min(self.ks))[self.class_N])
        firsts: dict[str, list[str]] = {}
        for number in chosen[np.lexsort((place_N[chosen], self.class_N[chosen]))]:
            firsts.setdefault(str(self.class_N[number]), []).append(self.keys[int(number)])
        return firsts

    @property
    def sha256(self) -> str:
        """Hex, of the file's bytes."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def make_split(class_N: np.ndarray, keys: Sequence[str], ks: Sequence[int] = (1, 5), folds: int = 5) -> Split:
    """The one split of these pictures.

    Args:
        class_N: integers, class of each picture, from 0.
        keys: names of the pictures; of two equal ones of a class the first row comes first.
        ks: numbers of shots, at least one, each from 1.
        folds: number of folds.

    Raises:
        ValueError: keys and classes differ in number, or a number of shots or folds below 1.
    """
    class_N = np.asarray(class_N, dtype=np.int64)
    if len(keys) != len(class_N):
        raise ValueError(f"{len(class_N)} pictures with a class, {len(keys)} keys")
    if folds < 1 or not ks or min(ks) < 1:
        raise ValueError(f"shots {list(ks)}, folds {folds}: at least one of each, each from 1")
    place_FN = np.stack([_places(class_N, keys, str(fold)) for fold in range(folds)])
    return Split(class_N, keys, tuple(sorted(set(ks))), place_FN)


def deal(class_N: np.ndarray, keys: Sequence[str], folds: int = 5) -> np.ndarray:
    """int64 [N], the fold in which each picture is tested: every class is dealt out evenly (stratified folds)."""
    return _places(np.asarray(class_N, dtype=np.int64), keys, "stratified") % folds


def _places(class_N: np.ndarray, keys: Sequence[str], salt: str) -> np.ndarray:
    """int64 [N], each picture's place in its class by SHA-256 of "salt:key", equal keys in the order of the rows."""
    digests = b"".join(hashlib.sha256(f"{salt}:{key}".encode()).digest() for key in keys)
    digest_N4 = np.frombuffer(digests, ">u8").reshape(-1, 4)
    order_N = np.lexsort((*digest_N4.T[::-1], class_N))
    count_C = np.bincount(class_N)
    start_C = np.cumsum(count_C) - count_C
    place_N = np.empty(len(class_N), np.int64)
    place_N[order_N] = np.arange(len(class_N)) - np.repeat(start_C, count_C)
    return place_N
