"""A loopback HTTP server that misbehaves on purpose and remembers what it was asked. Standard library only.

Each path gets a behaviour, a function of an Exchange; the functions below make the usual ones.
"""

import gzip
import http.server
import socket
import ssl
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from types import TracebackType

Behaviour = Callable[["Exchange"], None]
JPEG = {"Content-Type": "image/jpeg"}
IN_FLIGHT_S = 0.1
"""Requests of other paths may be on their way when a Retry-After is sent; for this long they are no early retries."""


@dataclass(frozen=True)
class Seen:
    """One request as it arrived: path with query, monotonic time in s, headers in lower case."""

    path: str
    at: float
    headers: dict[str, str]


@dataclass
class Record:
    """What the server has seen; read it when the client is done."""

    requests: list[Seen] = field(default_factory=list)
    num_connections: int = 0
    open_connections: int = 0
    peak_connections: int = 0
    early_retries: int = 0
    """Requests before the time that a Retry-After named: of its path, or of any path once the answer is known."""
    asked_at: float = 0.0
    not_before: float = 0.0
    waiting_path: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def num_requests(self, path: str | None = None) -> int:
        """Requests for a path, or for all but robots.txt."""
        return sum(seen.path == path if path else seen.path != "/robots.txt" for seen in self.requests)

    def peak_rate(self, window_s: float) -> float:
        """The most requests per second in any window of this length."""
        times = sorted(seen.at for seen in self.requests)
        most = max((sum(t <= other < t + window_s for other in times) for t in times), default=0)
        return most / window_s


class Exchange(http.server.BaseHTTPRequestHandler):
    """One connection; behaviours call its methods once per request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "FaultServer"

    def setup(self) -> None:
        record = self.server.record
        with record.lock:
            record.num_connections += 1
            record.open_connections += 1
            record.peak_connections = max(record.peak_connections, record.open_connections)
        super().setup()

    def finish(self) -> None:
        with self.server.record.lock:
            self.server.record.open_connections -= 1
        super().finish()

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True  # the client has left, as clients of such a server do

    def do_GET(self) -> None:
        record, now = self.server.record, time.monotonic()
        with record.lock:
            headers = {name.lower(): value for name, value in self.headers.items()}
            record.requests.append(Seen(self.path, now, headers))
            self.nth = record.num_requests(self.path)
            answer_known = now > record.asked_at + IN_FLIGHT_S or self.path == record.waiting_path
            record.early_retries += answer_known and now < record.not_before
        self.server.behaviour(self.path)(self)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""

    def head(self, status: int, headers: dict[str, str]) -> None:
        """Send the status line and the headers given, beside Date and Server."""
        self.send_response(status)
        for name, value in headers.items():
            for line in value.split("\n"):
                self.send_header(name, line)
        self.end_headers()

    def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """A whole, well-formed answer."""
        self.head(status, {"Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def pause(self, seconds: float) -> None:
        """Sleep, but not longer than the server lives."""
        if self.server.closing.wait(seconds):
            raise ConnectionAbortedError("server closing")

    def ask_to_wait(self, seconds: float) -> None:
        """Count every request before this time is over as an early retry."""
        record, now = self.server.record, time.monotonic()
        with record.lock:
            record.asked_at, record.not_before, record.waiting_path = now, now + seconds, self.path


class FaultServer(http.server.ThreadingHTTPServer):
    """Serves from construction to `close`; also a context manager.

    Args:
        certificate: a PEM file with key and certificate makes it an https server.
    """

    request_queue_size = 256
    daemon_threads = True
    block_on_close = False

    def __init__(self, certificate: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.record = Record()
        self.closing = threading.Event()
        self._behaviours: dict[str, Behaviour] = {}
        self._scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
            self._scheme = "https"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def add(self, path: str, behaviour: Behaviour) -> str:
        """Give a path its behaviour; returns the URL."""
        self._behaviours[path] = behaviour
        return self.url(path)

    def behaviour(self, path: str) -> Behaviour:
        """What a path does; 404 where nothing was added."""
        return self._behaviours.get(path, status(404))

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """The absolute address of a path."""
        return f"{self._scheme}://{host}:{self.server_address[1]}{path}"

    def counts(self) -> Counter[str]:
        """Requests per path."""
        return Counter(seen.path for seen in self.record.requests)

    def handle_error(self, request: object, client_address: object) -> None:
        """Silence: broken connections are the point."""

    def close(self) -> None:
        """Stop serving and wake whoever sleeps."""
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def __enter__(self) -> "FaultServer":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()


def ok(body: bytes, headers: dict[str, str] | None = None) -> Behaviour:
    """200 with the body; header values may hold several lines for a repeated header."""
    return lambda exchange: exchange.reply(200, body, JPEG | (headers or {}))


def status(code: int, headers: dict[str, str] | None = None, body: bytes = b"sorry") -> Behaviour:
    """One status for ever."""
    return lambda exchange: exchange.reply(code, body, headers)


def first(times: int, failure: Behaviour, then: Behaviour) -> Behaviour:
    """One behaviour for the first requests of a path, another after them."""
    return lambda exchange: (failure if exchange.nth <= times else then)(exchange)


def retry_after(seconds: float, code: int = 429, as_date: bool = False) -> Behaviour:
    """Ask to come back later; dates are whole seconds, rounded up."""

    def behave(exchange: Exchange) -> None:
        exchange.ask_to_wait(seconds)
        value = formatdate(time.time() + seconds + 0.999, usegmt=True) if as_date else str(int(seconds))
        exchange.reply(code, b"later", {"Retry-After": value})

    return behave


def redirect(location: str, code: int = 302) -> Behaviour:
    """Send elsewhere."""
    return lambda exchange: exchange.reply(code, b"", {"Location": location})


def drip(body: bytes, bytes_per_s: float = 64.0) -> Behaviour:
    """The body a byte at a time."""

    def behave(exchange: Exchange) -> None:
        exchange.head(200, {**JPEG, "Content-Length": str(len(body))})
        for value in body:
            exchange.wfile.write(bytes([value]))
            exchange.pause(1 / bytes_per_s)

    return behave


def drip_headers(bytes_per_s: float = 64.0) -> Behaviour:
    """A header line that does not end, a byte at a time."""

    def behave(exchange: Exchange) -> None:
        exchange.wfile.write(b"HTTP/1.1 200 OK\r\nX-Padding: ")
        while True:
            exchange.wfile.write(b"x")
            exchange.pause(1 / bytes_per_s)

    return behave


def hang() -> Behaviour:
    """Take the request and say nothing."""
    return lambda exchange: exchange.pause(3600)


def stall(body: bytes, sent: int) -> Behaviour:
    """Send a part of the body, then nothing."""

    def behave(exchange: Exchange) -> None:
        exchange.head(200, {**JPEG, "Content-Length": str(len(body))})
        exchange.wfile.write(body[:sent])
        exchange.pause(3600)

    return behave


def truncated(body: bytes, sent: int, chunked: bool = False) -> Behaviour:
    """Promise the whole body, send a part and close."""

    def behave(exchange: Exchange) -> None:
        length = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(body))}
        exchange.head(200, {**JPEG, **length})
        exchange.wfile.write((b"%x\r\n" % len(body) if chunked else b"") + body[:sent])
        exchange.close_connection = True

    return behave


def chunked(body: bytes, size: int = 1000, headers: dict[str, str] | None = None) -> Behaviour:
    """The body in chunks, without a length."""

    def behave(exchange: Exchange) -> None:
        exchange.head(200, {**JPEG, "Transfer-Encoding": "chunked", **(headers or {})})
        for start in range(0, len(body), size):
            piece = body[start : start + size]
            exchange.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        exchange.wfile.write(b"0\r\n\r\n")

    return behave


def endless() -> Behaviour:
    """A body without length or end."""

    def behave(exchange: Exchange) -> None:
        exchange.head(200, {**JPEG, "Transfer-Encoding": "chunked"})
        while not exchange.server.closing.is_set():
            exchange.wfile.write(b"4000\r\n" + b"\xff" * 0x4000 + b"\r\n")

    return behave


def encoded(body: bytes, encoding: str) -> Behaviour:
    """The body compressed as `gzip`, `deflate` (zlib) or `raw-deflate`, whatever the client accepts."""
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = {
        "gzip": lambda: gzip.compress(body, 1),
        "deflate": lambda: zlib.compress(body, 1),
        "raw-deflate": lambda: raw.compress(body) + raw.flush(),
    }[encoding]()
    return ok(data, {"Content-Encoding": encoding.removeprefix("raw-")})


def disconnect() -> Behaviour:
    """Close without an answer."""

    def behave(exchange: Exchange) -> None:
        exchange.close_connection = True
        exchange.connection.shutdown(socket.SHUT_RDWR)

    return behave
