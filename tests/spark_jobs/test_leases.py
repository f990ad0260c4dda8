"""Leases over the real service: rate, pauses and robots.txt hold across processes; no book, no request."""

import multiprocessing
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from spark_jobs.host_book import HostBook
from spark_jobs.lease_service import CountingBook, LeaseService, RemoteBook, ServiceAddress
from spark_jobs.leases import BookLostError, FetchStoppedError, Leases
from spark_jobs.robots import parse_robots
from spark_jobs.statuses import Status
from tests.spark_jobs.open_leases import open_leases

URL = "http://photos.example.org/1.jpg"
NEVER = threading.Event()


def pass_gate(leases: Leases, times: int, hold_s: float = 0.0, threads: int = 16) -> list[float]:
    """When `times` requests could start, asked for by several threads at once."""

    def one(_: int) -> float:
        assert leases.enter(URL, NEVER) is None
        started = time.time()
        time.sleep(hold_s)
        leases.leave(URL, Status.OK, 200, None)
        return started

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(times)))


def in_a_process(address: ServiceAddress, times: int, queue: multiprocessing.Queue) -> None:
    with Leases(RemoteBook(address)) as leases:
        queue.put(pass_gate(leases, times))


@pytest.mark.process
def test_four_processes_together_keep_the_rate_and_use_it():
    context = multiprocessing.get_context("spawn")
    with LeaseService(CountingBook(HostBook(16, max_rate=200)), "127.0.0.1", "127.0.0.1") as service:
        queue = context.Queue()
        sizes = (500, 300, 300, 300)
        workers = [context.Process(target=in_a_process, args=(service.address, size, queue)) for size in sizes]
        for worker in workers:
            worker.start()
        times = sorted(time for _ in workers for time in queue.get(timeout=60))
        for worker in workers:
            worker.join(timeout=10)
    assert len(times) == sum(sizes)
    for start in times:
        assert sum(start <= t < start + 5 for t in times) <= 1.05 * 200 * 5
    first, last = times[0] + 3, times[-1]
    assert sum(first <= t for t in times) >= 0.9 * 200 * (last - first)


def test_requests_at_once_stay_within_the_connections():
    running, peak, lock = 0, 0, threading.Lock()
    with open_leases(max_per_host=3) as leases, ThreadPoolExecutor(12) as pool:

        def one(_: int) -> None:
            nonlocal running, peak
            leases.enter(URL, NEVER)
            with lock:
                running += 1
                peak = max(peak, running)
            time.sleep(0.01)
            with lock:
                running -= 1
            leases.leave(URL, Status.OK, 200, None)

        list(pool.map(one, range(60)))
    assert peak == 3


def test_a_pause_of_one_process_reaches_the_others():
    with (
        LeaseService(CountingBook(HostBook(16)), "127.0.0.1", "127.0.0.1") as service,
        Leases(RemoteBook(service.address)) as one,
        Leases(RemoteBook(service.address)) as other,
    ):
        pass_gate(one, 1)
        pass_gate(other, 1)
        one.enter(URL, NEVER)
        paused_at = time.time()
        one.leave(URL, Status.THROTTLED, 429, 1.0)
        time.sleep(0.15)
        assert min(pass_gate(other, 4)) >= paused_at + 0.95


def test_a_pause_beyond_patience_ends_photos_unasked():
    with open_leases(longest_pause_s=5) as leases:
        leases.enter(URL, NEVER)
        leases.leave(URL, Status.THROTTLED, 429, 3600.0)
        refusal = leases.enter(URL, NEVER)
    assert refusal is not None
    assert refusal[0] is Status.THROTTLED
    assert "3600 s" in refusal[1] or "3599 s" in refusal[1]


def test_robots_rules_refuse_before_any_request():
    rules = parse_robots("User-agent: *\nDisallow: /1.jpg", "taxaflow")
    with Leases(CountingBook(HostBook(4, fetch_robots=lambda scheme, host: rules))) as leases:
        refusal = leases.enter(URL, NEVER)
        assert refusal is not None
        assert refusal[0] is Status.ROBOTS_DENIED
        assert leases.enter("http://photos.example.org/2.jpg", NEVER) is None


def test_photos_are_counted_over_all_processes_to_the_last():
    book = CountingBook(HostBook(4))
    with LeaseService(book, "127.0.0.1", "127.0.0.1") as service:
        with Leases(RemoteBook(service.address)) as one, Leases(RemoteBook(service.address)) as other:
            for leases, statuses in ((one, [Status.OK] * 5), (other, [Status.OK, Status.GONE])):
                for status in statuses:
                    leases.count_photo(status)
        assert book.photos() == {"ok": 6, "gone": 1}


def test_without_the_service_a_thread_waits_and_then_fails(monkeypatch):
    monkeypatch.setattr("spark_jobs.leases.LOST_AFTER_S", 0.5)
    with LeaseService(CountingBook(HostBook(4)), "127.0.0.1", "127.0.0.1") as service:
        address = service.address
    with Leases(RemoteBook(address)) as leases, pytest.raises(BookLostError, match="lease service is gone"):
        leases.enter(URL, NEVER)


def test_a_lease_ends_with_the_service():
    with LeaseService(CountingBook(HostBook(4)), "127.0.0.1", "127.0.0.1") as service:
        leases = Leases(RemoteBook(service.address)).__enter__()
        pass_gate(leases, 1)
    time.sleep(1.2)
    passed = threading.Event()
    stopped = threading.Event()

    def enter() -> None:
        with pytest.raises(FetchStoppedError):
            leases.enter(URL, stopped)
        passed.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not passed.wait(0.3)
    stopped.set()
    leases.wake()
    assert passed.wait(2)
    leases.__exit__()


def test_a_stranger_without_the_secret_is_turned_away_and_the_service_lives():
    with LeaseService(CountingBook(HostBook(4)), "127.0.0.1", "127.0.0.1") as service:
        stranger = ServiceAddress(service.address.host, service.address.port, b"guess")
        with pytest.raises(ConnectionError):
            RemoteBook(stranger).exchange("x", [], {})
        with Leases(RemoteBook(pickle.loads(pickle.dumps(service.address)))) as leases:
            assert pass_gate(leases, 3)
        assert str(service.address.secret) not in repr(service.address)
