"""XXH64 in plain Python, for the few taxon ids that the oracle needs. Source: the xxHash specification 0.1.1."""

from __future__ import annotations

MASK = (1 << 64) - 1
P1, P2, P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P4, P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def xxh64(data: bytes, seed: int = 0) -> int:
    """The hash as an unsigned 64-bit number. Spark's xxhash64 of one string has seed 42 and reads it as signed."""
    tail = len(data) // 32 * 32
    value = _body(data[:tail], seed) if tail else seed + P5
    value = (value + len(data)) & MASK
    while len(data) - tail >= 8:
        value = (_rotated(value ^ _round(0, _number(data, tail, 8)), 27) * P1 + P4) & MASK
        tail += 8
    if len(data) - tail >= 4:
        value = (_rotated(value ^ (_number(data, tail, 4) * P1 & MASK), 23) * P2 + P3) & MASK
        tail += 4
    for byte in data[tail:]:
        value = _rotated(value ^ (byte * P5 & MASK), 11) * P1 & MASK
    value = (value ^ value >> 33) * P2 & MASK
    value = (value ^ value >> 29) * P3 & MASK
    return value ^ value >> 32


def _body(data: bytes, seed: int) -> int:
    """The merged lanes after all whole stripes of 32 bytes."""
    lanes = [(seed + P1 + P2) & MASK, (seed + P2) & MASK, seed, (seed - P1) & MASK]
    for start in range(0, len(data), 32):
        lanes = [_round(lane, _number(data, start + 8 * index, 8)) for index, lane in enumerate(lanes)]
    value = sum(_rotated(lane, shift) for lane, shift in zip(lanes, (1, 7, 12, 18), strict=True))
    for lane in lanes:
        value = ((value ^ _round(0, lane)) * P1 + P4) & MASK
    return value


def _round(lane: int, number: int) -> int:
    return _rotated((lane + number * P2) & MASK, 31) * P1 & MASK


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & MASK


def _number(data: bytes, start: int, size: int) -> int:
    return int.from_bytes(data[start : start + size], "little")
