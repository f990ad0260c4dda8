"""XXH64 over arrays against known values."""

import pytest

from bench.xxh64 import xxh64


@pytest.mark.parametrize(
    ("text", "seed", "expected"),
    [
        ("", 0, 0xEF46DB3751D8E999),
        ("abc", 0, 0x44BC2CF5AD770999),
        ("xxhash", 20141025, 0xB559B98D844E0635),
        ("Nobody inspects the spammish repetition", 0, 0xFBCEA83C8A378BF1),
    ],
)
def test_known_vectors(text, seed, expected):
    # The vectors of the python-xxhash documentation.
    assert xxh64(text.encode(), seed) == expected
