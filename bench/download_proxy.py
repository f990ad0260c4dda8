"""A slow road to a loopback server: each request waits, each body comes in two flights.

    python -m bench.download_proxy --http-port P --https-port P --to-port P --cert FILE --key FILE

Requests must be GETs without a body, answers must have a Content-Length; both connections are kept alive.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from pathlib import Path

DELAY_S = 0.050
GAP_S = 0.025
LIMIT_BYTES = 2**20


@dataclass(frozen=True)
class Road:
    """Where requests go and how slowly."""

    to_port: int
    """The http port of the server, on 127.0.0.1."""
    delay_s: float = DELAY_S
    """From a request's last byte to its sending on."""
    gap_s: float = GAP_S
    """Between the first half of a body, with its headers, and the second."""


async def serve_client(road: Road, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carries the requests of one connection, one after the other, until either side closes it."""
    server_reader, server_writer = await asyncio.open_connection("127.0.0.1", road.to_port, limit=LIMIT_BYTES)
    try:
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(road.delay_s)
            server_writer.write(request)
            head = await server_reader.readuntil(b"\r\n\r\n")
            body = await server_reader.readexactly(content_length(head))
            writer.write(head + body[: len(body) // 2])
            await writer.drain()
            if body:
                await asyncio.sleep(road.gap_s)
                writer.write(body[len(body) // 2 :])
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        pass  # the client or the server has closed: the connection is done
    finally:
        for stream in (writer, server_writer):
            stream.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await stream.wait_closed()


def content_length(head: bytes) -> int:
    """The length that an answer's headers announce, bytes.

    Raises:
        ValueError: they announce none.
    """
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError(f"an answer without Content-Length: {head[:200]!r}")


async def serve(road: Road, http_port: int, https_port: int, context: ssl.SSLContext) -> None:
    """Listens at both ports of 127.0.0.1 until cancelled."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve_client(road, reader, writer)

    shared = {"host": "127.0.0.1", "backlog": 4096, "limit": LIMIT_BYTES}
    plain = await asyncio.start_server(carry, port=http_port, **shared)
    secure = await asyncio.start_server(carry, port=https_port, ssl=context, **shared)
    async with plain, secure:
        await asyncio.gather(plain.serve_forever(), secure.serve_forever())


def main(arguments: list[str] | None = None) -> None:
    """Serves until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m bench.download_proxy", description=(__doc__ or "").split("\n")[0])
    for flag in ("--http-port", "--https-port", "--to-port"):
        parser.add_argument(flag, type=int, required=True)
    for flag in ("--cert", "--key"):
        parser.add_argument(flag, type=Path, required=True)
    given = parser.parse_args(arguments)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(given.cert, given.key)
    asyncio.run(serve(Road(given.to_port), given.http_port, given.https_port, context))


if __name__ == "__main__":
    main()
