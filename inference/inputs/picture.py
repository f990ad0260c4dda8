"""What the commands that look at pictures work through: one picture after the other, however many there are."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the inputs.

    Attributes:
        key: what people know it by: its path as found, its URL, or its photo id.
        source: its file, or what reads its bytes (picklable); None where it could not be had.
        reason: why there is no source ("gone", "No such file or directory").
    """

    key: str
    source: Path | Callable[[], bytes] | None
    reason: str | None = None


@dataclass(frozen=True)
class Inputs:
    """All pictures that a command was given.

    Attributes:
        name: for titles.
        total: their number; None where it is not known.
        fingerprint: hex SHA-256 that changes when the list of pictures does: of files their paths, sizes and times of
            change, of shards what the manifest says, of a list of URLs the URLs.
        pictures: begins to go through them.
    """

    name: str
    total: int | None
    fingerprint: str
    pictures: Callable[[], Iterator[Picture]]

    def __iter__(self) -> Iterator[Picture]:
        """The pictures, the same in the same order every time, never all of them in memory.

        Raises:
            WorkFailedError: the rest cannot be had, as where a shard is lost or not one photo of a list came.
        """
        return self.pictures()


_ESCAPE = re.compile(rb"\\x[0-9a-f]{2}")


def text_of(path: str | Path) -> str:
    r"""A path as text that can be written anywhere, no two paths alike: a byte that is no UTF-8 becomes `\xe9`.

    Only in such a path, and in one that has these four characters itself, `\` becomes `\\`.
    """
    name = os.fsencode(path)
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return name.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    return text.replace("\\", "\\\\") if _ESCAPE.search(name) else text
