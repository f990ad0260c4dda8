"""Samples of one tar from a file, an address or a command, and every way it can break off."""

import io
import shutil
import tarfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import islice

import pytest

from taxonomy.errors import WorkFailedError
from tests.trainer.tar_shards import plain_sample, tar_bytes, taxaflow_sample, write_shards
from trainer.data import webdataset_shard
from trainer.data.webdataset_shard import read_shard

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch):
    monkeypatch.setattr(webdataset_shard, "RETRY_WAITS_S", (0.0, 0.0))


@contextmanager
def server_of(bodies: list[bytes | None]):
    """An HTTP server that gives one body per request, the last one ever after; None is a 404.

    A body is announced as long as the last one is, so that shorter ones look cut off.
    """
    requests = iter(range(10**6))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = bodies[min(next(requests), len(bodies) - 1)]
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(bodies[-1] or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/000.tar"
    finally:
        server.shutdown()
        server.server_close()


def keys(samples) -> list[str]:
    return [sample["__key__"] for sample in samples]


def test_members_come_back_by_lower_case_suffix(tmp_path):
    write_shards(tmp_path, [3], sample=lambda number: taxaflow_sample(number, "biotrove"))
    samples = list(read_shard(f"{tmp_path}/000.tar"))
    assert keys(samples) == ["0", "1", "2"]
    for number, sample in enumerate(samples):
        expected = {name.split(".", 1)[1].lower(): content for name, content in taxaflow_sample(number, "biotrove")}
        assert {key: content for key, content in sample.items() if not key.startswith("__")} == expected


def test_the_first_samples_are_skipped(tmp_path):
    write_shards(tmp_path, [5])
    assert keys(read_shard(f"{tmp_path}/000.tar", skip=3)) == ["3", "4"]
    assert keys(read_shard(f"{tmp_path}/000.tar", skip=5)) == []
    with pytest.raises(WorkFailedError, match="5 samples now and had at least 6"):
        list(read_shard(f"{tmp_path}/000.tar", skip=6))


def test_other_members_folders_and_repeats_do_not_disturb(tmp_path):
    members = [
        ("a/1.jpg", b"x"), ("a/1.cls", b"7"), ("a/1.TXT", b"one"), ("a/1.txt", b"again"), ("a/README", b""),
        ("__meta__/0.json", b"{}"), ("a/2.txt", b"two"), ("b/2.npy", b"3"), ("b/2.txt", b"three"),
    ]  # fmt: skip
    (tmp_path / "000.tar").write_bytes(tar_bytes(members))
    samples = list(read_shard(f"{tmp_path}/000.tar"))
    assert [(s["__key__"], s.get("jpg"), s["txt"]) for s in samples] == [
        ("a/1", b"x", b"one"),
        ("a/2", None, b"two"),
        ("b/2", None, b"three"),
    ]


def test_a_tar_cut_off_anywhere_is_never_taken_for_a_whole_one(tmp_path):
    whole = tar_bytes([member for number in range(3) for member in plain_sample(number)])
    path = tmp_path / "000.tar"
    path.write_bytes(whole)
    end = len(whole.rstrip(b"\0"))
    end += -end % 512  # where the end marker begins
    for length in range(0, end + 1, 128):
        path.write_bytes(whole[:length])
        with pytest.raises(WorkFailedError, match=r"000\.tar cannot be read \(3 tries\)") as error:
            list(read_shard(str(path)))
        assert "\n" not in str(error.value)
    for length in range(end + 512, len(whole) + 1, 512):
        path.write_bytes(whole[:length])
        assert keys(read_shard(str(path))) == ["0", "1", "2"]


def test_rubbish_between_members_and_compressed_cuts_are_noticed(tmp_path):
    path = tmp_path / "000.tar"
    rubbish = tar_bytes(plain_sample(0)).rstrip(b"\0")
    path.write_bytes(rubbish + b"\0" * (-len(rubbish) % 512) + b"x" * 512 + tar_bytes(plain_sample(1)))
    with pytest.raises(WorkFailedError, match="broken or cut off"):
        list(read_shard(str(path)))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in taxaflow_sample(0) + taxaflow_sample(1):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    path.write_bytes(buffer.getvalue())
    assert keys(read_shard(str(path))) == ["0", "1"]
    for length in range(0, len(buffer.getvalue()) - 64, 101):
        path.write_bytes(buffer.getvalue()[:length])
        with pytest.raises(WorkFailedError):
            list(read_shard(str(path)))


def test_a_missing_shard_is_named():
    with pytest.raises(WorkFailedError, match=r"/nowhere/000\.tar"):
        list(read_shard("/nowhere/000.tar"))


@pytest.mark.skipif(shutil.which("curl") is None, reason="webdataset reads http with curl")
def test_http_is_read_and_a_broken_transfer_goes_on_where_it_stopped():
    whole = tar_bytes([member for number in range(200) for member in plain_sample(number)])
    with server_of([whole]) as url:
        assert keys(read_shard(url)) == [str(number) for number in range(200)]
    with server_of([whole[: len(whole) // 3], whole[: len(whole) // 2], whole]) as url:
        assert keys(read_shard(url)) == [str(number) for number in range(200)]
    with server_of([whole[: len(whole) // 2]] * 3 + [whole]) as url, pytest.raises(WorkFailedError, match="http://"):
        list(read_shard(url))
    with server_of([None]) as url, pytest.raises(WorkFailedError, match="exit status: 22"):
        list(read_shard(url))


def test_commands_are_read_and_their_failure_is_noticed(tmp_path):
    write_shards(tmp_path, [4])
    path = f"{tmp_path}/000.tar"
    assert keys(read_shard(f"pipe:cat {path}")) == ["0", "1", "2", "3"]
    padded = tmp_path / "padded.tar"  # what stands behind the end marker is more than a pipe holds
    padded.write_bytes((tmp_path / "000.tar").read_bytes() + b"\0" * 1_000_000)
    assert keys(read_shard(f"pipe:exec cat {padded}")) == ["0", "1", "2", "3"]
    with pytest.raises(WorkFailedError, match="exit 3"):
        list(read_shard(f"pipe:cat {path}; exit 3"))
    with pytest.raises(WorkFailedError, match="exit status: 7"):
        list(read_shard(f"pipe:head -c 3000 {path}; exit 7"))


def test_a_shard_left_half_read_ends_its_command(tmp_path):
    write_shards(tmp_path, [4])
    samples = read_shard(f"pipe:cat {tmp_path}/000.tar; touch {tmp_path}/began; sleep 60; touch {tmp_path}/late")
    assert keys(islice(samples, 2)) == ["0", "1"]
    samples.close()  # returns at once instead of waiting for the command
    assert not (tmp_path / "late").exists()


def test_s3_goes_through_the_aws_command(tmp_path, monkeypatch):
    write_shards(tmp_path, [2])
    command = tmp_path / "bin/aws"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\n[ "$*" = "s3 cp s3://bucket/a b.tar -" ] && cat {tmp_path}/000.tar\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:/usr/bin:/bin")
    assert keys(read_shard("s3://bucket/a b.tar")) == ["0", "1"]
