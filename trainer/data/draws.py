"""Counter-based randomness: every draw is a function of what it is for, whoever makes it and whenever.

Nothing here keeps a state, so that workers, ranks and resumed runs agree. Hashes and permutations are made of integer
arithmetic alone and stay the same in every version of Python and NumPy.
"""

import hashlib

import numpy as np

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_M1, _M2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def hash64(*numbers: int) -> int:
    """An unsigned 64-bit hash of any integers; order and count matter.

    Source: the mixing function of SplitMix64 (Steele, Lea and Flood: Fast Splittable Pseudorandom Number Generators,
    OOPSLA 2014).
    """
    state = _mix(len(numbers) + _GOLDEN)
    for number in numbers:
        state = _mix((state ^ _mix(number & _MASK)) + _GOLDEN)
    return state


def hash_text(text: str) -> int:
    """A signed 64-bit hash of a text (BLAKE2b of its UTF-8), for taxon ids of pairs that bring none.

    Only equality matters to the losses, so that this need not be the hash that the data pipeline gives its taxa.
    """
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


def generator(seed: int, epoch: int, item: int, purpose: str) -> np.random.Generator:
    """A generator of its own for one use (`purpose`) of one item in one epoch."""
    return np.random.Generator(np.random.Philox(key=hash64(seed, epoch, item, hash_text(purpose))))


def permutation(n: int, *keys: int) -> np.ndarray:
    """The numbers 0 .. n-1, int64, in an order that is a function of n and the keys."""
    start = np.uint64(hash64(n, *keys))
    with np.errstate(over="ignore"):
        # The mix is one to one, so that no two numbers share a sort key.
        return np.argsort(_mix_array(start + np.arange(n, dtype=np.uint64) * np.uint64(_GOLDEN)), kind="stable")


def _mix(value: int) -> int:
    value &= _MASK
    value = (value ^ value >> 30) * _M1 & _MASK
    value = (value ^ value >> 27) * _M2 & _MASK
    return value ^ value >> 31


def _mix_array(value: np.ndarray) -> np.ndarray:
    value = (value ^ value >> np.uint64(30)) * np.uint64(_M1)
    value = (value ^ value >> np.uint64(27)) * np.uint64(_M2)
    return value ^ value >> np.uint64(31)
