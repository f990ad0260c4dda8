"""The fast transport: libcurl through pycurl, all requests of a process in one thread of its own.

Source of the choice: measurements of one process (docs/LOG.md, transports). With an easy handle in each thread that
fetches, sixteen threads spend more on handing Python's lock to each other in libcurl's callbacks than on the requests.
"""

import os
import re
import select
import threading
import time
import urllib.request
from collections import deque

import pycurl

from spark_jobs.statuses import Status
from spark_jobs.transport import (
    DRAIN_BYTES,
    BodyCollector,
    Headers,
    Request,
    Response,
    TransportFailure,
    announced_bytes,
    ca_file,
)

READ_BYTES = 256 * 1024

_LOOK_S = 0.25
"""How often running requests are looked at for silence."""

_BLIND_NAP_MS = 10
"""How long to wait, ms, while the socket of a request cannot be watched.

Source: curl_multi_fdset(3): it leaves out sockets whose descriptor is not below FD_SETSIZE, 1,024.
"""

_LONGEST_MS = 2**31 - 1
"""Source: libcurl's CURLOPT_TIMEOUT_MS takes no more; some 25 days."""

_CLOSED = "the transport was closed"

_TLS_ERRORS = frozenset({35, 51, 53, 54, 58, 59, 60, 64, 66, 77, 80, 82, 83, 90, 91, 98})
"""Source: libcurl-errors(3), the codes of TLS and certificates."""

_SUPPRESS_CONNECT_HEADERS = 265
"""CURLOPT_SUPPRESS_CONNECT_HEADERS: the answer of a proxy to CONNECT is no answer; pycurl has no name for it.

Source: curl/curl.h, a part of libcurl's stable interface.
"""

_OPTIONS = {
    pycurl.NOSIGNAL: 1,
    pycurl.FOLLOWLOCATION: 0,
    pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
    pycurl.BUFFERSIZE: READ_BYTES,
    _SUPPRESS_CONNECT_HEADERS: 1,
    pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
}


_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9._-]+(:[0-9]+)?[/?][!$-;=?-Z_a-z~]*", re.ASCII)
"""URLs that go over the wire as they are; others are made so first."""


class CurlTransport:
    """Implements `spark_jobs.transport.Transport`; safe for any number of threads of one process.

    Args:
        ca: file of certificates to trust; None: `spark_jobs.transport.ca_file`.

    Proxy variables are read once, here. At least one of http_proxy, https_proxy, no_proxy applies as usual.
    """

    def __init__(self, ca: str | None = None) -> None:
        self._ca = ca or ca_file()
        self._proxies = urllib.request.getproxies()
        self._loop: _Loop | None = None
        self._closed = False
        self._lock = threading.Lock()

    def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        try:
            url = _plain_url(request.url)
        except ValueError as invalid:
            raise TransportFailure(Status.CONNECTION_ERROR, str(invalid)) from invalid
        loop = self._loop or self._start()
        exchange = _Exchange(request, url, self._proxy_for(url))
        loop.run(exchange)
        return exchange.result()

    def close(self) -> None:
        """Close every connection; what is under way or sent later fails."""
        with self._lock:
            if self._loop is not None and not self._closed:
                self._loop.close()
            self._closed = True

    def _start(self) -> "_Loop":
        with self._lock:
            if self._closed and self._loop is None:
                raise TransportFailure(Status.CONNECTION_ERROR, _CLOSED)
            if self._loop is None:
                self._loop = _Loop(self._ca, self._proxies.get("no", ""))
            return self._loop

    def _proxy_for(self, url: str) -> str:
        if not self._proxies:
            return ""
        return self._proxies.get(url.partition(":")[0].lower()) or self._proxies.get("all", "")


class _Loop:
    """The thread that drives every request of a transport, with the connections that they share."""

    def __init__(self, ca: str, no_proxy: str) -> None:
        self._settings = _OPTIONS | {pycurl.CAINFO: ca, pycurl.NOPROXY: no_proxy}
        self._multi = pycurl.CurlMulti()
        self._waiting: deque[_Exchange] = deque()
        self._running: dict[pycurl.Curl, _Exchange] = {}
        self._idle: list[pycurl.Curl] = []
        self._wake_reader, self._wake_writer = os.pipe()
        self._asleep = False
        self._ended: str | None = None
        """Why nothing is sent any more; once set under the lock, nothing is queued and nobody wakes the thread."""
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._drive, name="curl", daemon=True)
        self._thread.start()

    def run(self, exchange: "_Exchange") -> None:
        """Send a request and wait until it has ended."""
        with self._lock:
            if self._ended is not None:
                exchange.give_up(self._ended)
                return
            self._waiting.append(exchange)
            self._wake()
        exchange.ended.acquire()

    def close(self) -> None:
        """End the thread and every request; to be called once."""
        with self._lock:
            self._ended = self._ended or _CLOSED
            self._wake()
        self._thread.join()
        with self._lock:
            os.close(self._wake_reader)
            os.close(self._wake_writer)

    def _wake(self) -> None:
        if self._asleep:  # set before the thread looks at the queue for the last time
            os.write(self._wake_writer, b"x")

    def _drive(self) -> None:
        try:
            self._send_all()
        except Exception as error:  # whatever it is: nobody may wait for a thread that is gone
            with self._lock:
                self._ended = self._ended or f"the transport broke: {error!r}"
        assert self._ended is not None
        for exchange in [*self._running.values(), *self._waiting]:
            exchange.give_up(self._ended)
        for handle in [*self._running, *self._idle]:
            handle.close()
        self._multi.close()

    def _send_all(self) -> None:
        """Send what is queued until the end."""
        next_look = 0.0
        while self._ended is None:
            while self._waiting:
                self._begin(self._waiting[0])
                self._waiting.popleft()  # only now: what fails unforeseen in between is still known as unanswered
            self._multi.perform()
            self._collect()
            if (now := time.monotonic()) >= next_look:
                next_look = now + _LOOK_S
                for handle, exchange in list(self._running.items()):
                    if exchange.is_stuck():
                        self._end(handle, None)
            self._sleep()

    def _sleep(self) -> None:
        """Wait until a socket is ready, libcurl's next deadline, or a request to send."""
        self._asleep = True
        try:
            if self._waiting or self._ended is not None:
                return
            reading, writing, _ = self._multi.fdset()  # libcurl never fills the third
            poll = select.poll()  # unlike select it takes descriptors of any size, such as the pipe's
            poll.register(self._wake_reader, select.POLLIN)
            for socket in reading:
                poll.register(socket, select.POLLIN)
            for socket in writing:
                poll.register(socket, select.POLLOUT | (select.POLLIN if socket in reading else 0))
            ready = poll.poll(self._longest_sleep_ms(len(reading) + len(writing)))
            if any(descriptor == self._wake_reader for descriptor, _ in ready):
                os.read(self._wake_reader, 4096)
        finally:
            self._asleep = False

    def _longest_sleep_ms(self, num_watched: int) -> int | None:
        """How long libcurl and the look for silence can wait; None: for ever."""
        if not self._running:
            return None
        longest_ms = int(_LOOK_S * 1000) if num_watched >= len(self._running) else _BLIND_NAP_MS
        timeout_ms = self._multi.timeout()
        return longest_ms if timeout_ms < 0 else min(longest_ms, timeout_ms)

    def _begin(self, exchange: "_Exchange") -> None:
        handle = self._idle.pop() if self._idle else self._new_handle()
        try:
            exchange.prepare(handle)
        except (pycurl.error, ValueError, TypeError) as refused:  # a value that libcurl does not take, as a proxy's
            self._idle.append(handle)
            exchange.error = pycurl.E_URL_MALFORMAT, str(refused)
            exchange.ended.release()
            return
        self._running[handle] = exchange
        self._multi.add_handle(handle)

    def _new_handle(self) -> pycurl.Curl:
        handle = pycurl.Curl()
        for option, value in self._settings.items():
            handle.setopt(option, value)
        return handle

    def _collect(self) -> None:
        """Hand over what has ended."""
        more = 1
        while more:
            more, finished, failed = self._multi.info_read()
            for handle in finished:
                self._end(handle, None)
            for handle, code, text in failed:
                self._end(handle, (code, text))

    def _end(self, handle: pycurl.Curl, error: tuple[int, str] | None) -> None:
        exchange = self._running.pop(handle)
        self._multi.remove_handle(handle)
        self._idle.append(handle)
        exchange.error = error
        exchange.ended.release()


class _Exchange:
    """One request under way: what libcurl calls with its answer, and what came of it."""

    def __init__(self, request: Request, url: str, proxy: str) -> None:
        self.ended = threading.Semaphore(0)
        self.error: tuple[int, str] | None = None
        self._request = request
        self._url = url
        self._proxy = proxy
        self._lines: list[bytes] = []
        self._http_status = 0
        self._headers = Headers()
        self._wanted: bool | None = None
        self._body: BodyCollector | None = None
        self._failure: TransportFailure | None = None
        self._give_up_draining = 0.0

    def give_up(self, reason: str) -> None:
        """End without an answer, for the transport's own reason."""
        self._failure = self._failure or TransportFailure(Status.CONNECTION_ERROR, reason)
        self.ended.release()

    def prepare(self, handle: pycurl.Curl) -> None:
        request = self._request
        handle.setopt(pycurl.URL, self._url)
        handle.setopt(pycurl.PROXY, self._proxy)
        handle.setopt(pycurl.TIMEOUT_MS, _milliseconds(request.deadline_s))
        handle.setopt(pycurl.CONNECTTIMEOUT_MS, _milliseconds(min(request.connect_timeout_s, request.deadline_s)))
        headers = {"Accept-Encoding": "identity", **request.headers}
        handle.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in headers.items()])
        handle.setopt(pycurl.HEADERFUNCTION, self._take_header)
        handle.setopt(pycurl.WRITEFUNCTION, self._take_data)

    def result(self) -> Response:
        """The answer, in the thread that asked; see `Transport.send`."""
        if self._wanted is False:
            return Response(self._http_status, self._headers, b"")
        try:
            if self._failure is not None:
                raise self._failure
            if self.error is not None:
                raise self._as_failure(*self.error)
            if self._body is None:
                raise TransportFailure(Status.CONNECTION_ERROR, "the answer has no headers")
            return Response(self._http_status, self._headers, self._body.finish())
        except TransportFailure as failure:
            raise TransportFailure(failure.status, str(failure), self._http_status or None) from failure

    def is_stuck(self) -> bool:
        """Whether nothing comes any more; looked at now and then."""
        if self._wanted is False:
            return time.monotonic() > self._give_up_draining
        self._failure = self._failure or (None if self._body is None else self._body.silence())
        return self._failure is not None

    def _take_header(self, line: bytes) -> int | None:
        """One header line; an answer ends the exchange where -1 comes back."""
        if len(line) > 2:
            self._lines.append(line)
            return None
        lines, self._lines = self._lines, []
        if self._wanted is not None or not lines:  # trailers
            return None
        code = lines[0].partition(b" ")[2][:3]  # the status line comes first
        self._http_status = int(code) if code.isdigit() else 0
        if self._http_status < 200:  # an interim answer
            return None
        pairs = (line.decode("latin-1").partition(":") for line in lines[1:])
        self._headers = Headers((name, value.strip()) for name, _, value in pairs)
        return self._decide()

    def _decide(self) -> int | None:
        """All headers are there: is the body wanted, and may it be as long as announced?"""
        self._wanted = self._request.wants_body(self._http_status, self._headers)
        if self._wanted:
            try:
                self._body = BodyCollector(self._request, self._headers)
            except TransportFailure as failure:
                self._failure = failure
                return -1
            return None
        self._give_up_draining = time.monotonic() + 1.0
        announced = announced_bytes(self._headers)
        return None if announced is not None and announced <= DRAIN_BYTES else -1

    def _take_data(self, data: bytes) -> int | None:
        if self._body is None:
            return None
        try:
            self._body.add(data)
        except TransportFailure as failure:
            self._failure = failure
            return -1
        return None

    def _as_failure(self, code: int, text: str) -> TransportFailure:
        if code == pycurl.E_OPERATION_TIMEDOUT:
            if self._body is not None and (silence := self._body.silence()) is not None:
                return silence
            return TransportFailure(Status.TIMEOUT, text)
        return TransportFailure(Status.TLS_ERROR if code in _TLS_ERRORS else Status.CONNECTION_ERROR, text)


def _milliseconds(seconds: float) -> int:
    """A time limit as libcurl takes it; 0 would mean none.

    Raises:
        ValueError: it is no number.
    """
    return max(1, int(min(seconds * 1000, _LONGEST_MS)))


def _plain_url(url: str) -> str:
    """The URL as it goes over the wire: IDNA for hosts, percent-encoding for the rest.

    Raises:
        ValueError: it is none.
    """
    if _PLAIN_URL.fullmatch(url):
        return url
    import requests  # few URLs need it, and a worker starts sooner without

    prepared = requests.PreparedRequest()
    prepared.prepare_url(url, None)
    assert prepared.url is not None
    return prepared.url
