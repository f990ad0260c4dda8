"""A folder of pictures with one sub-folder per class, as a benchmark."""

import logging
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.benchmarks.benchmark import LABEL, Benchmark, Rows
from taxonomy.errors import BadInputError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
"""Endings of the files that count as pictures, whatever their case."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClassFolder:
    """One sub-folder with its pictures in the order of their names; hidden files are none."""

    path: Path
    pictures: Sequence[Path]


def open_folder(folder: Path) -> Benchmark:
    """The pictures below a folder, named `folder_<its name>`; classes and pictures in the order of their names.

    A sub-folder without pictures is no class; a warning names those there are.

    Raises:
        BadInputError: no sub-folders, no pictures in them, or two that stand for one class.
    """
    found = class_folders(folder)
    if empty := [one.path.name for one in found if not one.pictures]:
        _LOG.warning("%s: no picture in %d sub-folders, which are no classes: %s", folder, len(empty), empty[0])
    own_name = name_part(folder.resolve().name)
    return Benchmark(
        name=f"folder_{own_name}",
        rows=rows_of_folders(folder, found, _distinct_names(folder, found)),
        levels=(LABEL,),
        headline=LABEL,
        log_name=f"folder-{own_name}",
        images_root=folder,
    )


def class_folders(folder: Path) -> list[ClassFolder]:
    """The visible sub-folders in the order of their names; at least one of them holds a picture.

    Raises:
        BadInputError: none does, or the folder cannot be read.
    """
    try:
        found = [
            ClassFolder(path, sorted(file for file in path.iterdir() if _is_picture(file)))
            for path in sorted(folder.iterdir())
            if path.is_dir() and not path.name.startswith(".")
        ]
    except OSError as error:
        raise BadInputError(
            f"{folder}: {error.strerror}; give a folder with one sub-folder of pictures per class"
        ) from error
    if not any(one.pictures for one in found):
        allowed = ", ".join(PICTURE_SUFFIXES)
        raise BadInputError(
            f"{folder}: no pictures ({allowed}) in its {len(found)} sub-folders; one per class is needed"
        )
    return found


def rows_of_folders(root: Path, folders: Sequence[ClassFolder], class_names: Sequence[str]) -> Rows:
    """One row per picture, in order; its key is its path below `root`, its label its folder's of `class_names`."""
    files = [file for one in folders for file in one.pictures]
    labels = [name for one, name in zip(folders, class_names, strict=True) for _ in one.pictures]
    return Rows(
        keys=[_text(file.relative_to(root).as_posix()) for file in files], sources=files, labels={LABEL: labels}
    )


def _distinct_names(root: Path, folders: Sequence[ClassFolder]) -> list[str]:
    """The class of every folder; two folders with one name would hide each other's mistakes."""
    names = [class_name_of_folder(one.path.name) for one in folders]
    first: dict[str, str] = {}
    for one, name in zip(folders, names, strict=True):
        if (other := first.setdefault(name, one.path.name)) != one.path.name:
            raise BadInputError(
                f"{root}: {other} and {one.path.name} both stand for class {name!r}; rename one of them"
            )
    return names


def class_name_of_folder(name: str) -> str:
    """The class that a sub-folder of this name holds: no leading number, spaces for underscores, NFC.

    iNat21's `03111_Animalia_Chordata_Aves_..._Turdus_merula` becomes the joined lineage that BioCLIP's validation uses.
    """
    return unicodedata.normalize("NFC", _text(re.sub(r"^\d+_", "", name).replace("_", " ")))


def name_part(text: str) -> str:
    """The text, NFC, with whatever is no letter, digit, `.` or `-` replaced by `_`, for names of benchmarks."""
    return re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", text)).strip("._") or "unnamed"


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith(".")


def _text(name: str) -> str:
    """A file's name as text that can be written: bytes that are no UTF-8 are replaced."""
    return os.fsencode(name).decode("utf-8", "replace")
