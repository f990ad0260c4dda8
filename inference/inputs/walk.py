"""Files and folders that were named -> every picture of them once, in one order, whatever links there are.

Of a folder its pictures come first, then its sub-folders, each in the order of their names. Hidden files and folders
are passed over, unless they are named. A folder that several ways lead to is gone through once.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.benchmarks.folder import PICTURE_SUFFIXES
from inference.inputs.sorted_names import sorted_names
from taxonomy.errors import BadInputError

SUFFIXES = (*PICTURE_SUFFIXES, ".gif", ".tif", ".tiff", ".bmp", ".ppm")
"""Endings of the files of a folder that count as pictures, whatever their case; a file that is named may have any."""


@dataclass(frozen=True, slots=True)
class Found:
    """A picture, or what stands where one should be.

    Attributes:
        path: as found.
        size: bytes.
        time_ns: of its last change.
        reason: why it cannot be read; None where it can.
    """

    path: str
    size: int = 0
    time_ns: int = 0
    reason: str | None = None


class Walk:
    """One way through files and folders.

    Attributes:
        num_passed_over: files of folders that are no pictures by their names, so far.
        num_repeated: words that name what others name already.
    """

    def __init__(self, words: Sequence[str]):
        """Look at what is named.

        Raises:
            BadInputError: a word is no file and no folder.
        """
        self.num_passed_over, self.num_repeated = 0, 0
        self._words = [_named(word) for word in words]
        self._gone_through: set[Path] = set()
        """Real paths of the folders that are searched through to their ends."""

    def __iter__(self) -> Iterator[Found]:
        for path in self._once_each():
            if path.is_dir():
                yield from self._folder(str(path))
            else:
                yield _look(str(path))

    def _once_each(self) -> list[Path]:
        """The words without those that others lead to."""
        real = {word: word.resolve() for word in self._words}
        folders = sorted({one for one in real.values() if one.is_dir()}, key=lambda one: len(one.parts))
        for folder in folders:
            if not self._is_covered(folder):
                self._gone_through.add(folder)
        kept: dict[Path, Path] = {}
        for word, own in real.items():
            is_new = own in self._gone_through if own.is_dir() else not (_is_picture(own) and self._is_covered(own))
            if is_new:
                kept.setdefault(own, word)
        self.num_repeated = len(self._words) - len(kept)
        return list(kept.values())

    def _is_covered(self, real: Path) -> bool:
        """Whether the way through one of the folders leads here by itself, without links."""
        ways = (real.relative_to(one) for one in (real, *real.parents) if one in self._gone_through)
        return any(not any(part.startswith(".") for part in way.parts) for way in ways)

    def _folder(self, top: str) -> Iterator[Found]:
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            below: list[str] = []
            broken: list[Found] = []
            for name in sorted_names(self._pictures(folder, below, broken)):
                yield _look(f"{folder.rstrip('/')}/{name}")
            yield from broken
            waiting += sorted(below, reverse=True)

    def _pictures(self, folder: str, below: list[str], broken: list[Found]) -> Iterator[str]:
        """Names of a folder's pictures as the disk lists them.

        Args:
            folder: its path.
            below: gets the paths of the folders in it that are still to be gone through.
            broken: gets the folder itself where it cannot be read.
        """
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if _is_folder(entry):
                        if self._is_new(entry):
                            below.append(entry.path)
                    elif _is_picture(entry.name):
                        yield entry.name
                    else:
                        self.num_passed_over += 1
        except OSError as error:
            broken.append(Found(folder, reason=f"folder cannot be read: {error.strerror}"))

    def _is_new(self, entry: "os.DirEntry[str]") -> bool:
        """Whether a folder in a folder is to be gone through here; it then counts as such."""
        if not entry.is_symlink():
            return not self._gone_through or Path(os.path.realpath(entry.path)) not in self._gone_through
        real = Path(os.path.realpath(entry.path))
        if self._is_covered(real):
            return False
        self._gone_through.add(real)
        return True


def _named(word: str) -> Path:
    path = Path(word)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL in it
        raise BadInputError(
            f"{word}: {getattr(error, 'strerror', None) or error}; name pictures and folders"
        ) from error
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise BadInputError(f"{word}: neither a file nor a folder; name pictures and folders")
    return path


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_picture(name: str | Path) -> bool:
    return os.fspath(name).lower().endswith(SUFFIXES)


def _look(path: str) -> Found:
    """The picture as it is now; a FIFO, which would be waited for, a broken link and the like have a reason."""
    try:
        found = os.stat(path)  # noqa: PTH116  # paths that differ from what they were found as would not be found again
    except OSError as error:
        return Found(path, reason=error.strerror or "cannot be read")
    if not stat.S_ISREG(found.st_mode):
        return Found(path, reason="not a file")
    return Found(path, found.st_size, found.st_mtime_ns)
