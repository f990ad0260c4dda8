"""Every transport against a server that misbehaves: each fault its status, each limit kept."""

import shutil
import subprocess
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spark_jobs.config import TRANSPORTS
from spark_jobs.curl_transport import CurlTransport
from spark_jobs.requests_transport import RequestsTransport
from spark_jobs.statuses import Status
from spark_jobs.transport import (
    BodyCollector,
    BodyDecoder,
    Headers,
    Request,
    Transport,
    TransportFailure,
    announced_bytes,
    make_transport,
)
from tests import fault_server as faults
from tests.fault_server import FaultServer

BODY = bytes(range(256)) * 40
QUICK = {"deadline_s": 0.6, "speed_window_s": 0.3, "min_bytes_per_s": 1000.0, "max_bytes": 100_000}


@pytest.fixture(params=["requests", "curl"])
def name(request) -> str:
    return request.param


@pytest.fixture
def transport(name):
    made = make_transport(name, 4)
    yield made
    made.close()


def trusting(name: str, ca: Path) -> Transport:
    return CurlTransport(str(ca)) if name == "curl" else RequestsTransport(2, str(ca))


def test_a_whole_body_comes_back_unchanged(server, transport):
    response = transport.send(Request(server.add("/a", faults.ok(BODY, {"X-One": "1\n2"})), {"User-Agent": "t"}))
    assert (response.http_status, response.body) == (200, BODY)
    assert response.headers.get("CONTENT-type") == "image/jpeg"
    assert response.headers.get_all("x-one") == ["1", "2"]
    sent = server.record.requests[0].headers
    assert (sent["user-agent"], sent["accept-encoding"]) == ("t", "identity")


@pytest.mark.parametrize(
    "behaviour", [faults.chunked(BODY), *(faults.encoded(BODY, e) for e in ("gzip", "deflate", "raw-deflate"))]
)
def test_chunks_and_compression_are_undone(server, transport, behaviour):
    assert transport.send(Request(server.add("/a", behaviour))).body == BODY


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "aws-chunked"])
def test_a_plain_picture_with_a_wrong_encoding_label_passes(server, transport, encoding):
    body = b"\xff\xd8\xff" + BODY
    assert transport.send(Request(server.add("/a", faults.ok(body, {"Content-Encoding": encoding})))).body == body


FAULTS = {
    "hang": (faults.hang(), Status.TIMEOUT),
    "drip in the header": (faults.drip_headers(200), Status.TIMEOUT),
    "drip": (faults.drip(BODY, 64), Status.TOO_SLOW),
    "stall": (faults.stall(BODY, 5000), Status.TOO_SLOW),
    "truncated": (faults.truncated(BODY, 5000), Status.CONNECTION_ERROR),
    "truncated chunk": (faults.truncated(BODY, 5000, chunked=True), Status.CONNECTION_ERROR),
    "truncated gzip": (
        faults.ok(b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + b"\x4b", {"Content-Encoding": "gzip"}),
        Status.CONNECTION_ERROR,
    ),
    "damaged gzip": (faults.ok(b"\x1f" + BODY, {"Content-Encoding": "gzip"}), Status.CONNECTION_ERROR),
    "disconnect": (faults.disconnect(), Status.CONNECTION_ERROR),
    "endless": (faults.endless(), Status.TOO_LARGE),
    "announced too large": (faults.ok(b"x" * 100_001), Status.TOO_LARGE),
    "gzip bomb": (faults.encoded(bytes(5_000_000), "gzip"), Status.TOO_LARGE),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_status_within_the_deadline(server, transport, fault):
    behaviour, status = FAULTS[fault]
    started = time.monotonic()
    with pytest.raises(TransportFailure) as failure:
        transport.send(Request(server.add("/a", behaviour), **QUICK))
    assert failure.value.status is status, failure.value
    assert time.monotonic() - started < QUICK["deadline_s"] + 0.4


def test_a_steady_body_that_outlasts_the_deadline_is_a_timeout(server, transport):
    with pytest.raises(TransportFailure) as failure:
        transport.send(Request(server.add("/a", faults.drip(BODY, 64)), **(QUICK | {"min_bytes_per_s": 1.0})))
    assert (failure.value.status, failure.value.http_status) == (Status.TIMEOUT, 200)


@pytest.mark.parametrize("make", [faults.ok, faults.chunked, lambda body: faults.encoded(body, "gzip")])
def test_the_size_limit_is_exact(server, transport, make):
    at_limit, above = b"x" * 50_000, b"x" * 50_001
    assert len(transport.send(Request(server.add("/a", make(at_limit)), max_bytes=50_000)).body) == 50_000
    with pytest.raises(TransportFailure) as failure:
        transport.send(Request(server.add("/b", make(above)), max_bytes=50_000))
    assert failure.value.status is Status.TOO_LARGE


def test_an_unwanted_body_is_not_waited_for(server, transport):
    def no(http_status: int, headers: Headers) -> bool:
        return False

    url = server.add("/a", faults.drip(b"x" * 100_000, 64))
    started = time.monotonic()
    response = transport.send(Request(url, wants_body=no))
    assert (response.http_status, response.body) == (200, b"")
    assert time.monotonic() - started < 0.5


def test_a_broken_error_page_still_says_its_status(server, transport):
    def behave(exchange):
        exchange.head(404, {"Content-Length": "100"})
        exchange.wfile.write(b"half")
        exchange.close_connection = True

    assert transport.send(Request(server.add("/a", behave))).http_status == 404


def test_redirects_are_left_to_the_caller(server, transport):
    response = transport.send(Request(server.add("/a", faults.redirect("/b"))))
    assert (response.http_status, response.headers.get("location")) == (302, "/b")
    assert server.record.num_requests() == 1


def test_connections_are_kept_and_shared_by_threads(server, transport):
    url = server.add("/a", faults.ok(BODY))
    missing = server.url("/none")
    with ThreadPoolExecutor(4) as pool:
        bodies = list(pool.map(lambda _: transport.send(Request(url)).body, range(60)))
        list(pool.map(lambda _: transport.send(Request(missing)), range(20)))
    assert bodies == [BODY] * 60
    assert server.record.num_connections <= 4


def test_each_thread_keeps_its_own_deadline(server, transport):
    slow, quick = server.add("/slow", faults.hang()), server.add("/quick", faults.ok(BODY))
    failures: list[TransportFailure] = []

    def wait_in_vain() -> None:
        with pytest.raises(TransportFailure) as failure:
            transport.send(Request(slow, deadline_s=0.5))
        failures.append(failure.value)

    thread = threading.Thread(target=wait_in_vain)
    thread.start()
    for _ in range(20):
        assert transport.send(Request(quick, deadline_s=5)).body == BODY
    thread.join()
    assert [failure.status for failure in failures] == [Status.TIMEOUT]


def test_no_listener_and_no_address_are_connection_errors(transport):
    for url in ("http://127.0.0.1:1/a", "http://no-such-host.invalid/a", "http:///a", "http://[half/a"):
        with pytest.raises(TransportFailure) as failure:
            transport.send(Request(url, deadline_s=5))
        assert failure.value.status is Status.CONNECTION_ERROR, url


def test_close_ends_idle_connections(server, name):
    transport = make_transport(name, 4)
    transport.send(Request(server.add("/a", faults.ok(BODY))))
    assert server.record.open_connections == 1
    transport.close()
    give_up = time.monotonic() + 5
    while server.record.open_connections and time.monotonic() < give_up:
        time.sleep(0.01)
    assert server.record.open_connections == 0


def test_proxy_variables_are_read_once_and_exceptions_hold(server, monkeypatch, name):
    with FaultServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url(""))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        transport = make_transport(name, 2)
        monkeypatch.delenv("http_proxy")
        proxy.add("http://photos.invalid/a", faults.ok(BODY))
        assert transport.send(Request("http://photos.invalid/a")).body == BODY
        assert transport.send(Request(server.add("/a", faults.ok(BODY)))).body == BODY
        assert proxy.counts() == {"http://photos.invalid/a": 1}
        proxy.add("http://photos.invalid/b", faults.drip_headers(200))
        started = time.monotonic()
        with pytest.raises(TransportFailure) as failure:
            transport.send(Request("http://photos.invalid/b", **QUICK))
        assert failure.value.status is Status.TIMEOUT
        assert time.monotonic() - started < QUICK["deadline_s"] + 0.4
        transport.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed; it makes the certificate of the https tests")
    folder = tmp_path_factory.mktemp("tls")
    key, cert, both = folder / "key.pem", folder / "cert.pem", folder / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=loopback"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    return both


def test_https_works_with_a_trusted_certificate_and_keeps_deadlines(certificate, name):
    with FaultServer(certificate) as server:
        transport = trusting(name, certificate)
        assert transport.send(Request(server.add("/a", faults.ok(BODY)))).body == BODY
        assert transport.send(Request(server.url("/a"))).body == BODY
        assert server.record.num_connections == 1
        for path, behaviour, status in (
            ("/b", faults.hang(), Status.TIMEOUT),
            ("/c", faults.drip(BODY), Status.TOO_SLOW),
            ("/d", faults.drip_headers(200), Status.TIMEOUT),
        ):
            started = time.monotonic()
            with pytest.raises(TransportFailure) as failure:
                transport.send(Request(server.add(path, behaviour), **QUICK))
            assert failure.value.status is status
            assert time.monotonic() - started < QUICK["deadline_s"] + 0.4
        transport.close()


def test_an_untrusted_certificate_and_plain_http_on_a_tls_port_are_tls_errors(certificate, server, transport):
    with FaultServer(certificate) as secure:
        with pytest.raises(TransportFailure) as failure:
            transport.send(Request(secure.add("/a", faults.ok(BODY))))
        assert failure.value.status is Status.TLS_ERROR
    with pytest.raises(TransportFailure) as failure:
        transport.send(Request(server.url("/a").replace("http:", "https:")))
    assert failure.value.status is Status.TLS_ERROR


def test_an_unwanted_body_that_drips_does_not_hold_the_thread(server, transport):
    def behave(exchange):
        exchange.head(404, {"Content-Length": "10000"})
        for _ in range(600):
            exchange.wfile.write(b"x")
            exchange.pause(0.05)

    started = time.monotonic()
    assert transport.send(Request(server.add("/a", behave), deadline_s=4)).http_status == 404
    assert time.monotonic() - started < 6


def test_an_interim_answer_is_not_the_answer(server, transport, name):
    def behave(exchange):
        code = b"103 Early Hints" if exchange.path == "/103" else b"100 Continue"
        exchange.wfile.write(b"HTTP/1.1 %s\r\nLink: </a>\r\n\r\n" % code)
        exchange.reply(200, BODY, {"X-One": "1"})

    response = transport.send(Request(server.add("/100", behave)))
    assert (response.http_status, response.body, response.headers.get("link")) == (200, BODY, None)
    early = Request(server.add("/103", behave))
    if name == "curl":
        assert transport.send(early).body == BODY
    else:  # http.client knows 100 alone; the photo is asked for again
        with pytest.raises(TransportFailure) as failure:
            transport.send(early)
        assert failure.value.status is Status.CONNECTION_ERROR


def test_a_header_that_looks_like_a_status_line_is_a_header(server, transport):
    url = server.add("/a", faults.ok(BODY, {"HTTP/2": "404 x", "X-One": "1"}))
    response = transport.send(Request(url))
    assert (response.http_status, response.headers.get("x-one")) == (200, "1")


def test_letters_that_urls_cannot_hold_are_encoded_alike(server, transport):
    server.add("/caf%C3%A9%20au%20lait.jpg", faults.ok(BODY))
    assert transport.send(Request(server.url("/café au lait.jpg"))).body == BODY


def test_the_names_of_transports_are_those_of_the_flag():
    for name in TRANSPORTS:
        make_transport(name, 1).close()


@pytest.mark.parametrize(
    ("value", "num_bytes"),
    [("0", 0), ("0" * 5000 + "7", 7), ("123456789012", 123_456_789_012), ("-1", None), ("1e3", None), ("", None)],
)
def test_an_announced_length_is_read_as_a_number(value, num_bytes):
    assert announced_bytes(Headers([("Content-Length", value)])) == num_bytes


def test_an_announced_length_of_any_number_of_digits_stays_huge():
    headers = Headers([("Content-Length", "9" * 5000)])
    assert (announced_bytes(headers) or 0) >= 10**18
    with pytest.raises(TransportFailure) as failure:
        BodyCollector(Request("http://photos.invalid/a"), headers)
    assert failure.value.status is Status.TOO_LARGE


def decoded(encoding: str, pieces: list[bytes]) -> bytes:
    decoder = BodyDecoder(encoding, len(BODY))
    body = b"".join(decoder.decode(piece) for piece in pieces)
    decoder.finish()
    return body


@pytest.mark.parametrize(
    ("encoding", "wbits"), [("deflate", zlib.MAX_WBITS), ("deflate", -zlib.MAX_WBITS), ("gzip", 16 + zlib.MAX_WBITS)]
)
def test_a_compressed_body_may_come_in_pieces_of_any_size(encoding, wbits):
    packed = zlib.compress(BODY, wbits=wbits)
    assert decoded(encoding, [packed[i : i + 1] for i in range(len(packed))]) == BODY
    assert decoded(encoding, [b"", packed[:1], b"", packed[1:]]) == BODY


@pytest.mark.parametrize("encoding", ["deflate", "gzip"])
def test_a_plain_picture_with_a_wrong_label_may_come_byte_by_byte(encoding):
    assert decoded(encoding, [b"\xff", b"\xd8", b"\xff", b"x"]) == b"\xff\xd8\xffx"


def test_a_deflate_body_of_one_byte_ends_early():
    with pytest.raises(TransportFailure) as failure:
        decoded("deflate", [b"\x78"])
    assert failure.value.status is Status.CONNECTION_ERROR
