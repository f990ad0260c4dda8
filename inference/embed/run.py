"""An embedding run as its config says: pictures in, part files out, and what is made of them at the end.

A part is a number of pictures that follow each other in the inputs. Parts that are there are not made again, so that
a run which was killed, met a full disk or lost a shard goes on with the next part.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count, filterfalse

from evaluation.encoding.encoder import OpenClipEncoder
from evaluation.settings.baselines import brings_weights
from inference.embed.config import NPY, EmbedConfig
from inference.embed.final_files import is_whole_npy, write_failures, write_npy
from inference.embed.out_folder import (
    EMBEDDINGS,
    FAILURES,
    KEYS_FILE,
    NPY_FILE,
    About,
    about_inputs,
    check_model,
    own_folder,
    parts_folder,
    read_about,
    write_about,
)
from inference.embed.parts import Parts, in_parts
from inference.inputs.input_settings import FAST
from inference.inputs.picture import Inputs, Picture
from inference.open_model import open_model
from inference.stream import embedded
from taxonomy.errors import WorkFailedError

_LOG = logging.getLogger(__name__)


def run_embed(config: EmbedConfig, inputs: Inputs) -> About:
    """Embed what is not embedded yet and print what came of it; returns what the folder holds.

    Raises:
        BadInputError: the model cannot be used, another run is writing in the folder, or it holds something else.
        WorkFailedError: not one picture could be embedded, or the work could not go on; what is done is kept.
    """
    if not brings_weights(config.choice):
        _LOG.warning("--model %s: neither --pretrained nor --resume: its weights are random", config.choice.model)
    encoder = open_model(config, config.resize == FAST)
    wanted = about_inputs(config, inputs).with_model(config, encoder)
    with own_folder(config.out_dir):
        about = _go_on(config, wanted)
        parts = Parts(parts_folder(config.out_dir, config.format), about)
        rows_of = parts.done()
        if about.is_complete and _is_there(config, parts, rows_of):
            print(f"nothing to do: {config.out} holds the embeddings of {_outcome(config, about)}")
            return about
        started = time.monotonic()
        num_made = _make_parts(config, inputs, encoder, parts, rows_of)
        about = _finish(config, parts, rows_of)
        _say(config, about, num_made, time.monotonic() - started)
        return about


def _go_on(config: EmbedConfig, wanted: About) -> About:
    """What the folder holds already, or what it is to hold, written down."""
    found = read_about(config.out_dir)
    if found is not None:
        check_model(config.out_dir, found, wanted)
        return found
    write_about(config.out_dir, wanted)
    return wanted


def _is_there(config: EmbedConfig, parts: Parts, rows_of: dict[int, int]) -> bool:
    """Whether the results of a complete run still are."""
    if not (config.out_dir / FAILURES).is_file():
        return False
    if config.format == NPY:
        return (config.out_dir / KEYS_FILE).is_file() and is_whole_npy(config.out_dir, parts.about)
    return sum(map(parts.num_pictures, rows_of)) == parts.about.num_pictures


def _make_parts(
    config: EmbedConfig, inputs: Inputs, encoder: OpenClipEncoder, parts: Parts, rows_of: dict[int, int]
) -> int:
    """Make the parts that are missing and add them to `rows_of`; returns the number of their pictures."""
    num_done = sum(map(parts.num_pictures, rows_of))
    num_left = None if inputs.total is None else inputs.total - num_done
    if num_left == 0:
        return 0
    left = _left(inputs, set(rows_of), parts.about.part_size)
    batches = embedded(left, encoder, config.batch_size, config.workers, f"embedding {inputs.name}", num_left)
    numbers = filterfalse(set(rows_of).__contains__, count())
    num_made = 0
    with closing(batches):
        for number, part in zip(numbers, in_parts(batches, parts.about.part_size), strict=False):
            try:
                parts.write(number, part)
            except WorkFailedError as error:
                raise WorkFailedError(
                    f"{error}; {num_done + num_made:,} pictures are done, the same command goes on with the others"
                ) from error
            rows_of[number] = len(part.index_N)
            num_made += len(part.keys)
    return num_made


def _left(inputs: Inputs, done: set[int], part_size: int) -> Iterator[Picture]:
    return (picture for number, picture in enumerate(inputs) if number // part_size not in done)


def _finish(config: EmbedConfig, parts: Parts, rows_of: dict[int, int]) -> About:
    """Write what all parts are needed for, and that the folder is complete."""
    write_failures(config.out_dir, parts.failures(sorted(rows_of)))
    about = replace(parts.about, is_complete=True, num_embedded=sum(rows_of.values()))
    if not about.num_embedded:
        parts.remove()  # so that the same command tries again
        raise WorkFailedError(
            f"not one of {about.num_pictures or 0:,} pictures could be embedded: "
            f"{config.out_dir / FAILURES} says why, picture by picture"
        )
    if config.format == NPY:
        write_npy(config.out_dir, parts, rows_of)
    write_about(config.out_dir, about)
    if config.format == NPY:
        parts.remove()
    return about


def _say(config: EmbedConfig, about: About, num_made: int, seconds: float) -> None:
    """Where the embeddings are; last how many pictures have none."""
    name = NPY_FILE if config.format == NPY else EMBEDDINGS
    print(
        f"{config.out_dir / name}: {about.num_embedded:,} x {about.embed_dim} {about.dtype} by {about.model}, "
        f"{about.variant}; {num_made:,} pictures in {seconds:,.1f} s, {num_made / max(seconds, 1e-9):,.0f} images/s"
    )
    print(f"embedded {_outcome(config, about)}")


def _outcome(config: EmbedConfig, about: About) -> str:
    num_pictures = about.num_pictures or about.num_embedded
    failed = num_pictures - about.num_embedded
    reasons = f": {config.out_dir / FAILURES} says why" if failed else ""
    return f"{about.num_embedded:,} of {num_pictures:,} pictures; {failed:,} could not be used{reasons}"
