"""How one photo's download can end; the exact words that stand in the `downloads` table."""

from enum import StrEnum


class Status(StrEnum):
    """The one status of a planned photo: `ok`, or one of RETRYABLE, or one of FINAL."""

    OK = "ok"
    # Temporary: a later run asks again.
    THROTTLED = "throttled"
    """The server named a time to wait (429, or 503 with Retry-After)."""
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    """No answer, or not the whole answer, within the total deadline."""
    TOO_SLOW = "too_slow"
    """The body stalled, or came more slowly than the minimum speed."""
    CONNECTION_ERROR = "connection_error"
    """No connection, a broken one, or a body shorter than announced."""
    TLS_ERROR = "tls_error"
    # Final: asking again would give the same.
    GONE = "gone"
    """404 or 410, or 403 from an object store, which hides missing keys that way."""
    FORBIDDEN = "forbidden"
    REDIRECT_REFUSED = "redirect_refused"
    ROBOTS_DENIED = "robots_denied"
    OPTED_OUT = "opted_out"
    """The answer carries an X-Robots-Tag that forbids the use."""
    TOO_LARGE = "too_large"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_SMALL = "too_small"
    NOT_AN_IMAGE = "not_an_image"
    CORRUPT_IMAGE = "corrupt_image"
    """Damaged picture data; fetched once more within the run before this is said."""
    PLACEHOLDER = "placeholder"
    """A picture of one single colour."""


RETRYABLE = frozenset(
    {
        Status.THROTTLED,
        Status.SERVER_ERROR,
        Status.TIMEOUT,
        Status.TOO_SLOW,
        Status.CONNECTION_ERROR,
        Status.TLS_ERROR,
    }
)
"""Statuses that a later run asks for again."""

FINAL = frozenset(
    {
        Status.GONE,
        Status.FORBIDDEN,
        Status.REDIRECT_REFUSED,
        Status.ROBOTS_DENIED,
        Status.OPTED_OUT,
        Status.TOO_LARGE,
        Status.TOO_MANY_PIXELS,
        Status.TOO_SMALL,
        Status.NOT_AN_IMAGE,
        Status.CORRUPT_IMAGE,
        Status.PLACEHOLDER,
    }
)
"""Statuses that no run asks for again."""
