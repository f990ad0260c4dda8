"""Leases of a book in this very process, without robots.txt: for tests that fetch without a job."""

from collections.abc import Iterator
from contextlib import contextmanager

from spark_jobs.host_book import HostBook
from spark_jobs.lease_service import CountingBook
from spark_jobs.leases import Leases


@contextmanager
def open_leases(longest_pause_s: float = 120.0, max_per_host: int = 16) -> Iterator[Leases]:
    with Leases(CountingBook(HostBook(max_per_host)), longest_pause_s) as leases:
        yield leases
