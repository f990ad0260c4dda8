"""ImageNet's validation pictures (`--imagenet-val DIR`), one folder per class, named by WordNet ids or by numbers.

Facts: 50,000 pictures, 50 of each of 1,000 classes, of ILSVRC 2012; in the order of their ids the folders are the
published classes in their order. ImageNetV2's 10,000 pictures lie in folders 0 to 999, which number the same classes.
Two pairs of classes share a name in the published list: "missile" (the 658th and 745th) and "sunglasses" (the 837th and
838th). Classes are met by name, so that there are 998, and a guess of either of a pair is right; with 1,000 columns the
second of two equal ones is never guessed. That is up to 0.2 points of top-1.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evaluation.benchmarks.benchmark import LABEL, Benchmark
from evaluation.benchmarks.folder import ClassFolder, class_folders, open_folder, rows_of_folders
from taxonomy.errors import BadInputError

NAME, LOG_NAME = "imagenet_val", "imagenet-zeroshot-val"
"""In results, and before the keys of results.jsonl, as open_clip writes them."""

NUM_CLASSES = 1000

_WORDNET_ID = re.compile(r"n\d{8}")
_NUMBER = re.compile(r"0|[1-9]\d{0,2}")

_NEEDED = (
    f"ImageNet's classes get their names by order, which needs all {NUM_CLASSES:,} folders, like n01440764, or 0 to 999"
)


def open_imagenet_val(folder: Path) -> Benchmark:
    """ImageNet's pictures under their published class names, in the order of WordNet ids or of numbers.

    A folder without either is read as any folder of classes is, under the names of its sub-folders.

    Raises:
        BadInputError: there are WordNet ids, or numbers alone, but not exactly the 1,000 with pictures each; or as
            `open_folder`.
    """
    found = class_folders(folder)
    if all(_NUMBER.fullmatch(one.path.name) for one in found):
        found.sort(key=lambda one: int(one.path.name))
    elif any(_WORDNET_ID.fullmatch(one.path.name) for one in found):
        _check_ids(folder, found)
    else:
        return replace(open_folder(folder), name=NAME, log_name=LOG_NAME)
    _check_complete(folder, found)
    return Benchmark(
        name=NAME,
        rows=rows_of_folders(folder, found, published_class_names()),
        levels=(LABEL,),
        headline=LABEL,
        log_name=LOG_NAME,
        images_root=folder,
    )


def published_class_names() -> Sequence[str]:
    """The 1,000 names that CLIP is scored with, in the order of WordNet ids.

    Source: open_clip's IMAGENET_CLASSNAMES.
    """
    from open_clip import IMAGENET_CLASSNAMES  # imports torch, which checking folders need not wait for

    return IMAGENET_CLASSNAMES


def _check_ids(folder: Path, found: Sequence[ClassFolder]) -> None:
    others = [one.path.name for one in found if not _WORDNET_ID.fullmatch(one.path.name)]
    if others:
        raise BadInputError(f"--imagenet-val {folder}: {others[0]} is no WordNet id; {_NEEDED}, and no others")


def _check_complete(folder: Path, found: Sequence[ClassFolder]) -> None:
    """Raise BadInputError unless names can be given by order: it holds only for all 1,000 together."""
    if len(found) != NUM_CLASSES:
        raise BadInputError(f"--imagenet-val {folder}: {len(found):,} folders of ImageNet's classes; {_NEEDED}")
    if empty := [one.path.name for one in found if not one.pictures]:
        raise BadInputError(f"--imagenet-val {folder}: no picture in {empty[0]} ({len(empty):,} such); {_NEEDED}")
