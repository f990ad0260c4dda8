"""Small copies of the pictures that were confused, for the report.

Shapes: N pictures.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from evaluation.results.result import name_in_files
from evaluation.scoring.predictions import Predictions
from taxonomy.whole_file import write_whole

MAX_PAIRS = 12
"""Most frequent confusions that get pictures."""
MAX_PICTURES = 4
"""Pictures of one confusion: those the model was surest of."""
EDGE_PX = 128
"""Longer side of a thumbnail."""

_QUALITY = 80
FOLDER = "thumbnails"


def with_examples(
    confusions: Sequence[Mapping[str, Any]],
    predictions: Predictions,
    class_names: Sequence[str],
    keys: Sequence[str],
    files: Mapping[int, str],
) -> list[dict[str, Any]]:
    """The confusions with `examples`: row, key and thumbnail (None where there is none) of a few pictures each.

    Args:
        confusions: with `true` and `guessed`, most frequent first.
        predictions: of the same task.
        class_names: its class list.
        keys: of the benchmark's rows.
        files: row -> thumbnail below the folder of results, from `write_thumbnails`; {} where none were written.
    """
    rows = example_rows(confusions, predictions, class_names)
    return [
        dict(confusion) | {"examples": [{"row": row, "key": keys[row], "thumbnail": files.get(row)} for row in own]}
        for confusion, own in zip(confusions, rows, strict=True)
    ]


def example_rows(
    confusions: Sequence[Mapping[str, Any]], predictions: Predictions, class_names: Sequence[str]
) -> list[list[int]]:
    """Per confusion the rows of its pictures to show, surest first, on ties the earlier row; [] from MAX_PAIRS on."""
    index = {name: number for number, name in enumerate(class_names)}
    guess_N = predictions.guess_NK[:, 0]
    chosen: list[list[int]] = []
    for confusion in confusions[:MAX_PAIRS]:
        true, guessed = index[confusion["true"]], index[confusion["guessed"]]
        place_N = np.flatnonzero((predictions.class_N == true) & (guess_N == guessed))
        surest_N = place_N[np.argsort(-predictions.confidence_N[place_N], kind="stable")][:MAX_PICTURES]
        chosen.append(predictions.row_N[surest_N].tolist())
    return chosen + [[] for _ in confusions[MAX_PAIRS:]]


def write_thumbnails(
    out: Path, benchmark: str, rows_sha256: str, sources: Mapping[int, Path | Callable[[], bytes] | None]
) -> dict[int, str]:
    """Row -> path below `out`, `thumbnails/<benchmark>-<rows>/<row>.jpg`; each is written whole.

    Args:
        out: the folder of results.
        benchmark: its name.
        rows_sha256: of its rows: results on other rows in the same folder have other pictures.
        sources: row -> picture; pictures that cannot be read any more are left out.

    Raises:
        WorkFailedError: one could not be written, as on a full disk.
    """
    made: dict[int, str] = {}
    for row, source in sorted(sources.items()):
        content = thumbnail(source) if source is not None else None
        if content is not None:
            made[row] = f"{FOLDER}/{name_in_files(benchmark)}-{rows_sha256[:8]}/{row}.jpg"
            write_whole(out / made[row], content)
    return made


def thumbnail(source: Path | Callable[[], bytes]) -> bytes | None:
    """JPEG of the whole picture, EDGE_PX at most, without metadata; None where it cannot be decoded.

    As for the model, the orientation in EXIF is not applied.
    """
    try:
        content = source.read_bytes() if isinstance(source, Path) else source()
        with Image.open(io.BytesIO(content)) as picture:
            picture.draft("RGB", (2 * EDGE_PX, 2 * EDGE_PX))  # JPEG alone: decode an eighth of the pixels if enough
            small = picture.convert("RGB")
    except (OSError, Image.DecompressionBombError, SyntaxError, ValueError):
        return None
    small.thumbnail((EDGE_PX, EDGE_PX), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
