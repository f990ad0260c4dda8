"""The guesses of one task beside its JSON file: what pairs two models picture by picture. NumPy only.

Shapes: N pictures, K guesses kept.
"""

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np

from evaluation.scoring.predictions import Predictions
from taxonomy.errors import BadInputError
from taxonomy.whole_file import write_whole

_ARRAYS = {"row_N": np.int64, "class_N": np.int64, "guess_NK": np.int64, "score_NK": np.float32}
_ARRAYS |= {"confidence_N": np.float32, "num_near_ties": np.int64}
_DAMAGED = (OSError, EOFError, LookupError, TypeError, ValueError, RuntimeError, MemoryError, zlib.error)
_DAMAGED += (zipfile.BadZipFile,)
"""What NumPy and zipfile raise for files of other content, a MemoryError for a size that is none."""
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can say: equal predictions give equal bytes."""


def predictions_path(result: Path) -> Path:
    """`<stem>.npz` beside the result's `<stem>.json`."""
    return result.with_suffix(".npz")


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write them whole or not at all, readable by numpy.load; equal predictions give equal bytes.

    Raises:
        WorkFailedError: it could not be written, as on a full disk.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, kind in _ARRAYS.items():
            array, values = io.BytesIO(), np.asarray(getattr(predictions, name), kind, order="C")
            np.lib.format.write_array(array, values, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", _FIRST_DAY)
            archive.writestr(entry, array.getvalue(), zipfile.ZIP_DEFLATED)
    write_whole(path, content.getvalue())


def read_predictions(path: Path) -> Predictions:
    """The predictions of a file of `write_predictions`.

    Raises:
        BadInputError: no such file, or it is damaged or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in _ARRAYS}
    except _DAMAGED as error:
        raise BadInputError(f"{path}: no readable predictions ({error}); evaluate again") from error
    num_near_ties = arrays.pop("num_near_ties")
    number = len(arrays["row_N"])
    right_shapes = all(len(array) == number for array in arrays.values() if array.ndim)
    if num_near_ties.ndim or not right_shapes or arrays["guess_NK"].ndim != 2:
        raise BadInputError(f"{path}: its arrays do not fit each other; evaluate again")
    return Predictions(**arrays, num_near_ties=int(num_near_ties))
