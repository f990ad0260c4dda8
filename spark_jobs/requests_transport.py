"""The transport that is always there: `requests`, with the settings that make it lean and its deadlines true.

Source: measurements of one process on loopback (docs/design.md, Transport): requests as it comes reloads the CA bundle
for each connection; a read with a timeout alone never ends on a server that drips.
"""

import functools
import socket
import ssl
import threading
import time
import urllib.request
from contextlib import closing
from typing import Any

import requests
import requests.adapters
import requests.utils
import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

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


class _Clock:
    """How long the socket of the running request may still wait; one per request, found through its thread."""

    def __init__(self, request: Request) -> None:
        self.deadline = time.monotonic() + request.deadline_s
        self.request = request
        self.in_body = False

    def patience_s(self) -> float:
        """Seconds the next read may take; raises TimeoutError when the deadline is over."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline over")
        return min(left, self.request.speed_window_s) if self.in_body else left

    def timeout_failure(self) -> TransportFailure:
        """What a read that timed out means."""
        if self.in_body and time.monotonic() < self.deadline:
            return TransportFailure(Status.TOO_SLOW, f"no data for {self.request.speed_window_s:g} s")
        return TransportFailure(Status.TIMEOUT, f"not done within {self.request.deadline_s:g} s")


_running = threading.local()
"""`.clock`: the _Clock of the request that this thread is sending."""


class _DeadlineSocket(socket.socket):
    """A plain socket whose every read respects the running request's clock, header lines included."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_running.clock.patience_s())
        return super().recv_into(*args, **kwargs)


class _DeadlineSSLSocket(ssl.SSLSocket):
    """The same over TLS."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_running.clock.patience_s())
        return super().recv_into(*args, **kwargs)


class _PlainConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        plain = super()._new_conn()
        timeout = plain.gettimeout()
        timed = _DeadlineSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
        timed.settimeout(timeout)
        return timed


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection  # pyright: ignore[reportAssignmentType]  # urllib3's own classes differ so


_POOLS = {"http": _PlainPool, "https": HTTPSConnectionPool}
"""TLS needs no pool of its own: its sockets come from the context."""


@functools.cache
def _tls_context(ca: str) -> ssl.SSLContext:
    """One context per process and CA file: loading the certificates takes longer than a request."""
    context = ssl.create_default_context(cafile=ca)
    context.sslsocket_class = _DeadlineSSLSocket
    return context


class _LeanAdapter(requests.adapters.HTTPAdapter):
    """requests' adapter with our sockets, one loaded TLS context and no retries."""

    def __init__(self, connections: int, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_connections=64, pool_maxsize=connections, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Nothing: the context verifies; naming a CA file here would load it again for each connection."""


class RequestsTransport:
    """Implements `spark_jobs.transport.Transport`; safe for any number of threads of one process.

    Args:
        connections: idle connections kept per host.
        ca: file of certificates to trust; None: `spark_jobs.transport.ca_file`.

    Proxy variables are read once, here. At least one of http_proxy, https_proxy, no_proxy applies as usual.
    """

    def __init__(self, connections: int, ca: str | None = None) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        adapter = _LeanAdapter(connections, _tls_context(ca or ca_file()))
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self._proxies = {key: url for key, url in urllib.request.getproxies().items() if key != "no"}
        self._no_proxy = urllib.request.getproxies().get("no")

    def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        clock = _running.clock = _Clock(request)
        http_status: int | None = None
        try:
            with closing(self._open(request)) as reply:
                http_status = reply.status_code
                if http_status < 200:
                    raise TransportFailure(Status.CONNECTION_ERROR, f"interim answer {http_status} instead of one")
                headers = Headers(reply.raw.headers.iteritems())
                clock.in_body = True
                wanted = request.wants_body(http_status, headers)
                body = _read_body(reply.raw, headers, request) if wanted else _drain(reply.raw, headers)
                return Response(http_status, headers, body)
        except TransportFailure as failure:
            raise TransportFailure(failure.status, str(failure), http_status) from failure
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            failure = _as_failure(error, clock)
            raise TransportFailure(failure.status, str(failure), http_status) from error

    def close(self) -> None:
        """Close every idle connection."""
        self._session.close()

    def _open(self, request: Request) -> requests.Response:
        prepared = requests.PreparedRequest()
        prepared.prepare(method="GET", url=request.url, headers={"Accept-Encoding": "identity", **request.headers})
        timeout = (min(request.connect_timeout_s, request.deadline_s), request.deadline_s)
        # The session's own send() would also store cookies and resolve the redirect that nobody follows here.
        adapter = self._session.get_adapter(request.url)
        return adapter.send(prepared, stream=True, timeout=timeout, proxies=self._proxies_for(request.url))

    def _proxies_for(self, url: str) -> dict[str, str]:
        if not self._proxies or requests.utils.should_bypass_proxies(url, self._no_proxy):
            return {}
        return self._proxies


def _read_body(raw: Any, headers: Headers, request: Request) -> bytes:
    """The whole decoded body; raises TransportFailure past a limit, urllib3's errors where the body breaks."""
    body = BodyCollector(request, headers)
    while data := raw.read1(min(READ_BYTES, body.room), decode_content=False):
        body.add(data)
    return body.finish()


def _drain(raw: Any, headers: Headers) -> bytes:
    """Nothing; reads a short unwanted body so that its connection can serve again."""
    announced = announced_bytes(headers)
    if announced is not None and announced <= DRAIN_BYTES:
        try:
            raw.read(decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError):
            raw.close()  # the status is what counts; only the connection is lost
    return b""


def _as_failure(error: Exception, clock: _Clock) -> TransportFailure:
    """The typed form of an error of requests, urllib3 or the socket."""
    text = str(error) or type(error).__name__
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return TransportFailure(Status.TIMEOUT, f"no connection within {clock.request.connect_timeout_s:g} s")
    if _is_timeout(error):
        return clock.timeout_failure()
    if isinstance(error, (requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError)):
        return TransportFailure(Status.TLS_ERROR, text)
    return TransportFailure(Status.CONNECTION_ERROR, text)


def _is_timeout(error: BaseException) -> bool:
    """True for a read that timed out, also where urllib3 wrapped it in a broken-connection error."""
    kinds = (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError, TimeoutError)
    return isinstance(error, kinds) or any(isinstance(arg, TimeoutError) for arg in error.args)
