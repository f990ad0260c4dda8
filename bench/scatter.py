"""Integer hashes and permutations: randomness that depends on an index and a seed, on nothing else.

Every generated value is a function of (row index, seed), so a row is the same on every machine, for every number of
files and for every order of making them. Random generators whose streams may change with numpy are not used.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

UInts = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

GOLDEN = 0x9E3779B97F4A7C15
MASK64 = 0xFFFFFFFFFFFFFFFF


def mix64(values: npt.ArrayLike, salt: int) -> UInts:
    """A well mixed uint64 per value. Source: the finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    mixed = np.asarray(values).astype(np.uint64) + np.uint64((salt + 1) * GOLDEN & MASK64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def salt_of(seed: int, purpose: str) -> int:
    """A salt for one purpose under one seed, so that no two decisions share their hash."""
    salt = seed & MASK64
    for byte in purpose.encode():
        salt = int(mix64(np.array([salt ^ byte], dtype=np.uint64), 1)[0])
    return salt


def below(values: npt.ArrayLike, salt: int, limit: int) -> Ints:
    """An integer in [0, limit) per value, close to uniform. limit is at least 1."""
    return (mix64(values, salt) % np.uint64(limit)).astype(np.int64)


class Permutation:
    """A fixed shuffle of [0, size) that is evaluated at any indices without storing the rest."""

    def __init__(self, size: int, salt: int) -> None:
        """For indices in [0, size); size is at least 1."""
        self.size = size
        self.bits = max(4, (size - 1).bit_length())
        self.keys = [int(key) for key in mix64(np.arange(8), salt)]

    def __call__(self, indices: npt.ArrayLike) -> Ints:
        """The image of each index, as int64. Values outside [0, size) walk on along their cycle until inside."""
        image = self._step(np.asarray(indices).astype(np.uint64))
        outside = np.flatnonzero(image >= self.size)
        while outside.size:
            image[outside] = self._step(image[outside])
            outside = outside[image[outside] >= self.size]
        return image.astype(np.int64)

    def _step(self, values: UInts) -> UInts:
        """One bijection of [0, 2**bits): odd multiplication, addition and xor-shift, four times."""
        mask, shift = np.uint64((1 << self.bits) - 1), np.uint64(self.bits // 2 + 1)
        for factor, offset in zip(self.keys[::2], self.keys[1::2], strict=True):
            values = (values * np.uint64(factor | 1) + np.uint64(offset)) & mask
            values = values ^ (values >> shift)
        return values
