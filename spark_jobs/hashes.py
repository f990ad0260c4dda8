"""The three hashes that decide which photos a dataset keeps, their split and their order.

Each is `xxhash64(salt STRING, seed BIGINT, key)` with a salt of its own. With one hash for all three, the photos that
a cap keeps (small hashes) would all fall into the test split, and a split would fill only a part of the order.

Since the key of `cap` and `order` is a BIGINT, each of the two maps different photos to different hashes: the last step
of xxhash64 over eight bytes can be undone. There are no ties.
"""

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column

_FRACTION_BITS = 53
"""A double holds so many bits exactly."""


def cap_hash(seed: int) -> "Column":
    """BIGINT of photo_id; the cap keeps the smallest of a species, compared as signed numbers."""
    return _salted("cap", seed, "photo_id")


def split_hash(seed: int) -> "Column":
    """BIGINT of group_id: the photos of one observation share it."""
    return _salted("split", seed, "group_id")


def order_hash(seed: int) -> "Column":
    """BIGINT of photo_id; a dataset's photos are stored in its order, compared as signed numbers."""
    return _salted("order", seed, "photo_id")


def split_column(seed: int, val: float, test: float) -> "Column":
    """`test`, `val` or `train`, by the split hash as a fraction u: test if u < test, val if u < test + val."""
    fraction = unsigned_fraction(split_hash(seed))
    return F.when(fraction < test, "test").when(fraction < test + val, "val").otherwise("train")


def unsigned_fraction(hash_column: "Column") -> "Column":
    """DOUBLE in [0, 1): a BIGINT's bits read as an unsigned number, over 2^64, cut (not rounded) to 53 bits."""
    leading_bits = F.shiftrightunsigned(hash_column, 64 - _FRACTION_BITS)
    return leading_bits.cast("double") / F.lit(float(2**_FRACTION_BITS))


def _salted(salt: str, seed: int, key: str) -> "Column":
    # An INT seed hashes differently from the same BIGINT.
    return F.xxhash64(F.lit(salt), F.lit(seed).cast("bigint"), F.col(key))
