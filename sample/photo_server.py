"""A small loopback photo server: serves folders of pictures to the demo and to tests. Standard library only.

    python -m sample.photo_server --sample DIR --drawings DIR --port 0 --port-file FILE [--requests-log FILE]

`/photos/<id>/medium.<ext>` comes from the sample's photos, `/drawings/<id>/medium.<ext>` from the drawings; anything
else is a 404. It listens on 127.0.0.1 alone. SIGTERM and SIGINT end it with status 0.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from taxonomy.whole_file import write_whole

CONTENT_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
# Ids are ASCII digits and nothing is decoded, so that no path can lead out of its folder.
_PHOTO_PATH = re.compile(r"/([a-z]+)/([0-9]{1,19})/medium\.(jpg|png|webp)", re.ASCII)
_IDLE_TIMEOUT_S = 60.0
_POLL_S = 0.1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, routes: Mapping[str, Path], requests_log: Path | None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.routes = dict(routes)
        self.counts: Counter[str] = Counter()
        self.num_connections = 0
        self.lock = threading.Lock()
        # Line by line, so that a reader sees every finished request even after a kill.
        self.log = requests_log.open("a", encoding="utf-8", buffering=1) if requests_log else None

    def record(self, method: str, path: str, status: int) -> None:
        with self.lock:
            self.counts[path] += 1
            if self.log:
                self.log.write(f"{time.time():.3f}\t{method}\t{path}\t{status}\n")

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing about a client that went away, everything about any other error."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # pyright: ignore[reportArgumentType] (socket type)

    def server_close(self) -> None:
        super().server_close()
        with self.lock:
            if self.log:
                self.log.close()
                self.log = None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "taxaflow-photos"
    timeout = _IDLE_TIMEOUT_S
    disable_nagle_algorithm = True
    wbufsize = 1 << 20  # headers and body leave in one write: no wait for a delayed acknowledgement
    server: _Server

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.num_connections += 1

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        status, content_type, body = self._find()
        self.server.record(self.command, self.path, status)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _find(self) -> tuple[HTTPStatus, str, bytes]:
        match = _PHOTO_PATH.fullmatch(self.path)
        folder = self.server.routes.get(match[1]) if match else None
        if match and folder:
            try:
                return HTTPStatus.OK, CONTENT_TYPES[match[3]], (folder / f"{match[2]}.{match[3]}").read_bytes()
            except FileNotFoundError:
                pass
        return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"not found\n"

    def log_message(self, format: str, *args: object) -> None:
        """Requests go to the requests log, never to stderr."""


class PhotoServer:
    """Serves folders on 127.0.0.1 while its `with` block runs, from threads of this process.

    `routes` maps the first part of a path (lower-case letters) to a folder of `<id>.<ext>` files: with
    `{"photos": folder}` the URL `/photos/7/medium.jpg` is `folder/7.jpg`. Port 0 takes any free one. `requests_log`
    gets a line per request: seconds since 1970, method, path, status, separated by tabs.
    """

    def __init__(self, routes: Mapping[str, Path], port: int = 0, requests_log: Path | None = None) -> None:
        self._server = _Server(port, routes, requests_log)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_S,), daemon=True)

    def __enter__(self) -> PhotoServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        """The port listened on."""
        return self._server.server_address[1]

    @property
    def base_url(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests_per_path(self) -> dict[str, int]:
        """A copy of the number of requests per path as asked, GET and HEAD, found or not."""
        with self._server.lock:
            return dict(self._server.counts)

    @property
    def num_requests(self) -> int:
        """The number of requests answered so far, those for robots.txt left out."""
        return sum(number for path, number in self.requests_per_path.items() if path != "/robots.txt")

    @property
    def num_connections(self) -> int:
        """The number of connections accepted so far; with keep-alive fewer than requests."""
        with self._server.lock:
            return self._server.num_connections


def main(argv: list[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT; returns 0, or 2 where a folder is missing or the port is taken."""
    args = _parser().parse_args(argv)
    routes = {"photos": args.sample / "photos", "drawings": args.drawings / "photos"}
    missing = [str(folder) for folder in routes.values() if not folder.is_dir()]
    if missing:
        print(f"error: no folder {missing[0]}", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        server = PhotoServer(routes, args.port, args.requests_log)
    except OSError as error:
        print(f"error: cannot start on port {args.port}: {error}", file=sys.stderr)
        return 2
    with server:
        if args.port_file:
            write_whole(args.port_file, b"%d\n" % server.port)
        print(server.base_url, flush=True)
        stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sample.photo_server", description="Serves pictures on 127.0.0.1.")
    parser.add_argument("--sample", type=Path, required=True, metavar="DIR", help="folder with photos/ of real photos")
    parser.add_argument("--drawings", type=Path, required=True, metavar="DIR", help="folder with photos/ of drawings")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--port-file", type=Path, metavar="FILE", help="gets the port once the server listens")
    parser.add_argument("--requests-log", type=Path, metavar="FILE", help="gets a line per request")
    return parser


if __name__ == "__main__":
    sys.exit(main())
