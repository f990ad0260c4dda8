"""A photo's URL in, its body or a typed failure out: every rule of manners and retries, above any transport."""

import contextlib
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self
from urllib.parse import urldefrag, urljoin, urlsplit, urlunsplit

from spark_jobs import addresses
from spark_jobs.answers import Verdict, judge, opted_out
from spark_jobs.config import DEFAULT_TRIES, DEFAULT_USER_AGENT, DownloadConfig
from spark_jobs.leases import FetchStoppedError
from spark_jobs.statuses import RETRYABLE, Status
from spark_jobs.transport import Headers, Request, Response, Transport, TransportFailure

REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Gate(Protocol):
    """What every request passes: rate, concurrency, pauses, robots.txt (spark_jobs/leases.py)."""

    def enter(self, url: str, stopped: threading.Event) -> tuple[Status, str] | None:
        """Wait until the URL may be asked for; a status and text refuse it, and then `leave` must not follow."""
        ...

    def leave(self, url: str, status: Status, http_status: int | None, retry_after_s: float | None) -> None:
        """Say how the request ended."""
        ...

    def wake(self) -> None:
        """Let every waiting thread look whether it was stopped."""
        ...


@dataclass(frozen=True)
class FetchPolicy:
    """How a photo is asked for. Picklable.

    Attributes:
        tries: requests per photo, redirects not counted, at least 1.
        deadline_s: for one try, its redirects included, s.
        connect_timeout_s: for one connection, s.
        max_bytes: largest body, inclusive.
        min_bytes_per_s: slowest body, measured over `speed_window_s`.
        speed_window_s: also the longest silence inside a body, s.
        backoff_base_s: the wait before the n-th repetition is uniform in 0 .. base x 2^(n-1). Source: "Exponential
            Backoff And Jitter", AWS Architecture Blog 2015 (full jitter).
        backoff_cap_s: longest such wait, s.
        retry_after_cap_s: longest Retry-After waited for, s; a longer one ends the photo as throttled, and so does one
            that would hold it for longer than deadline_s x tries.
        max_redirects: per try.
        user_agent: sent with each request; should name a contact.
        base_url: its scheme and host replace those of each photo URL; None: photo URLs as they are.
        allow_private: follow redirects from public hosts to private addresses.
        heed_opt_out: X-Robots-Tag rules end a photo as opted_out; they say nothing of a robots.txt.
    """

    tries: int = DEFAULT_TRIES
    deadline_s: float = 60.0
    connect_timeout_s: float = 10.0
    max_bytes: int = 32 * 2**20
    min_bytes_per_s: float = 1000.0
    speed_window_s: float = 10.0
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 30.0
    retry_after_cap_s: float = 120.0
    max_redirects: int = 5
    user_agent: str = DEFAULT_USER_AGENT
    base_url: str | None = None
    allow_private: bool = False
    heed_opt_out: bool = True

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise ValueError(f"tries is {self.tries}; at least 1 is needed")

    @classmethod
    def of(cls, config: DownloadConfig) -> Self:
        """The policy that the flags of a download ask for."""
        return cls(
            tries=config.tries,
            deadline_s=config.timeout_s,
            user_agent=config.user_agent,
            base_url=config.base_url,
            allow_private=config.allow_private,
        )

    @property
    def robot(self) -> str | None:
        """Whom X-Robots-Tag rules are read for; None where they are not heeded."""
        return self.agent_name if self.heed_opt_out else None

    @cached_property
    def agent_name(self) -> str:
        """The product name in the User-Agent, lower case; what X-Robots-Tag rules may address."""
        return self.user_agent.split("/")[0].split(" ")[0].lower()


@dataclass(frozen=True)
class Fetched:
    """How one photo's download ended.

    Attributes:
        status: ok, or why not.
        http_status: of the last answer; None where none came.
        attempts: tries made; 0 where the host had asked to wait longer than the policy does.
        body: only if ok; not yet checked to be a picture.
        error: only if not ok.
    """

    status: Status
    http_status: int | None
    attempts: int
    body: bytes | None = None
    error: str | None = None


class Fetcher:
    """Fetches photos by one policy; one per task, shared by its threads.

    Args:
        transport: what sends the requests.
        policy: how.
        gate: what each request passes first.
        resolve: host name -> its IP addresses, for the rule on private addresses.
    """

    def __init__(
        self,
        transport: Transport,
        policy: FetchPolicy,
        gate: Gate,
        resolve: Callable[[str], list[str]] = addresses.resolve,
    ) -> None:
        self._transport = transport
        self.policy = policy
        self._gate = gate
        self._resolve = resolve
        self._stopped = threading.Event()
        self._random = random.Random()
        self._headers = {"User-Agent": policy.user_agent, "Accept": "image/*"}

    def fetch(self, photo_url: str) -> Fetched:
        """The photo's body or why there is none, after at most `policy.tries` tries.

        Args:
            photo_url: http or https, or a path starting with `/` where the policy has a base_url.

        Raises:
            spark_jobs.leases.FetchStoppedError: see `stop`.
        """
        url = self._start_url(photo_url)
        if url is None:
            return Fetched(Status.CONNECTION_ERROR, None, 0, error=f"{photo_url!r} is no http or https address")
        verdict, attempts = Verdict(Status.CONNECTION_ERROR, None, "not asked"), 0
        started = time.monotonic()
        for attempts in range(1, self.policy.tries + 1):
            verdict = self._try_once(url)
            wait_s = verdict.retry_after_s
            too_long = wait_s is not None and wait_s > self._longest_wait_s(time.monotonic() - started)
            if verdict.refused or verdict.status not in RETRYABLE or too_long or attempts == self.policy.tries:
                break
            if wait_s is None:
                self._sleep(self._backoff_s(attempts))
        num_asked = attempts - (0 if verdict.asked else 1)
        return Fetched(verdict.status, verdict.http_status, num_asked, verdict.body, verdict.error)

    def stop(self) -> None:
        """Let no thread begin or go on waiting; running requests end by their own limits."""
        self._stopped.set()
        self._gate.wake()

    def _start_url(self, photo_url: str) -> str | None:
        """Where to ask first; None where nobody can be asked."""
        url = photo_url
        if self.policy.base_url is not None:
            try:
                base, parts = urlsplit(self.policy.base_url), urlsplit(photo_url)
            except ValueError:
                return None
            url = urlunsplit((base.scheme, base.netloc, parts.path, parts.query, ""))
        return url if _is_web_address(url) else None

    def _try_once(self, url: str) -> Verdict:
        """One request and the redirects it leads to, within one deadline; waiting at the gate does not count."""
        first_url, seen = url, {url}
        left_s = self.policy.deadline_s
        for hop in range(self.policy.max_redirects + 1):
            if (refusal := self._gate.enter(url, self._stopped)) is not None:
                return Verdict(refusal[0], None, refusal[1], asked=hop > 0, refused=True)
            started = time.monotonic()
            answer = self._ask(url, left_s)
            left_s -= time.monotonic() - started
            if isinstance(answer, Verdict):
                return answer
            url = _redirect_target(url, answer)
            if (reason := self._redirect_refusal(first_url, url, seen)) is not None:
                return Verdict(Status.REDIRECT_REFUSED, answer.http_status, reason)
            seen.add(url)
        return Verdict(Status.REDIRECT_REFUSED, None, f"more than {self.policy.max_redirects} redirects")

    def _ask(self, url: str, left_s: float) -> Verdict | Response:
        """One request past the gate: a redirect's answer, or the verdict."""
        status, http_status, retry_after_s = Status.CONNECTION_ERROR, None, None
        try:
            response = self._transport.send(self._request(url, left_s))
            status, http_status = Status.OK, response.http_status
            if http_status in REDIRECTS:
                return response
            verdict = judge(url, response, self.policy.robot)
            status, retry_after_s = verdict.status, verdict.retry_after_s
            return verdict
        except TransportFailure as failure:
            status, http_status = failure.status, failure.http_status
            return Verdict(status, http_status, str(failure))
        finally:
            self._gate.leave(url, status, http_status, retry_after_s)

    def _request(self, url: str, left_s: float) -> Request:
        policy = self.policy

        def wants_body(http_status: int, headers: Headers) -> bool:
            return 200 <= http_status < 300 and opted_out(headers, policy.robot) is None

        return Request(
            url=url,
            headers=self._headers,
            deadline_s=max(left_s, 0.001),
            connect_timeout_s=policy.connect_timeout_s,
            max_bytes=policy.max_bytes,
            min_bytes_per_s=policy.min_bytes_per_s,
            speed_window_s=policy.speed_window_s,
            wants_body=wants_body,
        )

    def _redirect_refusal(self, first_url: str, target: str, seen: set[str]) -> str | None:
        """Why this redirect is not followed, or None."""
        try:
            parts = urlsplit(target)
            host = parts.hostname
        except ValueError:
            return f"redirect to an address that is none: {target}"
        if parts.scheme not in ("http", "https") or not host:
            return f"redirect to {parts.scheme or 'nowhere'}: only http and https are followed"
        if target in seen:
            return f"redirect loop at {target}"
        if self.policy.allow_private or self.policy.base_url is not None:
            return None
        origin = urlsplit(first_url).hostname or ""
        lured = (
            host != origin
            and addresses.is_private(host, self._resolve)
            and not addresses.is_private(origin, self._resolve)
        )
        return f"redirect from a public host to the private address of {host}" if lured else None

    def _longest_wait_s(self, spent_s: float) -> float:
        """How long this photo may still wait for a host and be done within deadline x tries."""
        left_s = self.policy.deadline_s * (self.policy.tries - 1) - spent_s
        return min(self.policy.retry_after_cap_s, left_s)

    def _backoff_s(self, attempt: int) -> float:
        ceiling = min(self.policy.backoff_cap_s, self.policy.backoff_base_s * 2 ** (attempt - 1))
        return self._random.uniform(0.0, ceiling)

    def _sleep(self, seconds: float) -> None:
        if self._stopped.wait(seconds) if seconds > 0 else self._stopped.is_set():
            raise FetchStoppedError


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _redirect_target(url: str, response: Response) -> str:
    """The absolute address of a redirect, without fragment; empty where there is none."""
    location = response.headers.get("location") or ""
    with contextlib.suppress(UnicodeError):  # header bytes arrive as Latin-1; who writes UTF-8 there means UTF-8
        location = location.encode("latin-1").decode("utf-8")
    try:
        return urldefrag(urljoin(url, location)).url if location else ""
    except ValueError:
        return location
