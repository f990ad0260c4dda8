"""xxhash64 as Spark computes it, in plain Python: the independent side of every test about hashes."""

import struct

SPARK_SEED = 42
_BITS = 2**64 - 1
_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def xxh64(data: bytes, seed: int) -> int:
    """Unsigned XXH64 of the bytes. Source: the specification, doc/xxhash_spec.md of Cyan4973/xxHash."""
    num_stripes = len(data) // 32
    total = _stripes(data[: 32 * num_stripes], seed) if num_stripes else (seed + _P5) & _BITS
    total = (total + len(data)) & _BITS
    tail = data[32 * num_stripes :]
    while len(tail) >= 8:
        total = (_turn(total ^ _mixed(0, struct.unpack("<Q", tail[:8])[0]), 27) * _P1 + _P4) & _BITS
        tail = tail[8:]
    if len(tail) >= 4:
        total = (_turn(total ^ (struct.unpack("<I", tail[:4])[0] * _P1 & _BITS), 23) * _P2 + _P3) & _BITS
        tail = tail[4:]
    for byte in tail:
        total = _turn(total ^ (byte * _P5 & _BITS), 11) * _P1 & _BITS
    total = (total ^ total >> 33) * _P2 & _BITS
    total = (total ^ total >> 29) * _P3 & _BITS
    return total ^ total >> 32


def spark_xxhash64(*values: str | int) -> int:
    """What `xxhash64(...)` gives for STRING and BIGINT arguments: each hash is the seed of the next."""
    total = SPARK_SEED
    for value in values:
        total = xxh64(value.encode() if isinstance(value, str) else struct.pack("<q", value), total)
    return total - 2**64 if total >= 2**63 else total


def _turn(number: int, bits: int) -> int:
    return (number << bits | number >> 64 - bits) & _BITS


def _mixed(lane_total: int, lane: int) -> int:
    return _turn((lane_total + lane * _P2) & _BITS, 31) * _P1 & _BITS


def _stripes(data: bytes, seed: int) -> int:
    lanes = [(seed + _P1 + _P2) & _BITS, (seed + _P2) & _BITS, seed, (seed - _P1) & _BITS]
    for at in range(0, len(data), 32):
        lanes = [_mixed(old, new) for old, new in zip(lanes, struct.unpack("<4Q", data[at : at + 32]), strict=True)]
    total = sum(_turn(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & _BITS
    for lane in lanes:
        total = ((total ^ _mixed(0, lane)) * _P1 + _P4) & _BITS
    return total
