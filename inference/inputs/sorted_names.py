"""Names in order, however many a folder holds: what does not fit in a bounded memory waits in a temporary file."""

import heapq
import json
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO

NAMES_AT_ONCE = 100_000
"""Sorted in memory, about 10 MB."""


def sorted_names(names: Iterable[str], at_once: int = NAMES_AT_ONCE) -> Iterator[str]:
    """The names in the order of their letters; all are taken before the first comes back.

    Args:
        names: any texts, those with letters that are no Unicode too.
        at_once: names in memory.

    Raises:
        OSError: the temporary file cannot be written.
    """
    names = iter(names)
    part = sorted(islice(names, at_once))
    parts: list[Iterable[str]] = [part]
    while len(part) == at_once:
        parts[-1] = _stored(part)
        part = sorted(islice(names, at_once))
        parts.append(part)
    return heapq.merge(*parts)


def _stored(part: list[str]) -> Iterator[str]:
    file = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115  # closed by its last reader
    file.writelines(json.dumps(name) + "\n" for name in part)
    file.seek(0)
    return _read(file)


def _read(file: IO[str]) -> Iterator[str]:
    with file:
        for line in file:
            yield json.loads(line)
