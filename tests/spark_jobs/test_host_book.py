"""The book of hosts under a clock that the tests turn: rate, sharing, overload, outages, robots.txt."""

import threading
import time
from itertools import pairwise

import pytest

from spark_jobs.host_book import FAILURES_OF_OUTAGE, RATE_SHARE, HostBook, HostLease, HostReport
from spark_jobs.lease_service import CountingBook
from spark_jobs.leases import Leases
from spark_jobs.robots import Robots, parse_robots
from spark_jobs.statuses import Status

DOWN = (Status.CONNECTION_ERROR, "no answer")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ask(book: HostBook, client: str = "a", **report: object) -> HostLease:
    settings = {"host": "h", "scheme": "http", "waiting": 4} | report
    return book.exchange(client, [HostReport(**settings)])[0]  # pyright: ignore


def starts(book: HostBook, clock: Clock, clients: dict[str, int], seconds: float) -> list[float]:
    """When requests may start, where each client exchanges each 50 ms with so many threads waiting."""
    found = []
    end = clock.now + seconds
    while clock.now < end:
        for client, waiting in clients.items():
            lease = ask(book, client, waiting=waiting)
            assert lease.slots is not None
            found += [clock.now + slot for slot in lease.slots]
        clock.now += 0.05
    return sorted(found)


@pytest.mark.parametrize("clients", [{"a": 16}, {"a": 16, "b": 16, "c": 16, "d": 16}, {"a": 1, "b": 16}])
@pytest.mark.parametrize("rate", [3.0, 200.0])
def test_no_window_has_more_than_the_rate_and_little_is_lost(clock, clients, rate):
    times = starts(HostBook(16, rate, clock=clock), clock, clients, 20)
    for start in times:
        assert sum(start <= t < start + 5 for t in times) <= 5 * rate + 1
    assert len(times) >= 20 * rate * RATE_SHARE - 2


def test_slots_are_at_most_a_second_ahead(clock):
    book = HostBook(16, 200.0, clock=clock)
    for _ in range(20):
        assert all(slot <= 1 for slot in ask(book, waiting=1000).slots or ())


def test_without_a_rate_requests_start_at_any_time(clock):
    lease = ask(HostBook(16, clock=clock))
    assert (lease.slots, lease.max_running, lease.pause_s, lease.outage) == (None, 16, 0, None)


def test_every_process_has_its_own_connections_until_there_is_trouble(clock):
    book = HostBook(16, clock=clock)
    assert [ask(book, client).max_running for client in "abcd"] == [16] * 4


def test_overload_halves_what_all_have_together_and_time_gives_it_back(clock):
    book = HostBook(16, clock=clock)
    for client in "ab":
        ask(book, client)
    ask(book, "a", num_outcomes=1, num_throttled=1, num_answers=1)
    assert sum(ask(book, client).max_running for client in "ab") == 16
    ask(book, "a", num_outcomes=1, num_throttled=1, num_answers=1)  # within a second: the same overload
    assert sum(ask(book, client).max_running for client in "ab") == 16
    seen = []
    for _ in range(200):
        clock.now += 0.1
        seen.append(sum(ask(book, client, num_outcomes=2, num_answers=2).max_running for client in "ab"))
    assert seen == sorted(seen)
    assert seen[-1] == 32
    assert all(after - before <= 1 for before, after in pairwise(seen))


def test_a_host_that_only_overloads_keeps_one_connection_in_all_by_turns(clock):
    book = HostBook(16, clock=clock)
    for client in "abc":
        ask(book, client)
    for _ in range(20):
        clock.now += 1.1
        for client in "abc":
            ask(book, client, num_outcomes=1, num_throttled=1, num_answers=1)
    served = set()
    for _ in range(6):
        clock.now += 1.0
        shares = {c: ask(book, c, num_outcomes=1, num_throttled=1, num_answers=1).max_running for c in "abc"}
        assert sum(shares.values()) == 1
        served |= {c for c, share in shares.items() if share}
    assert served == set("abc")


def test_single_server_errors_are_no_overload_but_many_are(clock):
    book = HostBook(16, clock=clock)
    for _ in range(50):
        clock.now += 0.05
        assert ask(book, num_outcomes=20, num_errors=2, num_answers=18).max_running == 16
    clock.now += 5
    ask(book, num_outcomes=20, num_errors=12, num_answers=8)
    assert ask(book).max_running == 8


def test_a_pause_that_one_process_was_asked_for_holds_for_all(clock):
    book = HostBook(16, 200.0, clock=clock)
    ask(book, "a", retry_after_s=7.0)
    lease = ask(book, "b")
    assert (lease.pause_s, lease.slots) == (7.0, ())
    clock.now += 7.01
    assert ask(book, "b").slots


def test_a_process_that_leaves_gives_its_share_to_the_others(clock):
    book = HostBook(16, clock=clock)
    for client in "ab":
        ask(book, client)
    for _ in range(2):
        clock.now += 1.1
        ask(book, "a", num_outcomes=1, num_throttled=1, num_answers=1)
    assert sum(ask(book, client).max_running for client in "ab") == 8
    book.leave("b")
    assert ask(book, "a").max_running == 8
    ask(book, "c")
    clock.now += 6  # c was killed and never said so
    assert ask(book, "a").max_running > 4


def fail(book: HostBook, times: int = FAILURES_OF_OUTAGE) -> HostLease:
    return ask(book, num_outcomes=times, failures_in_a_row=times, last_failure=DOWN)


def test_a_host_that_never_answers_gets_single_probes_ever_rarer_and_then_ends_its_photos(clock):
    book = HostBook(16, outage_patience_s=20, clock=clock)
    assert fail(book, FAILURES_OF_OUTAGE - 1).max_running == 16
    assert fail(book, 1).max_running == 0
    probes, refused_at = [], None
    start = clock.now
    while clock.now < start + 100:
        clock.now += 0.05
        lease = ask(book)
        if lease.max_running:
            assert (lease.max_running, lease.slots) == (1, (0.0,))
            probes.append(clock.now)
            fail(book, 1)
        elif lease.outage and refused_at is None:
            refused_at = clock.now - start
            assert lease.outage[0] is Status.CONNECTION_ERROR
    gaps = [after - before for before, after in pairwise([start, *probes])]
    assert gaps[:4] == pytest.approx([1, 2, 4, 8], abs=0.3)
    assert max(gaps) < 31
    assert refused_at == pytest.approx(20, abs=0.3)


def test_an_answer_ends_an_outage(clock):
    book = HostBook(16, clock=clock)
    assert fail(book).max_running == 0
    clock.now += 1.1
    assert ask(book).max_running == 1
    meanwhile = ask(book, "b")
    assert (meanwhile.max_running, meanwhile.pause_s) == (0, 0)
    assert ask(book, num_outcomes=1, num_answers=1).max_running > 1
    assert ask(book, "b").max_running > 1
    assert ask(book).outage is None


def test_failures_between_answers_are_no_outage(clock):
    book = HostBook(16, clock=clock)
    for _ in range(100):
        lease = ask(book, num_outcomes=5, num_answers=2, failures_in_a_row=3, last_failure=DOWN)
        assert lease.max_running == 16


RULES = parse_robots("User-agent: *\nCrawl-delay: 2\nDisallow: /private\nAllow: /private/open$\n", "taxaflow")


def lease_with_robots(book: HostBook) -> HostLease:
    for _ in range(200):
        lease = ask(book)
        if lease.robots or lease.outage:
            return lease
        assert lease.max_running == 0, "asked before its robots.txt was known"
        time.sleep(0.01)
    raise AssertionError("no robots.txt within 2 s")


def test_robots_are_asked_for_once_and_given_to_every_process(clock):
    asked = []

    def fetch(scheme: str, host: str) -> Robots:
        asked.append((scheme, host))
        return RULES

    book = HostBook(16, fetch_robots=fetch, clock=clock)
    assert lease_with_robots(book).robots == RULES
    assert ask(book, "b").robots == RULES
    assert ask(book, "b", knows_robots=True).robots is None
    assert asked == [("http", "h")]


def test_a_crawl_delay_is_the_rate(clock):
    book = HostBook(16, 200.0, fetch_robots=lambda scheme, host: RULES, clock=clock)
    lease_with_robots(book)
    times = starts(book, clock, {"a": 16}, 20)
    assert 8 <= len(times) <= 11


@pytest.mark.parametrize("delay", ["1e9", "3600"])
def test_a_host_that_wants_to_be_asked_too_rarely_is_not_asked(clock, delay):
    rules = parse_robots(f"User-agent: *\nCrawl-delay: {delay}\n", "taxaflow")
    lease = lease_with_robots(HostBook(16, fetch_robots=lambda scheme, host: rules, clock=clock))
    assert lease.outage is not None
    assert lease.outage[0] is Status.THROTTLED


@pytest.mark.parametrize("delay", ["nan", "inf", "-5", "0", "soon"])
def test_a_crawl_delay_that_says_nothing_is_none(clock, delay):
    rules = parse_robots(f"User-agent: *\nCrawl-delay: {delay}\n", "taxaflow")
    book = HostBook(16, fetch_robots=lambda scheme, host: rules, clock=clock)
    assert lease_with_robots(book).slots is None


def test_a_host_whose_robots_cannot_be_had_is_asked_for_nothing(clock):
    book = HostBook(16, outage_patience_s=3, fetch_robots=lambda scheme, host: DOWN, clock=clock)
    for _ in range(100):
        lease = ask(book)
        if lease.outage:
            break
        assert lease.max_running == 0
        clock.now += 0.1
        time.sleep(0.005)
    else:
        raise AssertionError("no end")
    assert lease.outage[0] is Status.CONNECTION_ERROR


def test_a_process_that_saw_a_host_go_out_probes_it_itself():
    url, stopped = "http://h/1.jpg", threading.Event()
    with Leases(CountingBook(HostBook(4))) as leases:
        for _ in range(FAILURES_OF_OUTAGE):
            assert leases.enter(url, stopped) is None
            leases.leave(url, Status.CONNECTION_ERROR, None, None)
        time.sleep(0.3)  # until the book has heard of it
        threading.Timer(2.5, stopped.set).start()
        assert leases.enter(url, stopped) is None
        leases.leave(url, Status.OK, 200, None)
        assert leases.enter(url, stopped) is None, "the host is back"
        leases.leave(url, Status.OK, 200, None)


def test_processes_that_ended_without_a_word_are_forgotten(clock):
    book = HostBook(8, max_rate=100, clock=clock)
    for n in range(1000):
        book.exchange(f"gone{n}", [])
    assert book.exchange_s == 2.0
    clock.now += 3 * 2.0 + 0.1
    book.exchange("a", [])
    assert book.exchange_s == 0.05


def test_a_process_without_a_connection_takes_no_moment_of_the_rate(clock):
    book = HostBook(1, max_rate=100, clock=clock)
    for client in ("a", "b"):
        ask(book, client, waiting=0)
    ask(book, "a", waiting=0, num_outcomes=1, num_throttled=1)
    leases = [ask(book, client) for client in ("a", "b")]
    assert sorted(lease.max_running for lease in leases) == [0, 1]
    assert sorted(len(lease.slots or ()) for lease in leases) == [0, 1]


def test_rules_are_those_of_the_standard():
    assert RULES.allows("http://h/photos/1.jpg")
    assert not RULES.allows("http://h/private/1.jpg")
    assert RULES.allows("http://h/private/open")
    assert not parse_robots("User-agent: taxaflow\nDisallow: /\n", "taxaflow").allows("http://h/a")
    assert parse_robots("User-agent: otherbot\nDisallow: /\n", "taxaflow").allows("http://h/a")
    assert parse_robots("", "taxaflow").allows("http://h/a")
    assert parse_robots("<html>not found</html>", "taxaflow").allows("http://h/a")
