"""Files and folders as pictures: looked through once, then remembered in a temporary file.

So the list is the same however often it is gone through, and a picture that vanishes meanwhile is known to be missing.
"""

import hashlib
import json
import logging
import os
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from inference.inputs.picture import Inputs, Picture, text_of
from inference.inputs.walk import SUFFIXES, Found, Walk
from taxonomy.errors import BadInputError, WorkFailedError

_AT_ONCE_BYTES = 1 << 15
"""Of the list, read and unpacked."""

_LOG = logging.getLogger(__name__)


def open_files(words: Sequence[str]) -> Inputs:
    """The pictures of files and folders; their keys are their paths as found.

    Raises:
        BadInputError: a word is no file and no folder, or there is no picture.
        WorkFailedError: the temporary file cannot be written.
    """
    walk, digest = Walk(words), hashlib.sha256()
    try:
        listing = _Listing()
        for found in walk:
            listing.add(found)
            digest.update(json.dumps([found.path, found.size, found.time_ns, found.reason]).encode())
        listing.finish()
    except OSError as error:  # of a temporary file: what is wrong with a picture is a reason
        reason = error.strerror or error
        raise WorkFailedError(
            f"the list of pictures cannot be kept in a temporary file: {reason}; set TMPDIR"
        ) from error
    if not listing.num_readable:
        listing.close()
        raise BadInputError(_nothing_in(words, walk, listing))
    if walk.num_passed_over:
        _LOG.warning("%d of the files found are no pictures by their names and are passed over", walk.num_passed_over)
    if walk.num_repeated:
        _LOG.warning("%d of the files and folders named are named twice; each picture counts once", walk.num_repeated)
    name = Path(words[0]).absolute().name if len(words) == 1 else f"{len(words)} files and folders"
    return Inputs(text_of(name), listing.num, digest.hexdigest(), listing.pictures)


def _nothing_in(words: Sequence[str], walk: Walk, listing: "_Listing") -> str:
    where = text_of(words[0]) if len(words) == 1 else f"{len(words)} files and folders"
    if listing.num:
        return f"{where}: no picture that can be read: {listing.last.path}: {listing.last.reason}"
    others = f"; {walk.num_passed_over:,} other files" if walk.num_passed_over else ""
    return f"{where}: no pictures in it{others}; pictures end in {', '.join(SUFFIXES)}"


class _Listing:
    """What was found, on disk: compressed lines of JSON in a file without a name.

    Attributes:
        num: pictures in it.
        num_readable: those that can be read, as far as is known.
        last: the last one.
    """

    def __init__(self):
        self.num, self.num_readable, self.last = 0, 0, Found("")
        self._file: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # read as long as it is known
        self._press = zlib.compressobj(1)

    def add(self, found: Found) -> None:
        self.num += 1
        self.num_readable += found.reason is None
        self.last = found
        self._write(self._press.compress(json.dumps([found.path, found.reason]).encode() + b"\n"))

    def finish(self) -> None:
        self._write(self._press.flush())

    def close(self) -> None:
        self._file.close()

    def pictures(self) -> Iterator[Picture]:
        for line in self._lines():
            path, reason = json.loads(line)
            yield Picture(text_of(path), None if reason else Path(path), reason)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[self._file.write(data) :]

    def _lines(self) -> Iterator[bytes]:
        """Of a reader of its own, so that several may go through it at once."""
        unpress, offset, rest = zlib.decompressobj(), 0, b""
        while chunk := unpress.unconsumed_tail or os.pread(self._file.fileno(), _AT_ONCE_BYTES, offset):
            offset += 0 if unpress.unconsumed_tail else len(chunk)
            *lines, rest = (rest + unpress.decompress(chunk, _AT_ONCE_BYTES)).split(b"\n")
            yield from lines
        yield from (rest + unpress.flush()).split(b"\n")[:-1]
