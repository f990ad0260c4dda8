"""What an HTTP answer means for the photo asked for: its status, and how long to leave the host alone."""

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from spark_jobs.statuses import Status
from spark_jobs.transport import Headers, Response, whole_number

OBJECT_STORES = ("amazonaws.com", "storage.googleapis.com", "blob.core.windows.net")
"""Hosts of object stores, with all their subdomains."""

OBJECT_STORE_HEADERS = ("x-amz-request-id", "x-amz-id-2", "x-guploader-uploadid", "x-ms-request-id")
"""Headers that give away an object store behind another host name."""

OPT_OUTS = frozenset({"noai", "noimageai", "noml", "noindex", "noimageindex", "none"})
"""X-Robots-Tag rules that forbid the use as data; `none` means noindex, nofollow."""

LONGEST_RETRY_AFTER_S = 10**9
"""What a longer Retry-After in seconds counts as: some thirty years."""

_RULES_WITH_VALUES = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})


@dataclass(frozen=True)
class Verdict:
    """One try's end.

    Attributes:
        status: ok, or why not.
        http_status: of the answer; None where none came.
        error: None if ok.
        body: only if ok.
        retry_after_s: how long the host asked to be left alone; None where it did not.
        asked: False where no request was sent.
        refused: our own manners ended it; trying again would not help.
    """

    status: Status
    http_status: int | None
    error: str | None
    body: bytes | None = None
    retry_after_s: float | None = None
    asked: bool = True
    refused: bool = False


def judge(url: str, response: Response, agent_name: str | None) -> Verdict:
    """The verdict on an answer that is no redirect to follow; `agent_name` as for `opted_out`."""
    code, headers = response.http_status, response.headers
    if 200 <= code < 300:
        if rule := opted_out(headers, agent_name):
            return Verdict(Status.OPTED_OUT, code, f"X-Robots-Tag: {rule}")
        return Verdict(Status.OK, code, None, body=response.body)
    status = _refusal_status(url, code, headers)
    wait_s = retry_after_s(headers) if code == 429 or code >= 500 else None
    if code == 503 and wait_s is not None:
        status = Status.THROTTLED
    return Verdict(status, code, f"HTTP {code}", retry_after_s=wait_s)


def _refusal_status(url: str, code: int, headers: Headers) -> Status:
    """The status of an answer that is neither a success nor a redirect to follow."""
    if code in (404, 410) or (code == 403 and is_object_store(url, headers)):
        return Status.GONE
    if code == 429:
        return Status.THROTTLED
    if code == 408:
        return Status.TIMEOUT
    if 300 <= code < 400:
        return Status.REDIRECT_REFUSED
    return Status.SERVER_ERROR if 500 <= code < 600 else Status.FORBIDDEN


def is_object_store(url: str, headers: Headers) -> bool:
    """True where a 403 may hide a missing key: S3 and its like answer so to who may not list the bucket.

    Source: Amazon S3 API reference, GetObject, Permissions: without s3:ListBucket a missing key gives 403.
    """
    host = (urlsplit(url).hostname or "").rstrip(".")
    known = any(host == store or host.endswith(f".{store}") for store in OBJECT_STORES)
    return known or headers.get("server") == "AmazonS3" or not headers.names().isdisjoint(OBJECT_STORE_HEADERS)


def retry_after_s(headers: Headers) -> float | None:
    """Seconds the host asks to be left alone, at least 0; None without a Retry-After one can read.

    A date is taken against the server's own clock where it sends one. Source: RFC 9110 section 10.2.3.
    """
    value = (headers.get("retry-after") or "").strip()
    seconds = whole_number(value, LONGEST_RETRY_AFTER_S)
    if seconds is not None:
        return float(seconds)
    then = _timestamp(value)
    if then is None:
        return None
    now = _timestamp(headers.get("date") or "")
    return max(0.0, then - (time.time() if now is None else now))


def _timestamp(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None


def opted_out(headers: Headers, agent_name: str | None) -> str | None:
    """The X-Robots-Tag rule that forbids the use of this answer, or None.

    A rule after `name:` counts only for that robot, until the header ends or another name comes; for no robot (None)
    no rule counts.
    """
    if agent_name is None:
        return None
    for header in headers.get_all("x-robots-tag"):
        addressed = True
        for item in header.lower().split(","):
            name, colon, rest = (part.strip() for part in item.partition(":"))
            if colon and name not in _RULES_WITH_VALUES:
                addressed, name = name in ("*", agent_name), rest
            if addressed and name in OPT_OUTS:
                return name
    return None
