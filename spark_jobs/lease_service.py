"""The driver's small TCP service: one book of hosts and one count of photos for all tasks of a job.

Messages are pickles, exchanged only with processes that prove to know the job's secret (multiprocessing.connection).
"""

import contextlib
import os
import secrets
import socket
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener

from spark_jobs.host_book import HostBook, HostReport
from spark_jobs.leases import Exchanged


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
        self._listener = Listener((bind, 0), backlog=256, authkey=self._secret)
        self._ending = False
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
        self._ending = True
        with contextlib.suppress(OSError, EOFError, AuthenticationError):  # the visit that wakes `accept`
            Client(self._listener.address, authkey=self._secret).close()
        self._listener.close()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                _hang_up(connection)

    def _accept(self) -> None:
        while not self._ending:
            try:
                connection = self._listener.accept()
            except (OSError, EOFError, AuthenticationError):  # a stranger, or a task that died
                continue
            threading.Thread(target=self._serve, args=(connection,), name="lease client", daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        """Answer one process until it goes; its last words give its share to the others."""
        client = ""
        with self._lock:
            self._open.add(connection)
        with contextlib.suppress(OSError, EOFError):
            while not self._ending:
                client, reports, photos = connection.recv()
                connection.send(self._book.exchange(client, reports, photos))
        with self._lock:
            self._open.discard(connection)
            connection.close()
        self._book.leave(client)


def _hang_up(connection: Connection) -> None:
    """Wake the thread that reads from a connection, by ending it under its feet."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


class RemoteBook:
    """A job's book, asked over TCP; implements `spark_jobs.leases.Book`. One thread at a time."""

    def __init__(self, address: ServiceAddress) -> None:
        self._address = address
        self._connection: Connection | None = None

    def exchange(self, client: str, reports: Sequence[HostReport], photos: Mapping[str, int]) -> Exchanged:
        """See `spark_jobs.leases.Book`."""
        try:
            if self._connection is None:
                self._connection = Client((self._address.host, self._address.port), authkey=self._address.secret)
            self._connection.send((client, reports, photos))
            return self._connection.recv()
        except (OSError, EOFError, AuthenticationError) as error:
            self.leave(client)
            raise ConnectionError(f"{self._address}: {error or type(error).__name__}") from error

    def leave(self, client: str) -> None:
        """See `spark_jobs.leases.Book`; the service knows by the end of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
