"""One request in, one answer or one typed failure out; the interface that every transport implements.

A transport knows nothing of retries, redirects or manners: spark_jobs/fetch.py decides those, once for all transports.
"""

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from spark_jobs.statuses import Status
from taxonomy.errors import BadInputError

TRANSPORTS = ("requests", "curl")
"""Names that `make_transport` knows; `curl` comes later and is refused until then."""


class Headers:
    """Response headers in their order; names compare without case, and may repeat."""

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items = tuple((name.lower(), value) for name, value in items)

    def get(self, name: str) -> str | None:
        """The first value of a header, or None."""
        return next((value for key, value in self._items if key == name.lower()), None)

    def get_all(self, name: str) -> list[str]:
        """Every value of a header, in order; empty where it is absent."""
        return [value for key, value in self._items if key == name.lower()]

    def names(self) -> frozenset[str]:
        """The header names present, in lower case."""
        return frozenset(key for key, _ in self._items)


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
        """Close every idle connection."""
        ...


def make_transport(name: str, connections: int) -> Transport:
    """A transport of this name, with room for `connections` open connections per host.

    Raises:
        BadInputError: the name is unknown or not available yet.
    """
    if name == "requests":
        from spark_jobs.requests_transport import RequestsTransport

        return RequestsTransport(connections)
    if name == "curl":
        raise BadInputError("--transport curl is not available yet; use --transport requests")
    raise BadInputError(f"--transport {name} is unknown; allowed: {', '.join(TRANSPORTS)}")


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

    def decode(self, data: bytes) -> bytes:
        """The decoded form of the next piece.

        Raises:
            TransportFailure: too_large, or connection_error where the compressed data is damaged.
        """
        if not self._started:
            self._started = True
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
        if self._inflater is not None and not self._inflater.eof:
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
