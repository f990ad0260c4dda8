"""The driver's small TCP service: one book of hosts and one count of photos for all tasks of a job.

Messages are pickles, exchanged only with processes that prove to know the job's secret (multiprocessing.connection).
"""

import contextlib
import secrets
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener, answer_challenge, deliver_challenge

from spark_jobs.host_book import HostBook, HostReport
from spark_jobs.leases import Exchanged

ANSWER_S = 10.0
"""The longest silence, s, while the other end owes something: a connection, its proof of the secret, an answer.

Three of them fit into `spark_jobs.leases.LOST_AFTER_S`, so one lost packet costs a try and not the task.
"""

_REST_S = 0.1
"""How long the service rests, s, where it cannot take a connection: for want of descriptors or threads."""


@dataclass(frozen=True)
class ServiceAddress:
    """Where tasks find the service, and what proves that they are of this job. Picklable."""

    host: str
    port: int
    secret: bytes

    def __repr__(self) -> str:
        return f"{self.host}:{self.port}"


class CountingBook:
    """A book, and the photos that ended; implements `spark_jobs.leases.Book` within one process."""

    def __init__(self, book: HostBook) -> None:
        self._book = book
        self._lock = threading.Lock()
        self._photos: Counter[str] = Counter()

    def exchange(self, client: str, reports: Sequence[HostReport], photos: Mapping[str, int]) -> Exchanged:
        """See `spark_jobs.leases.Book`."""
        with self._lock:
            self._photos.update(photos)
        return Exchanged(self._book.exchange(client, reports), self._book.exchange_s)

    def leave(self, client: str) -> None:
        """See `spark_jobs.leases.Book`."""
        self._book.leave(client)

    def photos(self) -> Counter[str]:
        """Photos that ended so far, by status."""
        with self._lock:
            return Counter(self._photos)


class LeaseService:
    """Serves a book to other processes while the block runs.

    Args:
        book: of the job.
        host: the address tasks reach this process at.
        bind: the address to listen on.
    """

    def __init__(self, book: CountingBook, host: str, bind: str) -> None:
        self._book = book
        self._secret = secrets.token_bytes(32)
        # The secret is asked for in each connection's own thread: a silent one would keep all others out here.
        self._listener = Listener((bind, 0), backlog=256)
        self._ending = threading.Event()
        self._open: set[Connection] = set()
        self._lock = threading.Lock()
        self.address = ServiceAddress(host, int(self._listener.address[1]), self._secret)
        self._thread = threading.Thread(target=self._accept, name="lease service", daemon=True)

    def __enter__(self) -> "LeaseService":
        """Start to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; tasks that still ask find nobody."""
        self._ending.set()
        door = str(self._listener.address[0]), self.address.port
        while self._thread.is_alive():
            with contextlib.suppress(OSError):  # the visit that wakes `accept`
                socket.create_connection(door, timeout=_REST_S).close()
            self._thread.join(_REST_S)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                _hang_up(connection)

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                self._take(self._listener.accept())
            except (OSError, RuntimeError):  # no descriptor or no thread is free; without the rest this would spin
                self._ending.wait(_REST_S)

    def _take(self, connection: Connection) -> None:
        """Give a connection its thread.

        Raises:
            RuntimeError: the system has no thread for it; the connection is closed.
        """
        with self._lock:
            self._open.add(connection)
        try:
            threading.Thread(target=self._serve, args=(connection,), name="lease client", daemon=True).start()
        except RuntimeError:
            self._close(connection)
            raise

    def _serve(self, connection: Connection) -> None:
        """Answer one process until it goes; its last words give its share to the others."""
        client = ""
        try:
            with contextlib.suppress(OSError, EOFError, AuthenticationError):  # a stranger, or a task that died
                self._check(connection)
                while not self._ending.is_set():
                    client, reports, photos = connection.recv()
                    connection.send(self._book.exchange(client, reports, photos))
        finally:
            self._close(connection)
            if client:
                self._book.leave(client)

    def _check(self, connection: Connection) -> None:
        """Ask for the proof of the secret, and give ours.

        Raises:
            AuthenticationError, EOFError, OSError: none came in time, or a wrong one.
        """
        _limit_silence(connection, ANSWER_S)
        deliver_challenge(connection, self._secret)
        answer_challenge(connection, self._secret)
        _limit_silence(connection, None)  # a task without news says nothing for as long as it likes

    def _close(self, connection: Connection) -> None:
        with self._lock:
            self._open.discard(connection)
            connection.close()


@contextlib.contextmanager
def _socket_of(connection: Connection) -> Iterator[socket.socket]:
    """The socket below a connection; takes no descriptor of its own, so it works where none is left."""
    line = socket.socket(fileno=connection.fileno())
    try:
        yield line
    finally:
        line.detach()


def _hang_up(connection: Connection) -> None:
    """Wake the thread that reads from a connection, by ending it under its feet."""
    with contextlib.suppress(OSError), _socket_of(connection) as line:
        line.shutdown(socket.SHUT_RDWR)


def _limit_silence(connection: Connection, longest_s: float | None) -> None:
    """Let reads and writes raise BlockingIOError where nothing moves for so long, also within a message; None: never.

    `Connection.poll` would see the start of a message only. Source: socket(7), SO_RCVTIMEO and SO_SNDTIMEO.
    """
    seconds, microseconds = divmod(round((longest_s or 0) * 1_000_000), 1_000_000)
    limit = struct.pack("ll", seconds, microseconds)
    with _socket_of(connection) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


class RemoteBook:
    """A job's book, asked over TCP; implements `spark_jobs.leases.Book`. One thread at a time."""

    def __init__(self, address: ServiceAddress) -> None:
        self._address = address
        self._connection: Connection | None = None

    def exchange(self, client: str, reports: Sequence[HostReport], photos: Mapping[str, int]) -> Exchanged:
        """See `spark_jobs.leases.Book`."""
        try:
            if self._connection is None:
                self._connection = _connect(self._address)
            self._connection.send((client, reports, photos))
            return self._connection.recv()
        except (OSError, EOFError, AuthenticationError) as error:
            self.leave(client)
            raise ConnectionError(f"{self._address}: {_in_words(error)}") from error

    def leave(self, client: str) -> None:
        """See `spark_jobs.leases.Book`; the service knows by the end of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect(address: ServiceAddress) -> Connection:
    """A connection to the service, both ends proved, on which no silence lasts longer than ANSWER_S.

    Raises:
        OSError, EOFError, AuthenticationError: nobody is there, or not the job's service.
    """
    with socket.create_connection((address.host, address.port), timeout=ANSWER_S) as line:
        line.setblocking(True)
        connection = Connection(line.detach())
    try:
        _limit_silence(connection, ANSWER_S)
        answer_challenge(connection, address.secret)
        deliver_challenge(connection, address.secret)
    except BaseException:
        connection.close()
        raise
    return connection


def _in_words(error: BaseException) -> str:
    if isinstance(error, (BlockingIOError, TimeoutError)):
        return f"no answer within {ANSWER_S:g} s"
    return str(error) or type(error).__name__
