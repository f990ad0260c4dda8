"""The manners of one download job: its book of hosts, with robots.txt fetched by the driver."""

import time
from dataclasses import replace
from urllib.parse import urlsplit

from spark_jobs.fetch import Fetcher, FetchPolicy
from spark_jobs.host_book import HostBook, Refusal
from spark_jobs.robots import Robots, parse_robots
from spark_jobs.statuses import RETRYABLE, Status
from spark_jobs.transport import Transport

ROBOTS_BYTES = 16 * 2**20
"""A robots.txt beyond this is not read."""

PARSED_BYTES = 512 * 2**10
"""Rules beyond this are ignored. Source: RFC 9309 section 2.5: at least 500 KiB must be parsed."""

ROBOTS_DEADLINE_S = 20.0


class RobotsGate:
    """What requests for robots.txt pass, since the gate of photos waits for its rules: only Retry-After counts."""

    def __init__(self) -> None:
        self._paused_until: dict[str, float] = {}

    def enter(self, url: str, stopped: object) -> Refusal | None:
        """None: the URL may be asked for at once; else its host wants to be left alone."""
        pause_s = self._paused_until.get(urlsplit(url).netloc, 0.0) - time.monotonic()
        if pause_s <= 0:
            return None
        return Status.THROTTLED, f"the host asked to be left alone for {pause_s:.0f} s more"

    def leave(self, url: str, status: Status, http_status: int | None, retry_after_s: float | None) -> None:
        """Remember how long the host wants to be left alone."""
        if retry_after_s is not None:
            self._paused_until[urlsplit(url).netloc] = time.monotonic() + retry_after_s

    def wake(self) -> None:
        """Nobody waits."""


def make_book(policy: FetchPolicy, transport: Transport, max_per_host: int, max_rate: float | None) -> HostBook:
    """The book of a job that fetches by this policy.

    Args:
        policy: of the job's photos.
        transport: asks for robots.txt, in threads of this process.
        max_per_host: connections per host and process.
        max_rate: requests per second and host over all processes; None: no limit.
    """
    deadline_s = min(policy.deadline_s, ROBOTS_DEADLINE_S)
    # One try: the book asks again, each time later.
    own = replace(policy, tries=1, base_url=None, max_bytes=ROBOTS_BYTES, deadline_s=deadline_s, heed_opt_out=False)
    fetcher = Fetcher(transport, own, RobotsGate())

    def fetch_robots(scheme: str, host: str) -> Robots | Refusal:
        return read_robots(fetcher, scheme, host)

    return HostBook(max_per_host, max_rate, policy.deadline_s, fetch_robots)


def read_robots(fetcher: Fetcher, scheme: str, host: str) -> Robots | Refusal:
    """A host's robots.txt; one that is not there allows everything, one that cannot be had now allows nothing yet.

    Source: RFC 9309 section 2.3.1.
    """
    fetched = fetcher.fetch(f"{scheme}://{host}/robots.txt")
    if fetched.status is Status.TOO_LARGE:
        return Status.SERVER_ERROR, f"robots.txt: {fetched.error}"
    if fetched.status in RETRYABLE:
        return fetched.status, f"robots.txt: {fetched.error}"
    return parse_robots(_first_lines(fetched.body or b""), fetcher.policy.agent_name)


def _first_lines(body: bytes) -> str:
    """The whole lines within PARSED_BYTES."""
    if len(body) > PARSED_BYTES:
        body = body[: body.rfind(b"\n", 0, PARSED_BYTES) + 1]
    return body.decode("utf-8", "replace").removeprefix("\ufeff")
