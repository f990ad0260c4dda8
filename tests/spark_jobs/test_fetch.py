"""Retries, manners and redirects, over real HTTP to a server that counts what it is asked."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from spark_jobs.fetch import Fetcher, FetchPolicy
from spark_jobs.leases import FetchStoppedError
from spark_jobs.statuses import Status
from spark_jobs.transport import make_transport
from tests import fault_server as faults
from tests.spark_jobs.open_leases import open_leases

BODY = b"a body that nobody checks here"
QUICK = FetchPolicy(
    tries=3,
    deadline_s=0.5,
    min_bytes_per_s=1000,
    speed_window_s=0.2,
    max_bytes=100_000,
    backoff_base_s=0.01,
    retry_after_cap_s=5,
    user_agent="taxaflow-test/1 (contact@example.org)",
)


@pytest.fixture(params=["requests", "curl"])
def fetcher(request):
    transport = make_transport(request.param, 8)
    with open_leases(QUICK.retry_after_cap_s) as leases:
        yield Fetcher(transport, QUICK, leases)
    transport.close()


def made_with(fetcher: Fetcher, **changes: object) -> Fetcher:
    return Fetcher(fetcher._transport, replace(QUICK, **changes), fetcher._gate)


def test_a_body_comes_back_after_one_request_with_an_honest_name(server, fetcher):
    fetched = fetcher.fetch(server.add("/a", faults.ok(BODY)))
    assert (fetched.status, fetched.http_status, fetched.attempts) == (Status.OK, 200, 1)
    assert (fetched.body, fetched.error) == (BODY, None)
    assert server.record.requests[0].headers["user-agent"] == QUICK.user_agent


FINAL_ANSWERS = {
    "404": (faults.status(404), Status.GONE),
    "410": (faults.status(410), Status.GONE),
    "403 of S3": (faults.status(403, {"x-amz-request-id": "1"}), Status.GONE),
    "403": (faults.status(403), Status.FORBIDDEN),
    "401": (faults.status(401), Status.FORBIDDEN),
    "451": (faults.status(451), Status.FORBIDDEN),
    "opted out": (faults.ok(BODY, {"X-Robots-Tag": "noai"}), Status.OPTED_OUT),
    "too large": (faults.endless(), Status.TOO_LARGE),
    "to a file": (faults.redirect("file:///etc/passwd"), Status.REDIRECT_REFUSED),
    "to ftp": (faults.redirect("ftp://127.0.0.1/a"), Status.REDIRECT_REFUSED),
    "to nowhere": (faults.status(302), Status.REDIRECT_REFUSED),
    "to nonsense": (faults.redirect("http://[half"), Status.REDIRECT_REFUSED),
    "to itself": (faults.redirect("/a#again"), Status.REDIRECT_REFUSED),
    "no redirect": (faults.status(304), Status.REDIRECT_REFUSED),
}


@pytest.mark.parametrize("name", FINAL_ANSWERS)
def test_a_final_answer_costs_exactly_one_request(server, fetcher, name):
    behaviour, status = FINAL_ANSWERS[name]
    fetched = fetcher.fetch(server.add("/a", behaviour))
    assert (fetched.status, fetched.attempts, server.record.num_requests()) == (status, 1, 1)
    assert fetched.body is None
    assert fetched.error


def test_a_rule_for_our_name_counts_and_one_for_another_does_not(server, fetcher):
    ours = server.add("/ours", faults.ok(BODY, {"X-Robots-Tag": "taxaflow-test: noindex"}))
    other = server.add("/other", faults.ok(BODY, {"X-Robots-Tag": "otherbot: noindex"}))
    assert fetcher.fetch(ours).status is Status.OPTED_OUT
    assert fetcher.fetch(other).status is Status.OK


TEMPORARY = {
    "500": (faults.status(500), Status.SERVER_ERROR),
    "503": (faults.status(503), Status.SERVER_ERROR),
    "429": (faults.status(429), Status.THROTTLED),
    "hang": (faults.hang(), Status.TIMEOUT),
    "drip": (faults.drip(bytes(50_000)), Status.TOO_SLOW),
    "truncated": (faults.truncated(bytes(5000), 100), Status.CONNECTION_ERROR),
    "disconnect": (faults.disconnect(), Status.CONNECTION_ERROR),
}


@pytest.mark.parametrize("name", TEMPORARY)
def test_a_temporary_failure_is_tried_again_and_then_recorded(server, fetcher, name):
    behaviour, status = TEMPORARY[name]
    for_ever = fetcher.fetch(server.add("/for-ever", behaviour))
    assert (for_ever.status, for_ever.attempts) == (status, 3)
    twice = fetcher.fetch(server.add("/twice", faults.first(2, behaviour, faults.ok(BODY))))
    assert (twice.status, twice.attempts, twice.body) == (Status.OK, 3, BODY)
    assert server.counts() == {"/for-ever": 3, "/twice": 3}


@pytest.mark.parametrize(("code", "as_date"), [(429, False), (503, False), (503, True)])
def test_retry_after_is_obeyed_by_every_thread(server, fetcher, code, as_date):
    fetcher = made_with(fetcher, deadline_s=5)
    wait = faults.retry_after(1, code, as_date)
    first = server.add("/first", faults.first(1, wait, faults.ok(BODY)))
    others = [server.add(f"/{n}", faults.ok(BODY)) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        asked = pool.submit(fetcher.fetch, first)
        while server.record.num_requests("/first") == 0:
            time.sleep(0.005)
        time.sleep(0.1)  # the answer is on its way
        fetched = [asked.result(), *pool.map(fetcher.fetch, others)]
    assert [one.status for one in fetched] == [Status.OK] * 9
    assert server.record.early_retries == 0


def test_a_retry_after_beyond_the_cap_ends_all_photos_of_the_host_at_once(server, fetcher):
    started = time.monotonic()
    first = fetcher.fetch(server.add("/a", faults.retry_after(3600)))
    second = fetcher.fetch(server.add("/b", faults.ok(BODY)))
    assert (first.status, first.attempts) == (Status.THROTTLED, 1)
    assert (second.status, second.attempts, second.http_status) == (Status.THROTTLED, 0, None)
    assert server.record.num_requests() == 1
    assert time.monotonic() - started < 1


def test_no_photo_waits_longer_than_deadline_times_tries(server, fetcher):
    started = time.monotonic()
    asking = made_with(fetcher, tries=4, deadline_s=0.5, retry_after_cap_s=60)
    fetched = asking.fetch(server.add("/a", faults.retry_after(1)))
    assert (fetched.status, fetched.attempts) == (Status.THROTTLED, 2)
    assert time.monotonic() - started < 4 * 0.5 + 0.5


def test_a_503_with_retry_after_is_throttled(server, fetcher):
    assert fetcher.fetch(server.add("/a", faults.retry_after(3600, 503))).status is Status.THROTTLED


def test_backoff_grows_and_is_jittered(server, fetcher):
    policy = {"tries": 5, "backoff_base_s": 0.05, "backoff_cap_s": 0.2}
    for n in range(4):
        made_with(fetcher, **policy).fetch(server.add(f"/{n}", faults.status(500)))
    gaps: dict[int, list[float]] = {n: [] for n in range(4)}
    for path in server.counts():
        times = [seen.at for seen in server.record.requests if seen.path == path]
        for n, (before, after) in enumerate(pairwise(times)):
            gaps[n].append(after - before)
    for n, seen in gaps.items():
        assert max(seen) <= min(0.2, 0.05 * 2**n) + 0.1
    flat = [round(gap, 4) for seen in gaps.values() for gap in seen]
    assert len(set(flat)) > len(flat) / 2


def test_redirects_are_followed_up_to_the_limit(server, fetcher):
    server.add("/end", faults.ok(BODY))
    for n in range(7):
        server.add(
            f"/{n}", faults.redirect("/end" if n == 0 else server.url(f"/{n - 1}"), (301, 302, 303, 307, 308)[n % 5])
        )
    assert fetcher.fetch(server.url("/4")).body == BODY
    assert fetcher.fetch(server.url("/5")).status is Status.REDIRECT_REFUSED


def test_a_redirect_loop_ends_when_an_address_repeats(server, fetcher):
    server.add("/a", faults.redirect("/b"))
    server.add("/b", faults.redirect("/a"))
    fetched = fetcher.fetch(server.url("/a"))
    assert (fetched.status, fetched.attempts) == (Status.REDIRECT_REFUSED, 1)
    assert server.counts() == {"/a": 1, "/b": 1}


def test_one_deadline_covers_a_try_with_its_redirects(server, fetcher):
    def slow_redirect(exchange):
        exchange.pause(0.3)
        exchange.reply(302, b"", {"Location": f"/{exchange.nth}{exchange.path[1:]}"})

    for path in ("/a", "/1a", "/11a", "/111a"):
        server.add(path, slow_redirect)
    started = time.monotonic()
    assert made_with(fetcher, tries=1).fetch(server.url("/a")).status is Status.TIMEOUT
    assert time.monotonic() - started < 0.8


def resolve(host: str) -> list[str]:
    """Here `localhost` stands for a public host; connections still go to this machine."""
    return {"localhost": ["8.8.8.8"], "127.0.0.1": ["127.0.0.1"]}[host]


def test_a_public_host_cannot_send_us_to_a_private_address(server, fetcher):
    server.add("/secret", faults.ok(BODY))
    url = server.add("/a", faults.redirect(server.url("/secret")))
    public = server.url("/a", host="localhost")
    made = partial(Fetcher, fetcher._transport, gate=fetcher._gate, resolve=resolve)
    assert made(QUICK).fetch(public).status is Status.REDIRECT_REFUSED
    assert server.record.num_requests("/secret") == 0
    assert made(QUICK).fetch(url).status is Status.OK
    for allowed in ({"allow_private": True}, {"base_url": server.url("", host="localhost")}):
        assert made(replace(QUICK, **allowed)).fetch(public).status is Status.OK


def test_base_url_replaces_scheme_and_host_only(server, fetcher):
    server.add("/photos/7/medium.jpg?v=2", faults.ok(BODY))
    mirrored = made_with(fetcher, base_url=server.url("/"))
    for url in ("https://photos.example.org:99/photos/7/medium.jpg?v=2", "/photos/7/medium.jpg?v=2"):
        assert mirrored.fetch(url).body == BODY


@pytest.mark.parametrize("url", ["/a", "ftp://127.0.0.1/a", "http:///a", "http://[half/a", "nan", ""])
def test_an_address_nobody_can_be_asked_at_is_a_row_not_a_crash(fetcher, url):
    fetched = fetcher.fetch(url)
    assert (fetched.status, fetched.attempts) == (Status.CONNECTION_ERROR, 0)


def test_an_address_that_is_none_stays_so_with_a_base_url(server, fetcher):
    fetched = made_with(fetcher, base_url=server.url("/")).fetch("http://[half/a")
    assert (fetched.status, fetched.attempts) == (Status.CONNECTION_ERROR, 0)


class Doorkeeper:
    """A gate that notes who passes and refuses one path."""

    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []

    def enter(self, url: str, stopped: threading.Event) -> tuple[Status, str] | None:
        self.seen.append(("in", url))
        return (Status.ROBOTS_DENIED, "robots.txt says no") if url.endswith("/c") else None

    def leave(self, url: str, *ending: object) -> None:
        self.seen.append(("out", url, *ending))

    def wake(self) -> None: ...


def test_each_request_passes_the_gate_in_and_out_and_may_be_refused(server, fetcher):
    url = server.add("/a", faults.redirect("/b"))
    server.add("/b", faults.redirect("/c"))
    server.add("/c", faults.ok(BODY))
    gate = Doorkeeper()
    fetched = Fetcher(fetcher._transport, QUICK, gate).fetch(url)
    assert (fetched.status, fetched.error, fetched.attempts) == (Status.ROBOTS_DENIED, "robots.txt says no", 1)
    b, c = server.url("/b"), server.url("/c")
    found = Status.OK, 302, None
    assert gate.seen == [("in", url), ("out", url, *found), ("in", b), ("out", b, *found), ("in", c)]
    assert server.counts() == {"/a": 1, "/b": 1}


def test_the_gate_learns_how_every_request_ended(server, fetcher):
    gate = Doorkeeper()
    asking = Fetcher(fetcher._transport, replace(QUICK, tries=1), gate)
    for path, behaviour in (("/1", faults.hang()), ("/2", faults.retry_after(7)), ("/3", faults.status(404))):
        asking.fetch(server.add(path, behaviour))
    endings = [one[2:] for one in gate.seen if one[0] == "out"]
    assert endings == [(Status.TIMEOUT, None, None), (Status.THROTTLED, 429, 7.0), (Status.GONE, 404, None)]


def test_stop_wakes_who_waits(server, fetcher):
    url = server.add("/a", faults.retry_after(600))
    with open_leases(longest_pause_s=3600) as leases, ThreadPoolExecutor(1) as pool:
        waiting = made_with(Fetcher(fetcher._transport, QUICK, leases), retry_after_cap_s=3600, deadline_s=3600)
        asked = pool.submit(waiting.fetch, url)
        timer = threading.Timer(0.2, waiting.stop)
        timer.start()
        with pytest.raises(FetchStoppedError):
            asked.result(timeout=5)


def test_a_policy_needs_a_try():
    with pytest.raises(ValueError, match="at least 1"):
        FetchPolicy(tries=0)
