"""What headers mean: Retry-After, X-Robots-Tag, object stores."""

import time
from email.utils import formatdate

import pytest

from spark_jobs.addresses import is_private
from spark_jobs.answers import is_object_store, opted_out, retry_after_s
from spark_jobs.transport import Headers


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        (["noai"], "noai"),
        (["NoImageAI, nofollow"], "noimageai"),
        (["all", "noindex"], "noindex"),
        (["none"], "none"),
        (["nofollow, noarchive"], None),
        (["otherbot: noai"], None),
        (["otherbot: noai, noindex"], None),
        (["otherbot: noai", "noindex"], "noindex"),
        (["taxaflow: noai"], "noai"),
        (["otherbot: nofollow, taxaflow: noindex"], "noindex"),
        (["unavailable_after: 2030-01-01, noai"], "noai"),
        (["*: noai"], "noai"),
        ([], None),
    ],
)
def test_x_robots_tag_counts_for_all_or_for_us(lines, rule):
    assert opted_out(Headers(("X-Robots-Tag", line) for line in lines), "taxaflow") == rule


def test_retry_after_in_seconds_and_as_a_date_by_the_servers_clock():
    assert retry_after_s(Headers([("Retry-After", "7")])) == 7
    then, server_now = formatdate(1_000_000_060, usegmt=True), formatdate(1_000_000_000, usegmt=True)
    assert retry_after_s(Headers([("Retry-After", then), ("Date", server_now)])) == 60
    soon = formatdate(time.time() + 30, usegmt=True)
    assert 28 < (retry_after_s(Headers([("Retry-After", soon)])) or 0) <= 30
    assert retry_after_s(Headers([("Retry-After", then)])) == 0


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "٣", "Fri, 99 Foo 2020 00:00:00 GMT"])
def test_a_retry_after_that_says_nothing_is_none(value):
    assert retry_after_s(Headers([("Retry-After", value)])) is None
    assert retry_after_s(Headers()) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("9" * 5000, 10**9), ("1000000000", 10**9), ("999999999", 999_999_999), ("0" * 5000 + "7", 7), ("0" * 5000, 0)],
)
def test_a_retry_after_of_any_length_is_a_number_of_bounded_size(value, seconds):
    assert retry_after_s(Headers([("Retry-After", value)])) == seconds


@pytest.mark.parametrize(
    ("url", "headers", "store"),
    [
        ("https://inaturalist-open-data.s3.amazonaws.com/a", {}, True),
        ("https://storage.googleapis.com/bucket/a", {}, True),
        ("https://acct.blob.core.windows.net/a", {}, True),
        ("https://notamazonaws.com/a", {}, False),
        ("https://photos.example.org/a", {"Server": "AmazonS3"}, True),
        ("https://photos.example.org/a", {"x-amz-request-id": "1"}, True),
        ("https://photos.example.org/a", {"Server": "nginx"}, False),
    ],
)
def test_object_stores_are_known_by_host_or_header(url, headers, store):
    assert is_object_store(url, Headers(headers.items())) is store


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "::1", "fe80::1%eth0", "::ffff:10.0.0.1", "0.0.0.0"],
)
def test_private_addresses_are_known_also_as_literals(address):
    assert is_private(address)
    assert is_private("name", lambda host: ["8.8.8.8", address])


def test_public_and_unknown_hosts_are_not_private():
    assert not is_private("8.8.8.8")
    assert not is_private("no-such-host.invalid")
