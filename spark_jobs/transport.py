"""One request in, one answer or one typed failure out; the interface that every transport implements.

A transport knows nothing of retries, redirects or manners: spark_jobs/fetch.py decides those, once for all transports.
"""

import importlib.util
import os
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import certifi

from spark_jobs.statuses import Status
from taxonomy.errors import BadInputError

DRAIN_BYTES = 16 * 1024
"""An unwanted body up to this size is read, to keep its connection; beyond it the connection is closed."""

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""The first of these that is set names the certificates to trust; else certifi's are."""

_HUGE_BYTES = 10**18
"""What a longer Content-Length counts as; no body is so long."""


class Headers:
    """Response headers in their order; names compare without case, and may repeat."""

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in items:
            self._values.setdefault(name.lower(), []).append(value)

    def get(self, name: str) -> str | None:
        """The first value of a header, or None."""
        values = self._values.get(name.lower())
        return values[0] if values else None

    def get_all(self, name: str) -> list[str]:
        """Every value of a header, in order; empty where it is absent."""
        return list(self._values.get(name.lower(), ()))

    def names(self) -> frozenset[str]:
        """The header names present, in lower case."""
        return frozenset(self._values)


def _any_success(http_status: int, headers: Headers) -> bool:
    return 200 <= http_status < 300


@dataclass(frozen=True)
class Request:
    """One GET and its limits.

    Attributes:
        url: absolute http or https URL.
        headers: sent as given; the transport adds only Host and `Accept-Encoding: identity`.
        deadline_s: from the call until the last byte of the body, s.
        connect_timeout_s: for connecting and the TLS handshake, s.
        max_bytes: largest body accepted, as sent and after decompression, inclusive.
        min_bytes_per_s: slowest body accepted, measured over each `speed_window_s`.
        speed_window_s: also the longest silence inside a body, s.
        wants_body: asked once the headers are there; False ends the exchange with an empty body.
    """

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    deadline_s: float = 60.0
    connect_timeout_s: float = 10.0
    max_bytes: int = 32 * 2**20
    min_bytes_per_s: float = 1000.0
    speed_window_s: float = 10.0
    wants_body: Callable[[int, Headers], bool] = _any_success


@dataclass(frozen=True)
class Response:
    """What the server said. `body` is whole and decompressed; empty where it was not wanted."""

    http_status: int
    headers: Headers
    body: bytes


class TransportFailure(Exception):
    """No usable answer came; `http_status` is known where the headers had come."""

    def __init__(self, status: Status, message: str, http_status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.http_status = http_status


class Transport(Protocol):
    """Sends one request at a time per thread, from any number of threads of one process."""

    def send(self, request: Request) -> Response:
        """The server's answer, redirects included as they are.

        Raises:
            TransportFailure: the exchange failed or broke one of the request's limits.
        """
        ...

    def close(self) -> None:
        """Close every idle connection; to be called when nothing is sent any more."""
        ...


def make_transport(name: str, connections: int) -> Transport:
    """A transport of this name, one of spark_jobs.config.TRANSPORTS, with room for `connections` open ones per host.

    Raises:
        BadInputError: `curl` was asked for and pycurl is not installed.
    """
    if name == "requests" or (name == "auto" and not has_curl()):
        from spark_jobs.requests_transport import RequestsTransport

        return RequestsTransport(connections)
    assert name in ("curl", "auto"), name
    if not has_curl():
        raise BadInputError("--transport curl needs pycurl (pip install pycurl); or use --transport requests")
    from spark_jobs.curl_transport import CurlTransport

    return CurlTransport()


def has_curl() -> bool:
    """Whether pycurl is installed here."""
    return importlib.util.find_spec("pycurl") is not None


def ca_file() -> str:
    """The file of certificates to trust."""
    return next((os.environ[name] for name in CA_VARIABLES if os.environ.get(name)), certifi.where())


class BodyCollector:
    """Takes a body piece by piece, keeps it within the request's limits, and gives it back whole and decompressed.

    Args:
        request: whose limits count; the clock of the minimum speed starts now.
        headers: of the answer.

    Raises:
        TransportFailure: too_large, where the announced length exceeds the limit.
    """

    def __init__(self, request: Request, headers: Headers) -> None:
        self._request = request
        self._pieces: list[bytes] = []
        self._received = 0
        self._window_start = self._last = time.monotonic()
        self._window_bytes = 0
        announced = announced_bytes(headers)
        if announced is not None and announced > request.max_bytes:
            raise TransportFailure(Status.TOO_LARGE, f"{announced} bytes announced, {request.max_bytes} allowed")
        self._decoder = BodyDecoder(headers.get("content-encoding"), request.max_bytes)

    @property
    def room(self) -> int:
        """Bytes that may still come, and one more, which tells that the limit is exceeded."""
        return self._request.max_bytes + 1 - self._received

    def add(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            TransportFailure: too_large, too_slow over a whole window, or connection_error for damaged compression.
        """
        self._received += len(data)
        if self._received > self._request.max_bytes:
            raise TransportFailure(Status.TOO_LARGE, f"body exceeds {self._request.max_bytes} bytes")
        self._check_speed(len(data))
        self._pieces.append(self._decoder.decode(data))

    def _check_speed(self, num_bytes: int) -> None:
        self._window_bytes += num_bytes
        self._last = time.monotonic()
        elapsed = self._last - self._window_start
        if elapsed < self._request.speed_window_s:
            return
        if self._window_bytes < self._request.min_bytes_per_s * elapsed:
            raise TransportFailure(Status.TOO_SLOW, f"{self._window_bytes / elapsed:.0f} bytes/s")
        self._window_start, self._window_bytes = self._last, 0

    def silence(self) -> TransportFailure | None:
        """The failure to raise where nothing came for a whole window; None while there is hope."""
        window_s = self._request.speed_window_s
        if time.monotonic() - self._last < window_s:
            return None
        return TransportFailure(Status.TOO_SLOW, f"no data for {window_s:g} s")

    def finish(self) -> bytes:
        """The whole body.

        Raises:
            TransportFailure: connection_error, where a compressed body ends early.
        """
        self._decoder.finish()
        return b"".join(self._pieces)


def announced_bytes(headers: Headers) -> int | None:
    """The Content-Length, at most 10**18; None where there is none that is a number."""
    return whole_number(headers.get("content-length") or "", _HUGE_BYTES)


def whole_number(text: str, most: int) -> int | None:
    """The number that ASCII digits write, at most `most`; None for any other text.

    A header may be longer than the 4,300 digits that `int` takes.
    """
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0")[: len(str(most)) + 1]  # one digit more is already too much
    return min(int(digits or "0"), most)


_NUM_TELLING_BYTES = {"gzip": 1, "x-gzip": 1, "deflate": 2}
"""How many bytes of a body must be there to tell whether and how it is compressed, by Content-Encoding."""


class BodyDecoder:
    """Undoes gzip and deflate piece by piece and keeps the decoded size within a cap.

    Any other Content-Encoding passes as it is, as does a body that is not compressed though its header says so:
    storage buckets carry such labels on plain pictures, and the check of the picture follows anyway.
    """

    def __init__(self, content_encoding: str | None, max_bytes: int) -> None:
        self._encoding = (content_encoding or "").strip().lower()
        self._max_bytes = max_bytes
        self._size = 0
        self._inflater: zlib._Decompress | None = None
        self._started = False
        self._start = b""

    def decode(self, data: bytes) -> bytes:
        """The decoded form of the next piece; empty while it is not yet known how the body is compressed.

        Raises:
            TransportFailure: too_large, or connection_error where the compressed data is damaged.
        """
        if not self._started:
            data = self._start + data
            if len(data) < _NUM_TELLING_BYTES.get(self._encoding, 0):
                self._start = data
                return b""
            self._started, self._start = True, b""
            self._inflater = self._make_inflater(data)
        decoded = data if self._inflater is None else self._inflate(data)
        self._size += len(decoded)
        if self._size > self._max_bytes:
            raise TransportFailure(Status.TOO_LARGE, f"body exceeds {self._max_bytes} bytes")
        return decoded

    def finish(self) -> None:
        """Check that a compressed body came to its end.

        Raises:
            TransportFailure: connection_error, where it did not.
        """
        if self._start or (self._inflater is not None and not self._inflater.eof):
            raise TransportFailure(Status.CONNECTION_ERROR, f"{self._encoding} body ends early")

    def _make_inflater(self, start: bytes) -> "zlib._Decompress | None":
        if self._encoding in ("gzip", "x-gzip") and start[:1] == b"\x1f":
            return zlib.decompressobj(16 + zlib.MAX_WBITS)
        if self._encoding == "deflate" and start[:2] != b"\xff\xd8":
            # Both forms are in use: a zlib stream, whose first two bytes are a multiple of 31, and a bare one.
            is_zlib = start[0] & 0x0F == 8 and int.from_bytes(start[:2]) % 31 == 0
            return zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        return None

    def _inflate(self, data: bytes) -> bytes:
        assert self._inflater is not None
        try:
            return self._inflater.decompress(data, self._max_bytes - self._size + 1)
        except zlib.error as error:
            raise TransportFailure(Status.CONNECTION_ERROR, f"{self._encoding} body: {error}") from error
