"""The lease service among strangers, silent lines and failures: tasks get their answers, and nobody waits for ever."""

import resource
import socket
import threading
import time

import pytest

from spark_jobs import lease_service
from spark_jobs.host_book import HostBook
from spark_jobs.lease_service import CountingBook, LeaseService, RemoteBook, ServiceAddress
from spark_jobs.leases import Exchanged
from tests.spark_jobs.in_time import SOON_S, in_time


def serve(book: CountingBook | None = None) -> LeaseService:
    return LeaseService(book or CountingBook(HostBook(4)), "127.0.0.1", "127.0.0.1")


def knock(service: LeaseService) -> socket.socket:
    """A connection of someone who knows nothing; what it reads has a time limit."""
    return socket.create_connection((service.address.host, service.address.port), timeout=SOON_S)


def ask(address: ServiceAddress) -> Exchanged:
    book = RemoteBook(address)
    try:
        return book.exchange("a task", [], {"ok": 1})
    finally:
        book.leave("a task")


def test_a_silent_connection_keeps_nobody_out_and_holds_no_end():
    book = CountingBook(HostBook(4))
    service = serve(book)
    service.__enter__()
    with knock(service):
        in_time(lambda: ask(service.address))
        assert book.photos() == {"ok": 1}
        in_time(service.__exit__)


@pytest.mark.parametrize("words", [b"", b"\0\0"])
def test_a_stranger_who_never_ends_his_answer_is_hung_up_on(monkeypatch, words):
    monkeypatch.setattr(lease_service, "ANSWER_S", 0.2)
    with serve() as service, knock(service) as line:
        line.sendall(words)
        while line.recv(1024):  # the challenge, and the end after it
            pass


def test_a_task_may_be_silent_for_longer_than_an_answer_takes(monkeypatch):
    monkeypatch.setattr(lease_service, "ANSWER_S", 0.2)
    left: list[str] = []

    class Book(CountingBook):
        def leave(self, client: str) -> None:
            left.append(client)

    book = Book(HostBook(4))
    with serve(book) as service:
        task = RemoteBook(service.address)
        task.exchange("a task", [], {"ok": 1})
        time.sleep(0.5)
        assert left == []
        task.exchange("a task", [], {"ok": 1})
        task.leave("a task")
        assert book.photos() == {"ok": 2}


def test_without_free_descriptors_the_service_waits_and_then_goes_on():
    with serve() as service:
        where = service.address.host, service.address.port
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket() as one, socket.socket() as other:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                one.connect(where)  # takes the descriptor that the waiting accept has set aside
                one.close()
                other.connect(where)
                started = time.process_time()
                time.sleep(0.5)
                busy_s = time.process_time() - started
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert busy_s < 0.1
        in_time(lambda: ask(service.address))


@pytest.mark.parametrize("words", [b"", b"\0\0"])
def test_a_driver_that_never_answers_is_lost_contact(monkeypatch, words):
    monkeypatch.setattr(lease_service, "ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = ServiceAddress("127.0.0.1", mute.getsockname()[1], b"secret")

        def ask_in_vain() -> None:
            with pytest.raises(ConnectionError, match=r"no answer within 0\.2 s"):
                ask(address)

        def speak() -> None:
            line, _ = mute.accept()
            with line:
                line.sendall(words)
                line.recv(1)

        threading.Thread(target=speak, daemon=True).start()
        in_time(ask_in_vain)


def test_a_driver_that_falls_silent_in_an_exchange_is_lost_contact(monkeypatch):
    monkeypatch.setattr(lease_service, "ANSWER_S", 0.2)
    awake = threading.Event()

    class Book(CountingBook):
        def exchange(self, client, reports, photos):
            awake.wait(2 * SOON_S)
            return super().exchange(client, reports, photos)

    with serve(Book(HostBook(4))) as service:

        def ask_in_vain() -> None:
            with pytest.raises(ConnectionError, match=r"no answer within 0\.2 s"):
                ask(service.address)

        in_time(ask_in_vain)
        awake.set()


def test_a_book_that_fails_ends_the_connection_and_the_share_of_the_task(monkeypatch):
    left: list[str] = []
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(str(args.exc_value)))

    class Book(CountingBook):
        def exchange(self, client, reports, photos):
            raise RuntimeError("a page is missing")

        def leave(self, client):
            left.append(client)

    with serve(Book(HostBook(4))) as service:

        def ask_in_vain() -> None:
            with pytest.raises(ConnectionError):
                ask(service.address)

        in_time(ask_in_vain)
        give_up = time.monotonic() + SOON_S
        while not told and time.monotonic() < give_up:
            time.sleep(0.01)
    assert (left, told) == (["a task"], ["a page is missing"])
