"""A server on the loopback that answers as badly as it is told to."""

from collections.abc import Iterator

import pytest

from tests.fault_server import FaultServer


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running
