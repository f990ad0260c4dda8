"""What a whole job knows of each host it asks: how fast, how many at once, not before when, and whether it is there.

Pure state with a clock given: the driver's lease service owns the one book of a job. Processes report what they did
and get leases: what they may do until the next exchange.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from spark_jobs.robots import ALLOW_ALL, Robots
from spark_jobs.statuses import RETRYABLE, Status

EXCHANGE_S = 0.05
"""How often a process exchanges; how long a pause one task was asked for stays unknown to the others."""

CLIENTS_PER_S = 500
"""Exchanges per second that a driver shall bear: with more processes each exchanges less often."""

RATE_SHARE = 0.97
"""Of the allowed rate that is used, so that late requests stay within 1.05 times the rate in any 5 s."""

CUT_GAP_S = 1.0
"""Overload within this time of a cut is the same overload."""

RISE_PER_S = 2.0
"""Connections won back per second without overload, at most."""

OVERLOAD_SHARE, MIN_OVERLOAD_ERRORS = 0.3, 5
"""So many of the outcomes of a second being server errors, timeouts or too slow count as overload."""

FAILURES_OF_OUTAGE = 20
"""So many failures of a host in a row, over all tasks, and it is left alone but for single probes."""

FIRST_PROBE_S, LAST_PROBE_S = 1.0, 30.0
"""Wait before the first probe of a host that is out; it doubles up to the second."""

LONGEST_CRAWL_DELAY_S = 60.0
"""Photos of a host that wants more time between two requests end unasked."""

CLIENT_FORGOTTEN_S = 5.0
"""A process that did not exchange for so long is gone; three exchanges where they are rarer."""

Refusal = tuple[Status, str]
"""Why a request is not sent."""


@dataclass(frozen=True)
class HostReport:
    """What one process did at one host since its last report.

    Attributes:
        host: host and port, as in the URL.
        scheme: http or https, for robots.txt.
        waiting: threads that would ask now if they were allowed to.
        num_outcomes: requests that ended.
        num_throttled: of them, refused for being too many.
        num_errors: of them, server errors, timeouts and those too slow.
        num_answers: of them, with an answer that shows the host at work.
        failures_in_a_row: since the last such answer.
        last_failure: of those, the last; None without one.
        retry_after_s: how long the host wants to be left alone from now on; 0 where it does not say.
        knows_robots: whether the process has the host's robots.txt.
    """

    host: str
    scheme: str
    waiting: int = 0
    num_outcomes: int = 0
    num_throttled: int = 0
    num_errors: int = 0
    num_answers: int = 0
    failures_in_a_row: int = 0
    last_failure: Refusal | None = None
    retry_after_s: float = 0.0
    knows_robots: bool = False


@dataclass(frozen=True)
class HostLease:
    """What one process may do at one host until its next exchange.

    Attributes:
        host: host and port.
        max_running: requests at once.
        slots: when requests may start, s from now, ascending; None: at any time.
        pause_s: nothing may start before, s from now.
        outage: the host is out for too long, or wants to be asked too rarely: photos end so, unasked.
        robots: its robots.txt, where the process did not know it and it is known.
    """

    host: str
    max_running: int
    slots: tuple[float, ...] | None = None
    pause_s: float = 0.0
    outage: Refusal | None = None
    robots: Robots | None = None


@dataclass
class _HostState:
    limit: float
    rate: float | None
    robots: Robots | None = None
    robots_asked: bool = False
    next_slot: float = 0.0
    paused_until: float = 0.0
    last_cut: float = float("-inf")
    last_rise: float = 0.0
    window_start: float = 0.0
    outcomes: int = 0
    errors: int = 0
    in_a_row: int = 0
    failure: Refusal = (Status.CONNECTION_ERROR, "no answer")
    out_since: float | None = None
    probing: bool = False
    probe_at: float = 0.0
    probe_gap_s: float = FIRST_PROBE_S
    clients: dict[str, float] = field(default_factory=dict)

    def note_failure(self, failure: Refusal, now: float) -> None:
        """The host is out, or still is: the next probe comes after twice the time."""
        self.failure = failure
        if self.out_since is None:
            self.out_since, self.probe_gap_s = now, FIRST_PROBE_S
        else:
            self.probe_gap_s = min(LAST_PROBE_S, 2 * self.probe_gap_s)
        self.probe_at, self.probing = now + self.probe_gap_s, False

    def note_answer(self) -> None:
        self.in_a_row, self.out_since, self.probing = 0, None, False


class HostBook:
    """The one book of a job; any number of threads may exchange.

    Args:
        max_per_host: connections per host and process, at most.
        max_rate: requests per second and host over all processes; None: no limit.
        outage_patience_s: photos of a host that is out wait so long, then end unasked.
        fetch_robots: (scheme, host) -> its robots.txt, or why there was no answer; asked in a thread of its own, once
            per host that answers. None: everything is allowed.
        clock: s, monotonic.
    """

    def __init__(
        self,
        max_per_host: int,
        max_rate: float | None = None,
        outage_patience_s: float = 60.0,
        fetch_robots: Callable[[str, str], Robots | Refusal] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_per_host = max_per_host
        self._max_rate = max_rate
        self._patience_s = outage_patience_s
        self._fetch_robots = fetch_robots
        self._clock = clock
        self._lock = threading.Lock()
        self._hosts: dict[str, _HostState] = {}
        self._clients: dict[str, float] = {}

    @property
    def exchange_s(self) -> float:
        """How often each process should exchange now, s."""
        return max(EXCHANGE_S, len(self._clients) / CLIENTS_PER_S)

    def exchange(self, client: str, reports: Sequence[HostReport]) -> list[HostLease]:
        """Take a process's reports; returns its leases, one per report."""
        with self._lock:
            now = self._clock()
            self._clients[client] = now
            self._forget_clients(now)
            return [self._lease(client, report, now) for report in reports]

    def leave(self, client: str) -> None:
        """Share what this process had among the others."""
        with self._lock:
            self._clients.pop(client, None)
            for host in self._hosts.values():
                host.clients.pop(client, None)

    def _lease(self, client: str, report: HostReport, now: float) -> HostLease:
        host = self._hosts.get(report.host)
        if host is None:
            robots = ALLOW_ALL if self._fetch_robots is None else None
            host = self._hosts[report.host] = _HostState(self._max_per_host, self._max_rate, robots, last_rise=now)
        host.clients[client] = now
        self._note_outcomes(host, report, now)
        if host.robots is None:
            return self._without_robots(host, report, now)
        robots = None if report.knows_robots else host.robots
        if (delay_s := host.robots.crawl_delay_s) > LONGEST_CRAWL_DELAY_S:
            refusal = Status.THROTTLED, f"robots.txt asks for {delay_s:g} s between two requests"
            return HostLease(report.host, 0, (), 0.0, refusal, robots)
        if host.out_since is not None:
            return self._while_out(host, report, now, robots)
        pause_s = max(0.0, host.paused_until - now)
        share = self._share(host, client, now)
        slots = () if pause_s > 0 or share == 0 else self._slots(host, min(report.waiting, share), now)
        return HostLease(report.host, share, slots, pause_s, None, robots)

    def _forget_clients(self, now: float) -> None:
        """Share what processes had that ended without a word among the others."""
        longest_s = max(CLIENT_FORGOTTEN_S, 3 * self.exchange_s)
        for clients in (self._clients, *(host.clients for host in self._hosts.values())):
            for name in [name for name, seen in clients.items() if now - seen > longest_s]:
                del clients[name]

    def _note_outcomes(self, host: _HostState, report: HostReport, now: float) -> None:
        host.paused_until = max(host.paused_until, now + report.retry_after_s)
        if report.num_answers:
            host.note_answer()
        host.in_a_row += report.failures_in_a_row
        goes_out = host.in_a_row >= FAILURES_OF_OUTAGE if host.out_since is None else host.probing
        if report.last_failure is not None and goes_out:
            host.note_failure(report.last_failure, now)
        self._adapt(host, report, now)

    def _adapt(self, host: _HostState, report: HostReport, now: float) -> None:
        """Additive increase, multiplicative decrease of the connections that all processes may have together."""
        if now - host.window_start > 1.0:
            host.window_start, host.outcomes, host.errors = now, 0, 0
        host.outcomes += report.num_outcomes
        host.errors += report.num_errors
        failing = host.errors >= MIN_OVERLOAD_ERRORS and host.errors >= OVERLOAD_SHARE * host.outcomes
        most = float(self._max_per_host * max(1, len(host.clients)))
        if report.num_throttled or failing:
            if now - host.last_cut >= CUT_GAP_S:
                host.limit, host.last_cut = max(1.0, min(host.limit, most) / 2), now
        elif host.last_cut == float("-inf"):
            host.limit = most
        elif now - host.last_cut >= CUT_GAP_S:
            host.limit = min(most, host.limit + RISE_PER_S * min(1.0, now - host.last_rise))
        host.last_rise = now

    def _share(self, host: _HostState, client: str, now: float) -> int:
        """Connections of one process; where there are fewer than processes, they take turns."""
        names = sorted(host.clients)
        total = int(host.limit)
        place = (names.index(client) + int(now)) % len(names)
        return min(self._max_per_host, total // len(names) + (place < total % len(names)))

    def _slots(self, host: _HostState, waiting: int, now: float) -> tuple[float, ...] | None:
        """The next free moments of the host's rate, for as many requests as wait, at most two exchanges ahead."""
        if host.rate is None:
            return None
        gap_s = 1 / (RATE_SHARE * host.rate)
        ahead_s = 2 * self.exchange_s
        start_s = max(0.0, host.next_slot - now)
        num = min(waiting, int((ahead_s - start_s) / gap_s) + 1 if start_s <= ahead_s else 0)
        host.next_slot = now + start_s + num * gap_s
        return tuple(start_s + n * gap_s for n in range(num))

    def _while_out(self, host: _HostState, report: HostReport, now: float, robots: Robots | None) -> HostLease:
        """One probe when its time has come; until then no request, and beyond patience the end.

        No pause is given: it would outlast the outage, and reports would spread it as if the host had asked for it.
        """
        assert host.out_since is not None
        if now >= host.probe_at and report.waiting:
            host.probe_at, host.probing = now + host.probe_gap_s, True
            return HostLease(report.host, 1, (0.0,), 0.0, None, robots)
        return HostLease(report.host, 0, (), 0.0, self._outage(host, now), robots)

    def _outage(self, host: _HostState, now: float) -> Refusal | None:
        out_s = 0.0 if host.out_since is None else now - host.out_since
        status, text = host.failure
        return (status, f"the host has been out for {out_s:.0f} s: {text}") if out_s > self._patience_s else None

    def _without_robots(self, host: _HostState, report: HostReport, now: float) -> HostLease:
        if not host.robots_asked and now >= host.probe_at:
            host.robots_asked = True
            name = f"robots.txt of {report.host}"
            threading.Thread(
                target=self._learn_robots, args=(report.scheme, report.host), name=name, daemon=True
            ).start()
        return HostLease(report.host, 0, (), 0.0, self._outage(host, now), None)

    def _learn_robots(self, scheme: str, name: str) -> None:
        assert self._fetch_robots is not None
        try:
            found = self._fetch_robots(scheme, name)
        except Exception as error:  # whatever it is, the photos of this host must not wait for ever
            found = Status.CONNECTION_ERROR, f"robots.txt: {type(error).__name__}: {error}"
        with self._lock:
            host = self._hosts[name]
            host.robots_asked = False
            if not isinstance(found, Robots):
                assert found[0] in RETRYABLE, found
                host.note_failure(found, self._clock())
                return
            host.note_answer()
            host.robots = found
            if found.crawl_delay_s > 0:
                rates = (host.rate, 1 / found.crawl_delay_s)
                host.rate = min(rate for rate in rates if rate is not None)
