"""Which runs are made in which order, and what the parts around them do. No nginx but where a test says so."""

import argparse
import contextlib
import io
import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import requests
from PIL import Image

from bench.download import in_turns, is_complete, main, names, open_place, parse, plan
from bench.download_ours import NUM_SPECIES, Ours, make_root
from bench.download_peers import BioTrove, Img2Dataset, Job, environment_python
from bench.download_photos import make_photo, make_photos, photo_urls, size_summary
from bench.download_proxy import content_length
from bench.download_report import DownloadRun, Setting
from bench.download_server import Served, ServerFailed, free_ports, make_certificate, read_log, running


def planned(*arguments, tools=("curl", "requests", "peer")):
    given = parse(["--work", "w", "--photos", "7", *arguments])
    return [(tool, setting.scheme, setting.num_copies) for tool, setting in plan(given, list(tools))]  # pyright: ignore


def test_tools_take_turns():
    assert "".join(in_turns("abc", 3)) == "abccbaabc"  # pyright: ignore


def test_all_schemes_and_lists_are_measured():
    assert planned("--repeat", "2", "--schemes", "http", tools="ab") == [(tool, "http", 1) for tool in "abba"]
    runs = planned("--repeat", "1", "--ten", "--memory")
    assert runs[:6] == [(tool, scheme, 1) for scheme in ("http", "https") for tool in ("curl", "requests", "peer")]
    assert {copies for _, _, copies in runs[6:12]} == {10}
    assert runs[12:] == [("curl", "http", 40)]
    assert {copies for _, _, copies in planned("--ten", "--skip-once")} == {10}
    given = parse(["--work", "w", "--latency"])
    assert all(setting.latency for _, setting in plan(given, [Ours("curl")]))


def test_names_are_checked():
    assert names(("a", "b"), "b,a") == ["b", "a"]
    assert names(("a",), "") == []
    with pytest.raises(argparse.ArgumentTypeError, match="c: choose from a, b"):
        names(("a", "b"), "a,c")
    with pytest.raises(SystemExit):
        parse(["--work", "w", "--ours", "", "--memory"])


def test_a_run_of_ours_must_have_every_photo_by_one_request():
    one = DownloadRun("t", True, Setting("http", 5, 2), 1, {}, 1, 1, 1, Served(10, 10, 1.0), 10)
    assert is_complete(one)
    assert not is_complete(replace(one, num_ok=9))
    assert not is_complete(replace(one, served=Served(11, 10, 1.0)))
    assert is_complete(replace(one, num_ok=9, is_ours=False))


def test_earlier_runs_are_printed_again(tmp_path, capsys):
    one = DownloadRun("taxaflow curl", True, Setting("http", 5), 1, {"workers": 0.1}, 1, 1, 1, Served(5, 5, 1.0), 5)
    (tmp_path / "runs.jsonl").write_text(f"{json.dumps(asdict(one))}\n" * 2)
    assert main(["--work", str(tmp_path), "--report"]) == 0
    assert "Median of 2 runs" in capsys.readouterr().out
    (tmp_path / "runs.jsonl").write_text(json.dumps(asdict(replace(one, num_ok=4))))
    assert main(["--work", str(tmp_path), "--report"]) == 1
    assert main(["--work", str(tmp_path / "none"), "--report"]) == 1
    assert "runs.jsonl" in capsys.readouterr().err


def test_photos_are_distinct_and_sized_like_the_source(tmp_path):
    photos = [make_photo(number) for number in range(120)]
    assert len(set(photos)) == len(photos)
    low, middle, high = np.percentile([len(photo) for photo in photos], (5, 50, 95)) / 1e3
    assert (39 < low < 45, 49 < middle < 55, 57 < high < 61) == (True, True, True)
    assert Image.open(io.BytesIO(photos[0])).size == (500, 375)
    folder = make_photos(tmp_path / "photos", 3)
    assert [(folder / f"{number}.jpg").read_bytes() for number in range(3)] == photos[:3]
    assert len(list(folder.iterdir())) == 3


def test_photos_are_made_once(tmp_path):
    folder = make_photos(tmp_path, 2)
    (folder / "0.jpg").write_bytes(b"kept")
    make_photos(tmp_path, 3)
    assert (folder / "0.jpg").read_bytes() == b"kept"
    assert (folder / "2.jpg").read_bytes() == make_photo(2)


def test_no_address_comes_twice():
    assert photo_urls("http://h:1", 2) == ["http://h:1/photos/0.jpg", "http://h:1/photos/1.jpg"]
    urls = photo_urls("https://h:1", 3, 4)
    assert len(set(urls)) == 12
    assert {url.partition("?")[0] for url in urls} == set(photo_urls("https://h:1", 3))


LOG = """100.500 0.000 404 /robots.txt
103.000 0.500 200 /photos/1.jpg
102.250 0.250 200 /photos/0.jpg
104.000 0.000 500 /photos/a b.jpg
"""


def test_the_log_tells_photos_and_seconds():
    served = read_log(LOG)
    assert (served.num_requests, served.num_ok, served.seconds) == (3, 2, 2.0)
    assert served.images_per_s == 1.0
    assert read_log("").images_per_s == 0.0


def test_the_data_root_is_one_that_download_takes(tmp_path):
    from spark_jobs import download_images, table_io
    from spark_jobs.config import DownloadConfig
    from spark_jobs.tables import PHOTOS, SELECTIONS

    urls = photo_urls("http://127.0.0.1:9", 2 * NUM_SPECIES)
    make_root(tmp_path / "root", urls)
    download_images.check(DownloadConfig(root=tmp_path / "root", dataset="bench"))
    photos = table_io.read_arrow(tmp_path / "root", PHOTOS).to_pylist()
    assert sorted(row["photo_url"] for row in photos) == sorted(urls)
    selections = table_io.read_arrow(tmp_path / "root", SELECTIONS).to_pylist()
    assert {row["photo_id"] for row in selections} == {row["photo_id"] for row in photos}
    assert {row["fate"] for row in selections} == {"train"}
    assert len({row["order_hash"] for row in selections}) == len(urls)


def test_peers_are_asked_what_they_got(tmp_path):
    job = Job(["http://h/photos/0.jpg", "http://h/photos/1.jpg"], tmp_path)
    (tmp_path / "out").mkdir()
    for shard, successes in ((0, 1000), (1, 234)):
        (tmp_path / "out" / f"{shard:05}_stats.json").write_text(f'{{"count": 1000, "successes": {successes}}}')
    peer = Img2Dataset(tmp_path / "venv" / "bin" / "python")
    assert peer.count_ok(job, "") == 1234
    command = peer.prepare(job)
    assert command[0] == str(tmp_path / "venv" / "bin" / "img2dataset")
    assert BioTrove(tmp_path / "python").prepare(job)[0] == str(tmp_path / "python")
    assert (tmp_path / "urls.txt").read_text().split() == job.urls
    assert f"--url_list={tmp_path / 'urls.txt'}" in command and "--resize_mode=no" in command
    assert BioTrove(tmp_path).count_ok(job, '{"ok": 3, "errors": 1}\n') == 3


def download_row(position, status):
    unknown = dict.fromkeys(("http_status", "num_bytes", "sha256", "width", "height", "offset", "error"))
    known = {"shard_file": "s.tar", "position": position, "photo_id": position + 1, "dataset": "bench", "attempts": 1}
    return {**unknown, **known, "status": status, "fetched_at": datetime(2026, 10, 1, tzinfo=UTC)}


def test_ours_downloads_its_own_root_and_counts_what_the_ledger_calls_ok(tmp_path):
    from spark_jobs import table_io
    from spark_jobs.tables import DOWNLOADS, PHOTOS

    job = Job(photo_urls("http://127.0.0.1:9", 4), tmp_path)
    command = Ours("requests").prepare(job)
    flags = dict(zip(command[4::2], command[5::2], strict=True))
    assert command[2:4] == ["data", "download"]
    assert (flags["--transport"], flags["--max-per-host"], flags["--samples-per-shard"]) == ("requests", "16", "1000")
    assert table_io.read_arrow(Path(flags["--root"]), PHOTOS).num_rows == 4
    table_io.append_rows(tmp_path / "root", DOWNLOADS, [download_row(i, "gone" if i == 1 else "ok") for i in range(4)])
    assert Ours("requests").count_ok(job, "") == 3


def test_tools_are_told_apart_and_need_no_newer_version():
    tools = [Ours("curl"), Ours("requests"), Img2Dataset(Path()), Img2Dataset(Path(), True), BioTrove(Path())]
    assert [tool.name for tool in tools[:2]] == ["taxaflow curl", "taxaflow requests"]
    assert len({tool.name for tool in tools} - {None}) == 5
    expected = [*[["PYTHONDONTWRITEBYTECODE"]] * 2, *[["NO_ALBUMENTATIONS_UPDATE"]] * 2, []]
    assert [list(tool.environment()) for tool in tools] == expected


def test_sizes_are_summed_up(tmp_path):
    for number in range(101):
        (tmp_path / f"{number}.jpg").write_bytes(bytes(100 * number))
    assert size_summary(tmp_path, 101) == "0.5 / 5.0 / 9.5 kB"


def test_an_environment_is_made_once(tmp_path):
    (tmp_path / "installed.txt").write_text("a==1\nb==2\n")
    assert environment_python(tmp_path, ("a==1", "b==2")) == tmp_path / "bin" / "python"
    assert list(tmp_path.iterdir()) == [tmp_path / "installed.txt"]


def test_a_server_that_ends_at_once_says_why(tmp_path):
    code = "import sys; sys.exit('no such setting')"
    with (
        pytest.raises(ServerFailed, match="no such setting"),
        running([sys.executable, "-c", code], tmp_path / "out", (1,)),
    ):
        pytest.fail("it never runs")


BODY = bytes(range(256)) * 200


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = BODY if self.path == "/photos/0.jpg" else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Silent."""


@pytest.fixture
def slow_road(tmp_path):
    """The https and http ports of a proxy before a server, and the certificate to trust."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make_certificate(certificate, key)
    http, https = free_ports(2)
    command = [sys.executable, "-m", "bench.download_proxy", "--to-port", str(server.server_address[1])]
    command += ["--http-port", str(http), "--https-port", str(https), "--cert", str(certificate), "--key", str(key)]
    with running(command, tmp_path / "out", (http, https)):
        yield {"http": http, "https": https}, certificate
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_slow_road_delays_each_request_and_splits_each_body(slow_road, scheme):
    ports, certificate = slow_road
    with requests.Session() as session:
        session.verify, session.trust_env = str(certificate), False
        for _ in range(2):
            started = time.monotonic()
            with session.get(f"{scheme}://127.0.0.1:{ports[scheme]}/photos/0.jpg", stream=True) as answer:
                headers_s = time.monotonic() - started
                assert answer.content == BODY
            whole_s = time.monotonic() - started  # a late look at the headers takes nothing from the whole
            assert 0.05 <= headers_s < 0.5 and 0.07 <= whole_s < 1
        assert session.get(f"{scheme}://127.0.0.1:{ports[scheme]}/robots.txt").status_code == 404


def test_an_answer_without_length_is_refused():
    assert content_length(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n") == 12
    with pytest.raises(ValueError, match="without Content-Length"):
        content_length(b"HTTP/1.1 200 OK\r\n\r\n")


@pytest.mark.process
@pytest.mark.skipif(shutil.which("nginx", path="/usr/sbin:/usr/bin") is None, reason="nginx is not installed")
@pytest.mark.parametrize("latency", [False, True])
def test_nginx_serves_the_photos_and_counts_them(tmp_path, latency):
    photos, served = make_photos(tmp_path / "photos", 3), []
    with open_place(tmp_path, photos, latency) as place, contextlib.ExitStack() as stack:
        session = stack.enter_context(requests.Session())
        session.verify, session.trust_env = str(place.site.ca_file), False
        stack.enter_context(place.site.watched(served))
        for scheme in ("http", "https"):
            for number, url in enumerate(photo_urls(place.base_urls[scheme], 3, 2)):
                assert session.get(url).content == (photos / f"{number % 3}.jpg").read_bytes()
            assert session.get(f"{place.base_urls[scheme]}/robots.txt").status_code == 404
    assert (served[0].num_requests, served[0].num_ok) == (12, 12)
    assert 0 < served[0].seconds < 5
    assert subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True).stdout == b""
