"""The loopback photo server over real sockets."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import sample
from sample.photo_server import PhotoServer, main

SAMPLE = Path(sample.__file__).parent
PHOTO = (SAMPLE / "photos" / "1.jpg").read_bytes()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PhotoServer]:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "5.png").write_bytes(b"png")
    (tmp_path / "photos" / "6.webp").write_bytes(b"webp")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    routes = {"photos": SAMPLE / "photos", "drawings": tmp_path / "photos"}
    with PhotoServer(routes, requests_log=tmp_path / "requests.tsv") as running:
        yield running


def ask(server: PhotoServer, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    result = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    connection.close()
    return result


def test_get_and_head_describe_the_same_file(server: PhotoServer) -> None:
    status, headers, body = ask(server, "/photos/1/medium.jpg")
    assert (status, body) == (200, PHOTO)
    assert (headers["content-type"], headers["content-length"]) == ("image/jpeg", str(len(PHOTO)))
    status, headers, body = ask(server, "/photos/1/medium.jpg", "HEAD")
    assert (status, headers["content-length"], body) == (200, str(len(PHOTO)), b"")
    assert ask(server, "/drawings/5/medium.png")[1]["content-type"] == "image/png"
    assert ask(server, "/drawings/6/medium.webp")[1]["content-type"] == "image/webp"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/photos/99/medium.jpg",
        "/photos/1/large.jpg",
        "/photos/1/medium.gif",
        "/photos/1/medium.png",
        "/other/1/medium.jpg",
        "/photos/../../README/medium.jpg",
        "/drawings/../secret/medium.jpg",
        "/drawings/..%2fsecret/medium.jpg",
        "/drawings/%2e%2e/secret.jpg",
        "/photos/1/medium.jpg?x=1",
        "/photos/" + "1" * 300 + "/medium.jpg",
    ],
)
def test_everything_else_is_a_404(server: PhotoServer, path: str) -> None:
    status, headers, body = ask(server, path)
    assert (status, body) == (404, b"not found\n")
    assert headers["content-length"] == str(len(body))


def test_one_connection_serves_many_requests_quickly(server: PhotoServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    started = time.monotonic()
    for path in ["/photos/1/medium.jpg", "/photos/99/medium.jpg"] * 50:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert not answer.will_close
    took_s = time.monotonic() - started
    connection.close()
    assert server.num_connections == 1
    assert took_s < 2.0, "a delayed acknowledgement costs 0.04 s a request"


def test_headers_and_body_arrive_together(server: PhotoServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
        for _ in range(300):
            plain.sendall(b"GET /drawings/5/medium.png HTTP/1.1\r\nHost: x\r\n\r\n")
            first = plain.recv(65536)
            assert first.startswith(b"HTTP/1.1 200 ")
            assert first.endswith(b"\r\n\r\npng")


def test_a_head_answer_has_no_body_that_the_next_answer_would_trip_over(server: PhotoServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
        plain.sendall(b"HEAD /drawings/5/medium.png HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b"".join(iter(lambda: plain.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("identity", ["\u0661".encode(), b"1\x00", b"1%00", b"..\\1", b"-1", b""])
def test_ids_are_ascii_digits_only(server: PhotoServer, identity: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
        plain.sendall(b"GET /photos/" + identity + b"/medium.jpg HTTP/1.1\r\nHost: x\r\n\r\n")
        assert plain.recv(65536).startswith(b"HTTP/1.1 404 ")


def test_requests_are_counted_and_logged_per_path(server: PhotoServer, tmp_path: Path) -> None:
    paths = ["/photos/1/medium.jpg"] * 30 + ["/photos/2/medium.jpg"] * 20 + ["/photos/404/medium.jpg"] * 10
    with ThreadPoolExecutor(8) as pool:
        statuses = [status for status, _, _ in pool.map(lambda path: ask(server, path), paths)]
    assert statuses == [200] * 50 + [404] * 10
    assert server.requests_per_path == {path: paths.count(path) for path in paths}
    assert server.num_requests == 60
    lines = [line.split("\t") for line in (tmp_path / "requests.tsv").read_text().splitlines()]
    assert sorted((path, status) for _, _, path, status in lines) == sorted(zip(paths, map(str, statuses), strict=True))


def test_it_listens_on_the_loopback_address_alone(server: PhotoServer) -> None:
    assert server.base_url == f"http://127.0.0.1:{server.port}"
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", server.port), timeout=2)


def test_leaving_the_block_frees_the_port_with_a_connection_still_open(tmp_path: Path) -> None:
    with PhotoServer({"photos": SAMPLE / "photos"}) as running:
        port = running.port
        idle = socket.create_connection(("127.0.0.1", port), timeout=5)
    idle.close()
    with PhotoServer({"photos": SAMPLE / "photos"}, port=port) as again:
        assert ask(again, "/photos/1/medium.jpg")[0] == 200


def test_a_missing_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--sample", str(SAMPLE), "--drawings", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"error: no folder {tmp_path / 'none' / 'photos'}\n"


@pytest.mark.process
def test_the_command_writes_its_port_and_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    port_file, log = tmp_path / "port", tmp_path / "requests.tsv"
    command = [sys.executable, "-m", "sample.photo_server", "--sample", str(SAMPLE), "--drawings", str(tmp_path)]
    command += ["--port", "0", "--port-file", str(port_file), "--requests-log", str(log)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=SAMPLE.parent, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            port = int(port_file.read_text())
            assert url == f"http://127.0.0.1:{port}"
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/photos/1/medium.jpg")
            assert connection.getresponse().read() == PHOTO
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")
    assert log.read_text().split("\t")[1:] == ["GET", "/photos/1/medium.jpg", "200\n"]
