"""The samples of one tar shard, undecoded: retried when reading fails, never cut short in silence.

webdataset opens the address and groups the members. The members themselves are read here, since the library takes a
tar that was cut off between two members, or holds rubbish there, for one that ended.
"""

import contextlib
import logging
import lzma
import re
import shlex
import subprocess
import tarfile
import time
import zlib
from collections.abc import Generator, Iterator
from typing import BinaryIO

from webdataset.gopen import Pipe, gopen, gopen_schemes
from webdataset.tariterators import base_plus_ext, group_by_keys, meta_prefix, meta_suffix

from taxonomy.errors import WorkFailedError

_LOG = logging.getLogger(__name__)

RETRY_WAITS_S = (1.0, 5.0)
"""Pauses between the tries of a shard; one try more than there are pauses."""

IMAGE_SUFFIXES = ("jpg", "png", "jpeg", "webp")
"""Suffixes of pictures; where a sample has several, the first of these counts, as published."""

_READ_ERRORS = (OSError, EOFError, tarfile.TarError, zlib.error, lzma.LZMAError, subprocess.SubprocessError)
_META = re.compile(rf"{meta_prefix}[^/]*{meta_suffix}($|/)")


def read_shard(url: str, skip: int = 0) -> Iterator[dict[str, bytes]]:
    """The samples of a shard behind the first `skip`: suffix in lower case -> content, and `__key__`.

    A suffix that comes twice in one sample counts once, with its first content.

    Raises:
        WorkFailedError: the shard cannot be read, or has become shorter than it was.
    """
    given = skip
    for wait_s in (*RETRY_WAITS_S, None):
        count = 0
        try:
            with contextlib.closing(_read_once(url)) as samples:
                for count, sample in enumerate(samples, start=1):
                    if count > given:
                        given = count
                        yield sample
        except _READ_ERRORS as error:
            if wait_s is None:
                tries = len(RETRY_WAITS_S) + 1
                raise WorkFailedError(f"shard {url} cannot be read ({tries} tries): {_in_one_line(error)}") from error
            _LOG.warning("shard %s: %s; reading it again in %g s", url, _in_one_line(error), wait_s)
            time.sleep(wait_s)
            continue
        if count < given:
            raise WorkFailedError(f"shard {url} has {count} samples now and had at least {given} before")
        return


def _in_one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _read_once(url: str) -> Generator[dict[str, bytes]]:
    stream = gopen(_address(url))
    try:
        # The handler hears of repeated suffixes alone: what reading raises passes it by.
        yield from group_by_keys(_members(stream, url), handler=lambda error: True)  # pyright: ignore[reportArgumentType]
        while stream.read(1 << 20):  # a command that still writes would die of the closed pipe, as if it had failed
            pass
    except _READ_ERRORS as error:
        raise OSError(f"{_in_one_line(error)}{_exit_status(stream)}") from error
    except BaseException:
        _abandon(stream)
        raise
    else:
        stream.close()  # raises where a command failed


def _address(url: str) -> str:
    """What webdataset opens: s3 addresses go through the aws command unless the library has a way of its own."""
    if url.startswith("s3://") and "s3" not in gopen_schemes:
        return f"pipe:aws s3 cp {shlex.quote(url)} -"
    return url


class _StrictTarInfo(tarfile.TarInfo):
    """Takes nothing but the end marker for the end of a tar."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> "_StrictTarInfo":
        try:
            return super().fromtarfile(tarfile)
        except _BROKEN_HEADERS as error:
            raise OSError(f"broken or cut off at byte {tarfile.offset}: {error}") from error


_BROKEN_HEADERS = (tarfile.InvalidHeaderError, tarfile.EmptyHeaderError, tarfile.TruncatedHeaderError)  # pyright: ignore[reportAttributeAccessIssue]


def _members(stream: BinaryIO | Pipe, url: str) -> Iterator[dict[str, object]]:
    # Reading front to back takes nothing but `read` of a pipe.
    with tarfile.open(fileobj=stream, mode="r|*", tarinfo=_StrictTarInfo) as tar:  # pyright: ignore
        while (member := tar.next()) is not None:
            tar.members = []  # pyright: ignore[reportAttributeAccessIssue]  # or it keeps every header
            if member.isreg() and not _META.match(member.name) and _is_wanted(member.name):
                content = tar.extractfile(member)
                assert content is not None
                yield {"fname": member.name, "data": content.read(), "__url__": url}


def _is_wanted(name: str) -> bool:
    _, suffix = base_plus_ext(name)
    suffix = (suffix or "").lower()
    return suffix in IMAGE_SUFFIXES or suffix == "json" or suffix.split(".")[-1] == "txt"


def _exit_status(stream: BinaryIO | Pipe) -> str:
    """For a message: how the command behind a broken stream ended; ends it where it runs."""
    process: subprocess.Popen[bytes] | None = stream.proc if isinstance(stream, Pipe) else None
    status = ""
    if process is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = f" (the command's exit status: {process.wait(timeout=1)})"
    _abandon(stream)
    return status


def _abandon(stream: BinaryIO | Pipe) -> None:
    process: subprocess.Popen[bytes] | None = stream.proc if isinstance(stream, Pipe) else None
    if process is not None:
        process.kill()
    with contextlib.suppress(*_READ_ERRORS):
        stream.close()
