"""The thread that drives libcurl: whatever breaks or ends, nobody waits for ever."""

import os
import resource
import threading
import time
from collections.abc import Iterator

import pytest

from spark_jobs.curl_transport import CurlTransport
from spark_jobs.statuses import Status
from spark_jobs.transport import Request, Transport, TransportFailure
from tests import fault_server as faults
from tests.spark_jobs.in_time import in_time

BODY = bytes(range(256)) * 40


@pytest.mark.parametrize("limit_s", [1e12, float("inf")])
def test_a_time_limit_of_any_size_is_a_limit(server, limit_s):
    transport = CurlTransport()
    request = Request(server.add("/a", faults.ok(BODY)), deadline_s=limit_s, connect_timeout_s=limit_s)
    bodies: list[bytes] = []
    in_time(lambda: bodies.append(transport.send(request).body))
    assert bodies == [BODY]
    transport.close()


def test_a_request_that_cannot_be_prepared_fails_alone(server):
    transport = CurlTransport()
    url = server.add("/a", faults.ok(BODY))
    in_time(lambda: refuse(transport, Request(url, deadline_s=float("nan")), "NaN"))
    in_time(lambda: transport.send(Request(url)))
    transport.close()


def refuse(transport: Transport, request: Request, words: str) -> None:
    """Send what must end as a connection error that says so."""
    with pytest.raises(TransportFailure, match=words) as failure:
        transport.send(request)
    assert failure.value.status is Status.CONNECTION_ERROR


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """So many are taken that every new one is beyond the 1,024 that select can look at."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 1300:
        pytest.skip("the system allows too few descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1300), hard))
    taken = [os.open(os.devnull, os.O_RDONLY)]
    while taken[-1] < 1100:
        taken.append(os.dup(taken[0]))
    yield
    for descriptor in taken:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_descriptors_beyond_the_reach_of_select_work_and_are_not_slow(server, many_descriptors):
    def behave(exchange):
        exchange.pause(0.02)
        exchange.reply(200, BODY)

    transport = CurlTransport()
    url = server.add("/a", behave)
    started = time.monotonic()
    in_time(*[lambda: [transport.send(Request(url)) for _ in range(10)]] * 3)
    assert time.monotonic() - started < 1.5
    transport.close()


def test_an_error_in_the_loop_ends_every_request_and_names_itself(server, monkeypatch):
    def break_down(self) -> None:
        if server.record.requests:
            raise RuntimeError("the loop broke down")

    monkeypatch.setattr("spark_jobs.curl_transport._Loop._collect", break_down)
    transport = CurlTransport()
    request = Request(server.add("/a", faults.hang()), deadline_s=3600)
    in_time(*[lambda: refuse(transport, request, "the loop broke down")] * 4)
    in_time(lambda: refuse(transport, request, "the loop broke down"))
    in_time(transport.close)


def test_close_ends_what_is_under_way_and_nothing_is_sent_later(server):
    transport = CurlTransport()
    hanging = Request(server.add("/hang", faults.hang()))
    half = Request(server.add("/half", faults.stall(BODY, 5000)))

    def close() -> None:
        while server.record.num_requests() < 2:
            time.sleep(0.01)
        time.sleep(0.1)  # the half of the body arrives
        transport.close()

    in_time(close, *(lambda request=request: refuse(transport, request, "closed") for request in (hanging, half)))
    num_threads = threading.active_count()
    in_time(lambda: refuse(transport, hanging, "closed"))
    assert threading.active_count() == num_threads
    transport.close()
    never_used = CurlTransport()
    never_used.close()
    in_time(lambda: refuse(never_used, hanging, "closed"))


def test_close_while_many_send_leaves_nobody_waiting(server):
    url = server.add("/a", faults.ok(b"x"))

    def send_until_closed(transport: Transport) -> None:
        with pytest.raises(TransportFailure, match="closed"):
            while True:
                transport.send(Request(url))

    for pause_ms in range(20):
        transport = CurlTransport()
        close = threading.Timer(0.01 + pause_ms / 1000, transport.close)
        in_time(*[lambda transport=transport: send_until_closed(transport)] * 8, close.run)
