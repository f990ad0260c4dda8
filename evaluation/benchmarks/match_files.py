"""Paths, photo ids and URLs of a CSV -> the files below a folder that they mean.

A CSV's path is of another machine. Its file is the one below the root that agrees with it in the most path parts,
counted from the end. A row's file is never guessed: an end that several rows' paths share says nothing about which of
them a file belongs to (`001.jpg` of every class), so such a row counts as missing.
"""

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from evaluation.benchmarks.folder import PICTURE_SUFFIXES
from taxonomy.errors import BadInputError


def match(keys: Sequence[str], root: Path, shares_pictures: bool = False) -> list[Path | None]:
    """The file below `root` that agrees best with each key; None where no file does.

    A key's parts before its last `..` are ignored: nothing outside the root is ever returned.

    Args:
        keys: paths as in the CSV.
        root: walked once, links to folders included.
        shares_pictures: rows with different paths may mean one file, as copies of a photo under several classes.

    Raises:
        BadInputError: `root` is no folder or holds no picture, or two files agree with a key equally well.
    """
    ends_of = {key: _ends(_relative(key)) for key in dict.fromkeys(keys)}
    files_of = _files_by_end(root, {ends[-1] for ends in ends_of.values() if ends})
    num_keys = Counter(end for ends in ends_of.values() for end in ends)
    found = {key: _best(key, ends, files_of, num_keys, root, shares_pictures) for key, ends in ends_of.items()}
    return [found[key] for key in keys]


def match_names(names: Sequence[str], root: Path) -> list[Path | None]:
    """The picture below `root` whose name without its ending is each of the names (photo ids); None where none is.

    Raises:
        BadInputError: `root` is no folder or holds no picture, or two pictures have one such name.
    """
    files_of: dict[str, list[str]] = defaultdict(list)
    wanted = set(names)
    for file in _files(root):
        pure = PurePosixPath(file)
        if pure.stem in wanted and pure.suffix.lower() in PICTURE_SUFFIXES:
            files_of[pure.stem].append(file)
    return [_only(name, files_of.get(name, []), root) for name in names]


def match_urls(urls: Sequence[str], root: Path) -> list[Path | None]:
    """The file below `root` that agrees best with the path of each URL; as `match`."""
    return match([unquote(urlsplit(url).path) for url in urls], root)


def in_place(keys: Sequence[str], folder: Path) -> list[Path | None]:
    """Absolute paths as they are, others below `folder`; None where there is no file or the path leaves the folder."""
    return [_in_place(key, folder) for key in keys]


def _in_place(key: str, folder: Path) -> Path | None:
    if not key or (not Path(key).is_absolute() and ".." in Path(key).parts):
        return None
    # the names on the disk may be in either form of Unicode
    spelt = dict.fromkeys(unicodedata.normalize(form, key) for form in ("NFC", "NFD"))
    return next((folder / name for name in spelt if _is_file(folder / name)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for the file system
        return False


def _relative(key: str) -> str:
    """The key's parts after its last `..`, joined."""
    parts = [part for part in key.replace("\\", "/").split("/") if part not in ("", ".")]
    while ".." in parts:
        parts = parts[parts.index("..") + 1 :]
    return "/".join(parts)


def _ends(path: str) -> list[str]:
    """The path, the path without its first part, ..., its file name."""
    parts = path.split("/") if path else []
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _files_by_end(root: Path, wanted: set[str]) -> Mapping[str, list[str]]:
    """End of a path -> files below the root with this end, of those with one of the wanted names."""
    files_of: dict[str, list[str]] = defaultdict(list)
    for file in _files(root):
        shown = unicodedata.normalize("NFC", file)
        if shown.rpartition("/")[2] in wanted:
            for end in _ends(shown):
                files_of[end].append(file)
    return files_of


def _best(
    key: str, ends: Sequence[str], files_of: Mapping[str, list[str]], num_keys: Counter[str], root: Path, shares: bool
) -> Path | None:
    for end in ends:
        if files := files_of.get(end):
            if num_keys[end] > 1 and end != ends[0] and not shares:
                return None
            exact = [file for file in files if unicodedata.normalize("NFC", file) == ends[0]]
            return _only(key, exact or files, root)
    return None


def _only(key: str, files: Sequence[str], root: Path) -> Path | None:
    if len(files) > 1:
        raise BadInputError(
            f"{root}: {files[0]} and {files[1]} match {key!r} of the CSV equally well; "
            "remove one, or give a deeper folder with --images-root"
        )
    return root / files[0] if files else None


def _files(root: Path) -> list[str]:
    """Every file below the root, sorted, as a path from it."""
    if not root.is_dir():
        raise BadInputError(f"{root}: no such folder; give the folder of the pictures with --images-root")
    files = sorted(_walk(root))
    if not any(file.lower().endswith(PICTURE_SUFFIXES) for file in files):
        allowed = ", ".join(PICTURE_SUFFIXES)
        raise BadInputError(f"{root}: no picture ({allowed}) below it; give their folder with --images-root")
    return files


def _walk(root: Path) -> Iterator[str]:
    seen = set()
    for folder, below, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link back
            below.clear()
            continue
        seen.add(real)
        below.sort()
        start = Path(folder).relative_to(root).as_posix()
        yield from (name if start == "." else f"{start}/{name}" for name in names)
