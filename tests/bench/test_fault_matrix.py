"""What counts as right in the fault matrix, how a run is cut short, and a run of two tools over a few kinds."""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import requests

from bench.fault_matrix import Verdict, expected, judge, judge_kind, render, run_tool
from bench.fault_tools import OurTool, Outcome, run_watched, with_options
from bench.process_tree import CommandFailed
from spark_jobs.statuses import Status
from tests.fault_matrix import ENDLESS_BYTES, JPEG, PICTURE, Flood, Kind, Photo, good, make_kinds, mismatch, refused
from tests.fault_server import status
from tests.picture_bodies import HTML, encode

GONE = refused(status(404), Status.GONE)
SMALL = PICTURE[::2, ::2]


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (PICTURE, None),
        (PICTURE.repeat(2, 0).repeat(2, 1), None),
        (SMALL, None),
        (np.rot90(PICTURE), "not upright"),
        (PICTURE[::-1, ::-1], "not upright"),
        (PICTURE[:, ::-1], "wrong colours"),
        (PICTURE[:, :, ::-1], "wrong colours"),
        (PICTURE[:, :200], "wrong colours"),
        (np.full_like(PICTURE, 255), "all white"),
    ],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_picture_is_right_at_any_size_but_upright_and_in_its_colours(shown, words, format):
    assert mismatch(encode(np.ascontiguousarray(shown), "RGB", format), PICTURE) == words


def test_what_is_no_picture_is_called_so():
    assert mismatch(HTML, PICTURE) == "no picture (UnidentifiedImageError)"
    assert mismatch(b"", PICTURE) == "no picture (UnidentifiedImageError)"


@pytest.mark.parametrize(
    ("photo", "outcome", "verdict"),
    [
        (good(JPEG), Outcome(JPEG), Verdict(True, "ok")),
        (good(JPEG), Outcome(None), Verdict(False, "lost")),
        (good(JPEG), Outcome(None, Status.TIMEOUT), Verdict(False, "lost")),
        (good(JPEG), Outcome(HTML), Verdict(False, "stored: no picture (UnidentifiedImageError)")),
        (GONE, Outcome(None), Verdict(True, "refused")),
        (GONE, Outcome(None, Status.GONE), Verdict(True, "gone")),
        (GONE, Outcome(None, Status.FORBIDDEN), Verdict(False, "forbidden")),
        (GONE, Outcome(b""), Verdict(False, "stored: 0 bytes")),
        (GONE, Outcome(bytes(3 << 20)), Verdict(False, "stored: 3 MiB")),
        (GONE, Outcome(None, is_hung=True), Verdict(False, "hung, killed after 90 s")),
        (refused(Flood(ENDLESS_BYTES), Status.TOO_LARGE), Outcome(None), Verdict(False, "256 MiB read")),
        (refused(Flood(1000), Status.TOO_LARGE), Outcome(None), Verdict(True, "refused")),
    ],
)
def test_one_rule_for_all(photo: Photo, outcome: Outcome, verdict: Verdict):
    assert judge(photo, outcome) == verdict


def test_a_kind_is_right_where_all_its_photos_are_and_tells_of_needless_requests():
    kind = Kind("two", (good(JPEG), replace(GONE, num_requests=2)))
    right = [Outcome(JPEG, num_requests=1), Outcome(None, num_requests=2)]
    assert judge_kind(kind, right) == Verdict(True, "ok; refused")
    right[1].num_requests = 3
    assert judge_kind(kind, right) == Verdict(True, "ok; refused (4 requests)")
    assert judge_kind(kind, [right[0], Outcome(HTML)]) == Verdict(False, "ok; stored: 59 bytes")
    assert expected(kind) == "ok, gone"


def test_the_table_counts_what_is_right():
    kinds = [Kind("one", (good(JPEG),)), Kind("other", (GONE,))]
    verdicts = {"a": [Verdict(True, "ok"), Verdict(True, "gone")], "b": [Verdict(False, "lost"), Verdict(True, "gone")]}
    assert render(kinds, verdicts).splitlines() == [
        "| fault | should be | a | b |",
        "| --- | --- | --- | --- |",
        "| one | ok | ok | **lost** |",
        "| other | gone | gone | gone |",
        "| right |  | 2 of 2 | 1 of 2 |",
    ]


def test_options_take_the_place_of_their_namesakes():
    command = with_options(["tool", "--retries=0", "--retries_more=1"], {"retries": 2, "timeout": 10})
    assert command == ["tool", "--retries_more=1", "--retries=2", "--timeout=10"]


def test_a_run_that_does_not_end_is_killed_with_all_it_started(tmp_path):
    child = "import time; time.sleep(60)"
    code = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {child!r}]); print(p.pid, flush=True)"
    started = time.monotonic()
    assert not run_watched([sys.executable, "-c", f"{code}; p.wait()"], {}, tmp_path, limit_s=3)
    assert time.monotonic() - started < 10
    pid = int((tmp_path / "log.txt").read_text())
    time.sleep(0.1)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert run_watched([sys.executable, "-c", ""], {}, tmp_path)
    with pytest.raises(CommandFailed, match=r"ended with 3:\nbad luck"):
        run_watched([sys.executable, "-c", "print('bad luck'); exit(3)"], {}, tmp_path)


class Careless:
    """A downloader that keeps whatever comes with status 200."""

    name = "careless"
    one_kind_per_run = False

    def download(self, urls: Sequence[str], folder: Path) -> list[Outcome]:
        answers = [requests.get(url, timeout=10) for url in urls]
        return [Outcome(answer.content if answer.ok else None) for answer in answers]


def test_tools_are_told_apart(tmp_path):
    wrong = {"500 twice, then the photo", "HTML with status 200", "EXIF orientation 6"}
    right = {"404; 410", "WebP", "redirect to the photo"}
    kinds = [kind for kind in make_kinds() if kind.name in wrong | right]
    ours, careless = (run_tool(tool, kinds, tmp_path) for tool in (OurTool("requests"), Careless()))
    assert all(verdict.is_right for verdict in ours)
    assert {kind.name for kind, verdict in zip(kinds, careless, strict=True) if verdict.is_right} == right
    assert not any("requests" in verdict.words for verdict in (*ours, *careless))
    assert list(tmp_path.iterdir()) == []
