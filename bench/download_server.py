"""A real nginx on loopback that serves the photos over http and https, and what its log says of a download."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import certifi

PHOTO_PREFIX = "/photos/"
START_S = 10.0
FLUSH_S = 0.2

_CONFIG = """
{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    log_format timed '$msec $request_time $status $uri';
    access_log {folder}/access.log timed buffer=64k flush={flush_ms}ms;
    types {{ image/jpeg jpg; }}
    default_type text/plain;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{http_port} backlog=4096;
        listen 127.0.0.1:{https_port} ssl backlog=4096;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        location {prefix} {{ alias {photos}/; }}
        location / {{ return 404; }}
    }}
}}
"""


class ServerFailed(RuntimeError):
    """nginx or openssl is missing, or did not do what it was asked to."""


@dataclass(frozen=True)
class Served:
    """What the server's log says of one download; robots.txt and the like are left out."""

    num_requests: int
    """Requests for photos, whatever was answered."""
    num_ok: int
    """Those answered with 200."""
    seconds: float
    """From the start of the first request for a photo to the end of the last."""

    @property
    def images_per_s(self) -> float:
        """Photos sent per second in between; 0 where there were none."""
        return self.num_ok / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class PhotoSite:
    """A running server."""

    folder: Path
    http_port: int
    https_port: int

    @property
    def ca_file(self) -> Path:
        """The certificates a client must trust: all of certifi's, and the server's own after them."""
        return self.folder / "ca.pem"

    @property
    def cert_and_key(self) -> tuple[Path, Path]:
        """The server's certificate and private key."""
        return self.folder / "cert.pem", self.folder / "key.pem"

    def base_url(self, scheme: str) -> str:
        """Scheme, host and port, without a slash at the end."""
        return f"{scheme}://127.0.0.1:{self.https_port if scheme == 'https' else self.http_port}"

    @property
    def log(self) -> Path:
        """The access log, one line per request."""
        return self.folder / "access.log"

    @contextlib.contextmanager
    def watched(self, served: list[Served]) -> Iterator[None]:
        """Appends what was served in the block."""
        before = self.log.stat().st_size
        yield
        time.sleep(3 * FLUSH_S)
        with self.log.open("rb") as log:
            log.seek(before)
            served.append(read_log(log.read().decode()))


@contextlib.contextmanager
def serve_photos(folder: Path, photos: Path) -> Iterator[PhotoSite]:
    """Runs nginx with one worker in the block; its files lie in folder, which is made anew.

    Raises:
        ServerFailed: no nginx or openssl, or it does not come up; with its own words.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder, photos = folder.resolve(), photos.resolve()
    site = PhotoSite(folder, *free_ports(2))
    make_certificate(*site.cert_and_key)
    site.ca_file.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + site.cert_and_key[0].read_bytes())
    config = folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            user="user root;\n" if os.geteuid() == 0 else "",
            folder=folder,
            photos=photos,
            prefix=PHOTO_PREFIX,
            http_port=site.http_port,
            https_port=site.https_port,
            flush_ms=int(FLUSH_S * 1000),
        )
    )
    command = [find_program("nginx"), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)]
    with running(command, folder / "nginx.out", (site.http_port, site.https_port)):
        yield site


@contextlib.contextmanager
def running(command: list[str], log: Path, ports: tuple[int, ...]) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a server in the block, from when it accepts connections at all these ports of 127.0.0.1.

    Raises:
        ServerFailed: it ended, or does not accept within START_S; with its own words.
    """
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_S
        while not all(map(accepts, ports)):
            if server.poll() is not None or time.monotonic() > deadline:
                raise ServerFailed(f"{' '.join(command)} does not run: {log.read_text(errors='replace')[-500:]}")
            time.sleep(0.02)
        yield server
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def read_log(text: str) -> Served:
    """What the lines of an access log in the form `$msec $request_time $status $uri` say."""
    lines = [line.split(" ", 3) for line in text.splitlines()]
    photos = [(float(end), float(took), status) for end, took, status, uri in lines if uri.startswith(PHOTO_PREFIX)]
    if not photos:
        return Served(0, 0, 0.0)
    seconds = max(end for end, _, _ in photos) - min(end - took for end, took, _ in photos)
    return Served(len(photos), sum(status == "200" for _, _, status in photos), seconds)


def make_certificate(certificate: Path, key: Path) -> None:
    """Writes a self-signed certificate for 127.0.0.1, RSA of 2048 bits, valid for 30 days.

    Raises:
        ServerFailed: openssl refuses.
    """
    command = [find_program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise ServerFailed(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-500:]}")


def find_program(name: str) -> str:
    """The path of a program.

    Raises:
        ServerFailed: there is none.
    """
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))
    if found is None:
        raise ServerFailed(f"{name} is not installed; this measurement needs it (apt-get install {name}, or the like)")
    return found


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens at now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def accepts(port: int) -> bool:
    """Whether somebody listens at this port of 127.0.0.1."""
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0
