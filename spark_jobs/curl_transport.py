"""The fast transport: libcurl through pycurl, one easy handle per running request, kept with its connections.

Source of the choice: measurements of one process (docs/design.md, Transport). Easy handles in the threads that fetch
cost about what one multi handle costs, and a request stays one call.
"""

import re
import threading
import time
import urllib.request
from collections import deque

import pycurl
import requests

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
    pycurl.NOPROGRESS: 0,
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
        self._idle: deque[_Channel] = deque()
        self._all: list[_Channel] = []
        self._lock = threading.Lock()

    def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        try:
            channel = self._idle.pop()  # the last one used: its connections are the likeliest to live
        except IndexError:
            channel = self._new_channel()
        try:
            return channel.exchange(request, self._proxy_for(request.url))
        finally:
            self._idle.append(channel)

    def close(self) -> None:
        """Close every idle connection."""
        with self._lock:
            for channel in self._all:
                channel.curl.close()
            self._all.clear()
            self._idle.clear()

    def _new_channel(self) -> "_Channel":
        channel = _Channel(self._ca, self._proxies.get("no", ""))
        with self._lock:
            self._all.append(channel)
        return channel

    def _proxy_for(self, url: str) -> str:
        if not self._proxies:
            return ""
        return self._proxies.get(url.partition(":")[0].lower()) or self._proxies.get("all", "")


class _Channel:
    """An easy handle and the state of the request it is sending."""

    def __init__(self, ca: str, no_proxy: str) -> None:
        self.curl = pycurl.Curl()
        for option, value in _OPTIONS.items():
            self.curl.setopt(option, value)
        self.curl.setopt(pycurl.CAINFO, ca)
        self.curl.setopt(pycurl.NOPROXY, no_proxy)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._take_header)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._take_data)
        self.curl.setopt(pycurl.XFERINFOFUNCTION, self._look_at_clock)
        self._sent_headers: dict[str, str] = {}
        self._begin(Request(""))

    def exchange(self, request: Request, proxy: str) -> Response:
        """See `Transport.send`."""
        self._begin(request)
        error: pycurl.error | None = None
        try:
            self._prepare(request, proxy)
            self.curl.perform()
        except pycurl.error as raised:
            error = raised
        except ValueError as invalid:  # of a URL that is none
            raise TransportFailure(Status.CONNECTION_ERROR, str(invalid)) from invalid
        if self._wanted is False:
            return Response(self._http_status, self._headers, b"")
        try:
            if self._failure is not None:
                raise self._failure
            if error is not None:
                raise self._as_failure(error)
            assert self._body is not None
            return Response(self._http_status, self._headers, self._body.finish())
        except TransportFailure as failure:
            raise TransportFailure(failure.status, str(failure), self._http_status or None) from error
        finally:
            self._body = None

    def _begin(self, request: Request) -> None:
        self._request = request
        self._lines: list[bytes] = []
        self._http_status = 0
        self._headers = Headers()
        self._wanted: bool | None = None
        self._body: BodyCollector | None = None
        self._failure: TransportFailure | None = None
        self._give_up_draining = 0.0

    def _prepare(self, request: Request, proxy: str) -> None:
        curl = self.curl
        curl.setopt(pycurl.URL, _plain_url(request.url))
        curl.setopt(pycurl.PROXY, proxy)
        curl.setopt(pycurl.TIMEOUT_MS, max(1, int(request.deadline_s * 1000)))
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, int(min(request.connect_timeout_s, request.deadline_s) * 1000)))
        if request.headers != self._sent_headers:
            headers = {"Accept-Encoding": "identity", **request.headers}
            curl.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in headers.items()])
            self._sent_headers = request.headers

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

    def _look_at_clock(self, *_: float) -> int:
        """Called by libcurl at least once a second; 1 ends the exchange."""
        if self._wanted is False:
            return int(time.monotonic() > self._give_up_draining)
        if self._body is not None and (silence := self._body.silence()) is not None:
            self._failure = silence
            return 1
        return 0

    def _as_failure(self, error: pycurl.error) -> TransportFailure:
        code, text = error.args[0], str(error.args[1] if len(error.args) > 1 else error)
        if code == pycurl.E_OPERATION_TIMEDOUT:
            if self._body is not None and (silence := self._body.silence()) is not None:
                return silence
            return TransportFailure(Status.TIMEOUT, text)
        return TransportFailure(Status.TLS_ERROR if code in _TLS_ERRORS else Status.CONNECTION_ERROR, text)


def _plain_url(url: str) -> str:
    """The URL as it goes over the wire: IDNA for hosts, percent-encoding for the rest.

    Raises:
        ValueError: it is none.
    """
    if _PLAIN_URL.fullmatch(url):
        return url
    prepared = requests.PreparedRequest()
    prepared.prepare_url(url, None)
    assert prepared.url is not None
    return prepared.url
