"""The folder of a run: about.json says what is in it, and whether all of it is. No torch here.

about.json is written before the first part and again when all is done. What differs from it is refused: a folder never
holds embeddings of two models or two lists of pictures.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.embed.config import PARQUET, EmbedConfig
from inference.sole_writer import sole_writer
from taxonomy.errors import BadInputError
from taxonomy.whole_file import write_whole

if TYPE_CHECKING:
    from evaluation.encoding.encoder import OpenClipEncoder
    from inference.inputs.picture import Inputs

SCHEMA_VERSION = 1
ABOUT, FAILURES = "about.json", "failures.csv"
EMBEDDINGS, NPY_FILE, KEYS_FILE, NPY_PARTS = "embeddings", "embeddings.npy", "keys.csv", ".parts"

_FILES, _PARTS = "|".join(map(re.escape, (ABOUT, FAILURES, NPY_FILE, KEYS_FILE))), r"part-\d+\.parquet"


@dataclass(frozen=True)
class About:
    """What a folder holds.

    Attributes:
        format: parquet or npy.
        dtype: float32 or float16.
        inputs: name of the pictures.
        num_pictures: of the inputs, those that cannot be used too.
        fingerprint: of the list of pictures.
        model: as people call it.
        model_hash: of weights and facts.
        variant: activation and precision.
        preprocess: of the pictures.
        embed_dim: length of an embedding.
        part_size: pictures of a part; the last one may have fewer.
        is_complete: whether all pictures are done and all files written.
        num_embedded: pictures with an embedding, once complete.
        schema_version: of this file.
    """

    format: str
    dtype: str
    inputs: str
    num_pictures: int | None
    fingerprint: str
    model: str = ""
    model_hash: str = ""
    variant: str = ""
    preprocess: Mapping[str, Any] | None = None
    embed_dim: int = 0
    part_size: int = 0
    is_complete: bool = False
    num_embedded: int = 0
    schema_version: int = SCHEMA_VERSION

    def with_model(self, config: EmbedConfig, encoder: "OpenClipEncoder") -> "About":
        """The same, of this model; its weights are hashed."""
        return replace(
            self,
            model=config.choice.label,
            model_hash=encoder.hash,
            variant=encoder.variant,
            preprocess=encoder.preprocess.to_dict(),
            embed_dim=encoder.facts.embed_dim,
            part_size=config.whole_batches,
        )


def about_inputs(config: EmbedConfig, inputs: "Inputs") -> About:
    """What the folder is to hold, as far as it is known without the model."""
    return About(config.format, config.dtype, inputs.name, inputs.total, inputs.fingerprint)


def check_inputs(config: EmbedConfig, inputs: "Inputs") -> None:
    """Check that the folder is free, or that a run with these pictures may go on in it.

    Raises:
        BadInputError: it holds something else; names the difference.
    """
    found = read_about(config.out_dir)
    if found is not None:
        _refuse(config.out_dir, _other_inputs(found, about_inputs(config, inputs)))
        return
    names = (EMBEDDINGS, NPY_FILE, KEYS_FILE, FAILURES)
    if taken := [name for name in names if (config.out_dir / name).exists()]:
        raise BadInputError(
            f"--out {config.out}: {taken[0]} is there, but no {ABOUT} that says what it is of; give another folder"
        )


def check_model(folder: Path, found: About, wanted: About) -> None:
    """Check that what the folder holds is of the same model and pictures.

    Raises:
        BadInputError: it is not; names the difference.
    """
    _refuse(folder, _other_inputs(found, wanted) or _other_model(found, wanted))


def _refuse(folder: Path, difference: str | None) -> None:
    if difference is not None:
        raise BadInputError(f"--out {folder} holds embeddings {difference}; give another folder, or remove this one")


def _other_inputs(found: About, wanted: About) -> str | None:
    for what in ("format", "dtype"):
        if getattr(found, what) != getattr(wanted, what):
            return f"of {what} {getattr(found, what)}, not {getattr(wanted, what)}"
    if found.fingerprint == wanted.fingerprint:
        return None
    if (found.inputs, found.num_pictures) != (wanted.inputs, wanted.num_pictures):
        return f"of other pictures: {_counted(found)}, not {_counted(wanted)}"
    return f"of other pictures: those of {_counted(found)} have changed since, or were found by other paths"


def _counted(about: About) -> str:
    number = "an unknown number" if about.num_pictures is None else f"{about.num_pictures:,}"
    return f"{number} of {about.inputs}"


def _other_model(found: About, wanted: About) -> str | None:
    if found.model_hash != wanted.model_hash:
        return (
            f"of another model: {found.model}, hash {found.model_hash[:12]}, not {wanted.model}, "
            f"hash {wanted.model_hash[:12]}"
        )
    if found.variant != wanted.variant:
        return f"by {found.variant}, not {wanted.variant}"
    found_fast, wanted_fast = ((one.preprocess or {}).get("fast_pixels", False) for one in (found, wanted))
    if found_fast != wanted_fast:
        return "made with --resize fast" if found_fast else "made without --resize fast"
    if found.preprocess != wanted.preprocess:
        return f"of other pixels: {found.preprocess}, not {wanted.preprocess}"
    return None


def read_about(folder: Path) -> About | None:
    """What a folder says of itself; None where it says nothing.

    Raises:
        BadInputError: it cannot be read.
    """
    path = folder / ABOUT
    try:
        stored = json.loads(path.read_bytes())
        if stored["schema_version"] != SCHEMA_VERSION:
            raise BadInputError(f"{path}: schema_version is {stored['schema_version']!r}, {SCHEMA_VERSION} can be read")
        about = About(**stored)
        if about.part_size < 1:
            raise ValueError(f"part_size {about.part_size}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{path}: not what this command wrote ({error}); give another --out") from error
    return about


def write_about(folder: Path, about: About) -> None:
    """Write what a folder holds, whole or not at all.

    Raises:
        WorkFailedError: it could not be written.
    """
    write_whole(folder / ABOUT, (json.dumps(asdict(about), indent=1, ensure_ascii=False) + "\n").encode())


def parts_folder(folder: Path, format_: str) -> Path:
    """Where the parts lie: of parquet they are the result, of npy they go when it is made."""
    return folder / (EMBEDDINGS if format_ == PARQUET else NPY_PARTS)


@contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """The folder, made, for this run alone until the block ends; what killed runs left unfinished is removed.

    Raises:
        BadInputError: another run is writing there.
        WorkFailedError: it cannot be made or written.
    """
    with sole_writer(folder):
        _remove_unfinished(folder)
        yield


def _remove_unfinished(folder: Path) -> None:
    """Remove what killed runs of this command left; whatever else is hidden there is somebody's."""
    for place, ours in ((folder, _FILES), (folder / EMBEDDINGS, _PARTS), (folder / NPY_PARTS, _PARTS)):
        for left in place.glob(".*.tmp"):
            if re.fullmatch(rf"\.(?:{ours})\.\d+\.tmp", left.name):
                with suppress(OSError):
                    left.unlink()
