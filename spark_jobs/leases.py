"""What one process may ask of each host right now: leases from the job's book, kept fresh by a thread of their own.

No lease, no request. A thread enters before each request and leaves after it; between the two it counts as running.
"""

import random
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from spark_jobs.host_book import EXCHANGE_S, HostLease, HostReport, Refusal
from spark_jobs.robots import Robots
from spark_jobs.statuses import Status
from taxonomy.errors import WorkFailedError

LEASE_S = 1.0
"""How long a lease holds without a new one; two exchanges where they are rarer."""

SLOT_LATE_S = 0.15
"""A slot not used by then is lost: used late it would exceed the rate."""

LOST_AFTER_S = 30.0
"""Without the book for so long, the task fails."""

_JITTER_S = 1.0
_NAP_S = 0.5


@dataclass(frozen=True)
class Exchanged:
    """The book's answer: the leases, and when to come back, s."""

    leases: Sequence[HostLease]
    every_s: float


class Book(Protocol):
    """The job's book of hosts, wherever it is kept."""

    def exchange(self, client: str, reports: Sequence[HostReport], photos: Mapping[str, int]) -> Exchanged:
        """Leases for a process's reports; `photos` ended since its last exchange, by status.

        Raises:
            OSError: the book cannot be reached.
        """
        ...

    def leave(self, client: str) -> None:
        """The process asks for nothing any more."""
        ...


class FetchStoppedError(Exception):
    """The fetcher was stopped while a photo waited."""


class BookLostError(WorkFailedError):
    """The job's lease service did not answer for LOST_AFTER_S."""


@dataclass
class _HostGate:
    name: str
    scheme: str
    changed: threading.Condition
    lease: HostLease | None = None
    lease_until: float = 0.0
    robots: Robots | None = None
    slots: deque[float] = field(default_factory=deque)
    paused_until: float = 0.0
    waiting: int = 0
    running: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    in_a_row: int = 0
    last_failure: Refusal | None = None

    @property
    def has_news(self) -> bool:
        return self.waiting > 0 or self.running > 0 or bool(self.outcomes)


class Leases:
    """The gate of all threads of one process; it exchanges with the book while the block runs.

    Args:
        book: of the job.
        longest_pause_s: a host that wants to be left alone for longer ends its photos as throttled.
    """

    def __init__(self, book: Book, longest_pause_s: float = 120.0) -> None:
        self._book = book
        self._longest_pause_s = longest_pause_s
        self._client = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._hosts: dict[str, _HostGate] = {}
        self._photos: Counter[str] = Counter()
        self._every_s = EXCHANGE_S
        self._wake = threading.Event()
        self._lost: BaseException | None = None
        self._ending = False
        self._random = random.Random()
        self._keeper = threading.Thread(target=self._keep, name="leases", daemon=True)

    def __enter__(self) -> "Leases":
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self._wake.set()
        self._keeper.join()
        self._book.leave(self._client)

    def enter(self, url: str, stopped: threading.Event) -> Refusal | None:
        """Wait until this URL may be asked for; None: now, and `leave` must follow; else why it may not.

        Raises:
            FetchStoppedError: `stopped` was set meanwhile.
            BookLostError: there is no book any more.
        """
        host = self._host(url)
        with self._lock:
            host.waiting += 1
            try:
                while True:
                    if stopped.is_set():
                        raise FetchStoppedError
                    if self._lost is not None:
                        raise BookLostError(f"the driver's lease service is gone: {self._lost}") from self._lost
                    step = self._next_step(host, url, time.monotonic())
                    if isinstance(step, tuple):
                        return step
                    if step <= 0 and self._take_slot(host, stopped):
                        host.running += 1
                        return None
                    if step > 0:
                        host.changed.wait(min(step, _NAP_S))
            finally:
                host.waiting -= 1

    def leave(self, url: str, status: Status, http_status: int | None, retry_after_s: float | None) -> None:
        """Say how the request ended that was entered for."""
        host = self._host(url)
        with self._lock:
            host.running -= 1
            self._note(host, status, http_status)
            if retry_after_s is not None:
                host.paused_until = max(host.paused_until, time.monotonic() + retry_after_s)
                self._wake.set()
            if host.waiting:
                host.changed.notify()

    def count_photo(self, status: Status) -> None:
        """Note that a photo has ended, for the job's progress."""
        with self._lock:
            self._photos[status.value] += 1

    def wake(self) -> None:
        """Let every waiting thread look whether it was stopped."""
        with self._lock:
            self._notify_all()

    def _host(self, url: str) -> _HostGate:
        parts = urlsplit(url)
        name = parts.netloc.rpartition("@")[2].lower()
        host = self._hosts.get(name)
        if host is None:
            with self._lock:
                fresh = _HostGate(name, parts.scheme, threading.Condition(self._lock))
                host = self._hosts.setdefault(name, fresh)
        return host

    def _next_step(self, host: _HostGate, url: str, now: float) -> Refusal | float:
        """Why not, or how many seconds to wait before asking again; 0 or less: go."""
        lease = host.lease
        if lease is None or now > host.lease_until:
            self._wake.set()
            return _NAP_S
        if lease.outage is not None:
            return lease.outage
        if host.robots is None:
            return _NAP_S
        if not host.robots.allows(url):
            return Status.ROBOTS_DENIED, f"robots.txt of {host.name} denies {urlsplit(url).path}"
        if (pause_s := host.paused_until - now) > 0:
            if pause_s > self._longest_pause_s:
                return Status.THROTTLED, f"the host asked to be left alone for {pause_s:.0f} s more"
            return pause_s + self._random.uniform(0.0, min(pause_s, _JITTER_S))
        return _NAP_S if host.running >= lease.max_running else 0.0

    def _take_slot(self, host: _HostGate, stopped: threading.Event) -> bool:
        """Take the next free moment of the host's rate and wait for it; False where there is none."""
        assert host.lease is not None
        if host.lease.slots is None:
            return True
        while host.slots and time.monotonic() > host.slots[0] + SLOT_LATE_S:
            host.slots.popleft()
        if not host.slots:
            host.changed.wait(_NAP_S)
            return False
        moment = host.slots.popleft()
        host.waiting -= 1
        host.running += 1
        self._lock.release()
        try:
            time.sleep(max(0.0, moment - time.monotonic()))
        finally:
            self._lock.acquire()
            host.waiting += 1
            host.running -= 1
        now = time.monotonic()
        return now <= moment + SLOT_LATE_S and host.paused_until <= now and not stopped.is_set()

    def _note(self, host: _HostGate, status: Status, http_status: int | None) -> None:
        throttled = status is Status.THROTTLED or http_status in (429, 503)
        failed = status is Status.SERVER_ERROR or (http_status is None and status is not Status.OK)
        host.outcomes["all"] += 1
        host.outcomes["throttled"] += throttled
        host.outcomes["errors"] += status in (Status.SERVER_ERROR, Status.TIMEOUT, Status.TOO_SLOW)
        if failed and not throttled:
            host.in_a_row += 1
            host.last_failure = status, f"HTTP {http_status}" if http_status else "no answer"
        else:
            host.outcomes["answers"] += 1
            host.in_a_row, host.last_failure = 0, None

    def _keep(self) -> None:
        """Exchange until the block ends; what is left to report then is reported once more."""
        last_heard = time.monotonic()
        while self._lost is None:
            self._wake.wait(self._every_s)
            self._wake.clear()
            ending = self._ending
            try:
                self._exchange_once()
                last_heard = time.monotonic()
            except Exception as error:  # told to every thread that asks, where it does not pass
                if not isinstance(error, OSError) or time.monotonic() - last_heard > LOST_AFTER_S:
                    self._lose(error)
            if ending:
                return

    def _lose(self, error: Exception) -> None:
        with self._lock:
            self._lost = error
            self._notify_all()

    def _exchange_once(self) -> None:
        with self._lock:
            now = time.monotonic()
            reports = [_report(host, now) for host in self._hosts.values() if host.has_news]
            photos, self._photos = self._photos, Counter()
        if not reports and not photos:
            return
        sent_at = time.monotonic()
        try:
            answer = self._book.exchange(self._client, reports, photos)
        except BaseException:
            with self._lock:
                self._photos += photos
            raise
        with self._lock:
            self._every_s = answer.every_s
            for lease in answer.leases:
                self._apply(self._hosts[lease.host], lease, sent_at)

    def _apply(self, host: _HostGate, lease: HostLease, sent_at: float) -> None:
        now = time.monotonic()
        host.lease, host.lease_until = lease, sent_at + max(LEASE_S, 2 * self._every_s)
        host.robots = lease.robots or host.robots
        host.paused_until = max(host.paused_until, now + lease.pause_s)
        if lease.slots is not None:
            host.slots.extend(now + moment for moment in lease.slots)
        if host.waiting:
            host.changed.notify_all()

    def _notify_all(self) -> None:
        for host in self._hosts.values():
            host.changed.notify_all()


def _report(host: _HostGate, now: float) -> HostReport:
    """What is new at a host; its counters start again from 0."""
    free = host.waiting - len(host.slots)
    if host.lease is not None and host.lease.max_running:  # without any, all that wait want a turn or a probe
        free = min(free, host.lease.max_running - host.running)
    done, host.outcomes = host.outcomes, Counter()
    in_a_row, host.in_a_row = host.in_a_row, 0
    return HostReport(
        host=host.name,
        scheme=host.scheme,
        waiting=max(0, free),
        num_outcomes=done["all"],
        num_throttled=done["throttled"],
        num_errors=done["errors"],
        num_answers=done["answers"],
        failures_in_a_row=in_a_row,
        last_failure=host.last_failure if in_a_row else None,
        retry_after_s=max(0.0, host.paused_until - now),
        knows_robots=host.robots is not None,
    )
