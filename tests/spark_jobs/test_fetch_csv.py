"""Photos of a CSV, fetched without Spark: one status per row, checked pictures alone, nothing asked for twice."""

import contextlib
import csv
import errno
import re
import subprocess
import sys
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from pathlib import Path
from typing import BinaryIO

import pytest

import taxaflow
from spark_jobs import fetch_csv
from spark_jobs.config import from_mapping
from spark_jobs.fetch_config import FetchConfig
from spark_jobs.fetch_csv import run
from spark_jobs.photo_list import OUR_COLUMNS
from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.whole_file import whole_file
from tests import fault_server as faults
from tests.conftest import PROJECT
from tests.fault_server import FaultServer
from tests.picture_bodies import HTML, damaged, jpeg

PICTURE, OTHER = jpeg(1), jpeg(2)


def write_csv(path: Path, header: list[str], rows: list[list[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def config(
    folder: Path, rows: list[list[str]], header: tuple[str, ...] = ("photo_id", "name", "photo_url")
) -> FetchConfig:
    """One try and a second per request: the policy of retries has its own tests."""
    file = write_csv(folder / "photos.csv", list(header), rows)
    return FetchConfig(file, folder / "out", timeout_s=1, tries=1, user_agent="taxaflow-test/1 (me@example.org)")


def fetched(config: FetchConfig) -> list[dict[str, str]]:
    with (config.out / "fetched.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pictures(config: FetchConfig) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in config.out.iterdir() if file.suffix == ".jpg"}


BEHAVIOURS = {
    "ok": faults.ok(PICTURE),
    "gone": faults.status(404),
    "server_error": faults.status(500),
    "not_an_image": faults.ok(HTML),
    "corrupt_image": faults.ok(damaged(PICTURE)),
    "opted_out": faults.ok(PICTURE, {"X-Robots-Tag": "noai"}),
    "connection_error": faults.disconnect(),
    "timeout": faults.hang(),
}


def all_kinds(server: FaultServer) -> list[list[str]]:
    return [
        [str(number), f"kind, {name}", server.add(f"/{name}", behaviour)]
        for number, (name, behaviour) in enumerate(BEHAVIOURS.items())
    ]


def test_every_row_gets_its_status_and_only_checked_pictures_are_stored(server, tmp_path):
    rows = all_kinds(server)
    rows += [["0", "again", rows[0][2]], ["9", "no url", " "]]
    own = config(tmp_path, rows)
    summary = run(own)
    lines = fetched(own)
    assert [line["fetch_status"] for line in lines] == [*BEHAVIOURS, "ok", "no_url"]
    assert [[line["photo_id"], line["name"], line["photo_url"]] for line in lines] == rows
    assert [line["path"] for line in lines] == [f"{n}.jpg" for n in (*range(len(BEHAVIOURS)), 0)] + [""]
    assert [bool(line["fetch_error"]) for line in lines] == [line["fetch_status"] != "ok" for line in lines]
    assert (lines[1]["fetch_http_status"], lines[1]["fetch_attempts"], lines[7]["fetch_http_status"]) == (
        "404",
        "1",
        "",
    )
    assert pictures(own) == {"0.jpg": PICTURE}
    assert server.counts()["/ok"] == 1
    assert server.counts()["/corrupt_image"] == 2  # the damage may have come from the way
    assert (summary.counts["rows"], summary.counts["photos"], summary.counts["ok"]) == (10, 8, 1)
    assert not list(own.out.glob(".*"))


def test_a_second_run_asks_only_for_what_may_have_passed(server, tmp_path):
    own = config(tmp_path, all_kinds(server))
    run(own)
    before = server.counts()
    server.add("/server_error", faults.ok(OTHER))
    assert run(own).counts["photos_asked_for"] == 3
    asked = server.counts() - before - Counter({"/robots.txt": 1})
    assert set(asked) == {"/server_error", "/connection_error", "/timeout"}
    assert pictures(own) == {"0.jpg": PICTURE, "2.jpg": OTHER}
    assert [line["fetch_status"] for line in fetched(own)][2] == "ok"


def test_where_all_is_settled_nothing_is_asked_and_nothing_changes(server, tmp_path):
    own = config(
        tmp_path, [["1", "a", server.add("/a", faults.ok(PICTURE))], ["2", "b", server.add("/b", faults.ok(HTML))]]
    )
    assert run(own).changed
    before, listed = server.counts(), (own.out / "fetched.csv").read_bytes()
    assert not run(own).changed
    assert not run(replace(own, csv=own.out / "fetched.csv")).changed
    assert server.counts() == before
    assert (own.out / "fetched.csv").read_bytes() == listed


def test_pictures_of_a_killed_run_count_if_they_are_sound(server, tmp_path):
    own = config(tmp_path, [[str(n), "", server.add(f"/{n}", faults.ok(jpeg(n)))] for n in range(3)])
    own.out.mkdir()
    (own.out / "0.jpg").write_bytes(jpeg(0))
    (own.out / "1.jpg").write_bytes(jpeg(1)[:-500])
    (own.out / ".2.jpg.77.tmp").write_bytes(b"half")
    run(own)
    assert pictures(own) == {f"{n}.jpg": jpeg(n) for n in range(3)}
    assert server.record.num_requests() == 2
    assert not list(own.out.glob(".*"))


def test_a_picture_that_was_deleted_is_fetched_again(server, tmp_path):
    own = config(tmp_path, [["1", "", server.add("/a", faults.ok(PICTURE))]])
    run(own)
    (own.out / "1.jpg").unlink()
    run(own)
    assert pictures(own) == {"1.jpg": PICTURE}


def test_another_url_never_keeps_the_picture_of_the_old_one(server, tmp_path):
    kept = ["2", "", server.add("/b", faults.ok(OTHER))]
    run(config(tmp_path, [["1", "", server.add("/a", faults.ok(PICTURE))], kept]))
    own = config(tmp_path, [["1", "", server.add("/none", faults.status(404))], kept])
    run(own)
    assert pictures(own) == {"2.jpg": OTHER}
    assert [line["fetch_status"] for line in fetched(own)] == ["gone", "ok"]


def test_without_a_usable_id_pictures_are_named_by_their_url(server, tmp_path):
    urls = [server.add(f"/{n}/medium.jpg", faults.ok(jpeg(n))) for n in range(3)]
    own = config(tmp_path, [["../../1", urls[0]], ["", urls[1]], ["-7", urls[2]]], ("photo_id", "photo_url"))
    run(own)
    lines = fetched(own)
    assert [bool(re.fullmatch(r"[0-9a-f]{24}\.jpg", line["path"])) for line in lines] == [True, True, False]
    assert lines[2]["path"] == "-7.jpg"
    assert [(own.out / line["path"]).read_bytes() for line in lines] == [jpeg(n) for n in range(3)]
    other = replace(own, csv=write_csv(tmp_path / "no_id.csv", ["url"], [[urls[0]]]), url_column="url")
    assert run(other).counts["photos_asked_for"] == 0


def test_columns_of_our_names_are_replaced(server, tmp_path):
    rows = [["/old/place.jpg", server.add("/a", faults.ok(PICTURE)), "5"]]
    own = config(tmp_path, rows, ("path", "photo_url", "photo_id"))
    run(own)
    assert list(fetched(own)[0]) == ["photo_url", "photo_id", *OUR_COLUMNS]
    assert fetched(own)[0]["path"] == "5.jpg"


def test_robots_txt_is_obeyed(server, tmp_path):
    server.add("/robots.txt", faults.ok(b"User-agent: taxaflow-test\nDisallow: /private/\n"))
    rows = [["1", "", server.add("/private/a", faults.ok(PICTURE))], ["2", "", server.add("/b", faults.ok(PICTURE))]]
    own = config(tmp_path, rows)
    run(own)
    assert [line["fetch_status"] for line in fetched(own)] == ["robots_denied", "ok"]
    assert server.counts()["/private/a"] == 0


def test_a_base_url_stands_in_for_every_host(server, tmp_path):
    server.add("/photos/5/medium.jpg", faults.ok(PICTURE))
    own = config(tmp_path, [["5", "", "https://photos.example.org/photos/5/medium.jpg"]])
    run(replace(own, base_url=server.url("")))
    assert pictures(own) == {"5.jpg": PICTURE}


def test_not_one_picture_is_failed_work_and_the_list_says_why(server, tmp_path):
    own = config(tmp_path, [["1", "", server.add("/a", faults.status(404))], ["2", "", ""]])
    with pytest.raises(WorkFailedError, match="not one photo came: gone 1, no_url 1;"):
        run(own)
    assert [line["fetch_status"] for line in fetched(own)] == ["gone", "no_url"]
    with pytest.raises(WorkFailedError, match="not one photo came"):
        run(own)
    assert server.counts()["/a"] == 1


def test_a_full_disk_ends_the_run_with_what_is_known_written(server, tmp_path, monkeypatch):
    def full(path: Path) -> AbstractContextManager[BinaryIO]:
        if path.name == "1.jpg":
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole_file(path)

    monkeypatch.setattr(fetch_csv, "whole_file", full)
    rows = [[str(n), "", server.add(f"/{n}", faults.ok(jpeg(n)))] for n in range(2)]
    own = replace(config(tmp_path, rows), max_per_host=1)
    with pytest.raises(WorkFailedError, match=r"No space left.*run again"):
        run(own)
    assert [line["fetch_status"] for line in fetched(own)] == ["ok", ""]
    monkeypatch.undo()
    run(own)
    assert (server.counts()["/0"], server.counts()["/1"]) == (1, 2)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("photo_id,photo_url\n", "no rows"),
        ("photo_id,link\n1,http://h/a\n", r"column photo_url is missing \(it has photo_id, link\)"),
        ("photo_url,photo_url\na,b\n", "column photo_url appears more than once"),
        ("photo_id,photo_url\n1,http://h/a,more\n", "line 2: 3 values, but the header names 2 columns"),
        ("photo_id,photo_url\n1,http://h/a\n1,http://h/b\n", "photo_id 1 has two URLs, http://h/a and http://h/b"),
        ("photo_url\n\udcff\n", "cannot be read as CSV"),
    ],
)
def test_a_csv_that_cannot_be_used_is_refused_and_nothing_written(tmp_path, content, says):
    file = tmp_path / "photos.csv"
    file.write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(BadInputError, match=says):
        run(FetchConfig(file, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_written_to_is_refused(tmp_path):
    own = config(tmp_path, [["1", "", "http://127.0.0.1:9/a"]])
    with pytest.raises(BadInputError, match=r"--out .*choose a folder"):
        run(replace(own, out=own.csv))
    own.out.mkdir()
    (own.out / "fetched.csv").write_text("something,else\n1,2\n")
    with pytest.raises(BadInputError, match=r"column path, .*choose another --out"):
        run(own)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"csv": "none.csv"}, "--csv none.csv: no such file"),
        ({"max_rate": 0.0}, "--max-rate 0.0"),
        ({"timeout_s": 0.0}, "--timeout-s 0.0"),
        ({"max_per_host": 0}, "--max-per-host 0"),
        ({"transport": "gopher"}, "auto, curl, requests"),
        ({"base_url": "ftp://h"}, "scheme and host only"),
        ({"user_agent": ""}, "--user-agent ''"),
        ({"csv": None}, "--csv is missing"),
    ],
)
def test_bad_flags_are_refused(tmp_path, flags, says):
    file = write_csv(tmp_path / "photos.csv", ["photo_url"], [["http://h/a"]])
    with pytest.raises(BadInputError, match=re.escape(says)):
        from_mapping(FetchConfig, {"csv": str(file), "out": str(tmp_path / "out"), **flags}, "taxaflow data fetch")


def test_the_command_works_without_spark(server, tmp_path):
    own = config(tmp_path, [["1", "", server.add("/a", faults.ok(PICTURE))]])
    code = (
        "import sys, taxaflow; sys.argv[1:] = sys.argv[2:]\n"
        "try: taxaflow.main()\n"
        "finally: print([name for name in ('pyspark', 'py4j', 'torch') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, "-", "data", "fetch", "--csv", str(own.csv), "--out", str(own.out)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "fetch: " in done.stdout
    assert "names no contact" in done.stderr
    assert pictures(own) == {"1.jpg": PICTURE}


def test_bad_input_ends_the_command_with_one_line(tmp_path, monkeypatch, capsys):
    own = config(tmp_path, [["1", "", "http://h/a"]])
    flags = ["--csv", str(own.csv), "--out", str(own.out), "--url-column", "link"]
    monkeypatch.setattr(sys, "argv", ["taxaflow", "data", "fetch", *flags])
    with pytest.raises(SystemExit) as ended:
        taxaflow.main()
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("taxaflow: ") and "column link is missing" in lines[0]


def test_the_help_names_every_flag_and_an_example(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["taxaflow", "data", "fetch", "--help"])
    with contextlib.suppress(SystemExit):
        taxaflow.main()
    shown = capsys.readouterr().out
    assert "taxaflow data fetch --csv" in shown
    for field in fields(FetchConfig):
        assert f"--{field.name.replace('_', '-')}" in shown


@pytest.mark.parametrize("url", ["notaurl", "file:///etc/hostname", "ftp://127.0.0.1/1.jpg", "https://"])
def test_what_cannot_be_asked_for_is_not_asked_for_again(server, tmp_path, url):
    good = server.add("/good", faults.ok(PICTURE))
    own = config(tmp_path, [["1", "a", good], ["2", "b", url]])
    run(own)
    assert [line["fetch_status"] for line in fetched(own)] == ["ok", "no_url"]
    assert run(own).counts["photos_asked_for"] == 0


def test_a_picture_emptied_since_is_fetched_again(server, tmp_path):
    own = config(tmp_path, [["1", "a", server.add("/good", faults.ok(PICTURE))]])
    run(own)
    (own.out / "1.jpg").write_bytes(b"")
    run(own)
    assert (own.out / "1.jpg").read_bytes() == PICTURE
