"""What a download shows: one line on a terminal, plain lines elsewhere, and its state to `status`."""

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spark_jobs import progress
from spark_jobs.progress import DownloadProgress, DownloadState, progress_file, read_state
from tests.conftest import PROJECT

SHOW = """
import sys, time
from pathlib import Path
from spark_jobs.progress import DownloadProgress
with DownloadProgress("birds", 100, Path(sys.argv[1])) as shown:
    for done in range(0, 101, 10):
        shown.show({"ok": done - done // 10, "timeout": done // 10})
        time.sleep(0.1)
"""


def test_a_state_says_speed_success_failures_and_time_left():
    state = DownloadState("birds", 1, 10_000, {"ok": 970, "gone": 20, "timeout": 10}, 450.0, 2.0)
    assert str(state) == "450 photos/s, 97.0 % ok, gone 20, timeout 10, 0:00:20 left"
    assert str(DownloadState("birds", 1, 10, {}, 0.0, 0.0)) == "0 photos/s"


def test_speed_is_that_of_the_last_seconds(tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    shown = DownloadProgress("birds", 10_000, tmp_path / "state")
    with shown:
        for second in range(1, 101):
            now = 1000.0 + second
            shown.show({"ok": 10 * second if second < 50 else 500 + 100 * (second - 50)})
        state = read_state(tmp_path)
        assert state is None, "the state lies where it was told to"
    assert shown._state({"ok": 5500}, now).photos_per_s == pytest.approx(100, rel=0.05)


def test_without_a_terminal_there_are_plain_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_S", 0.05)
    with DownloadProgress("birds", 100, tmp_path / "state") as shown:
        for done in (10, 60):
            time.sleep(0.06)
            shown.show({"ok": done})
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["photos: 10 of 100", "photos: 60 of 100"]
    assert all("100.0 % ok" in line for line in lines)


def test_on_a_terminal_one_line_updates(tmp_path):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", SHOW, str(tmp_path / "state")]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "160"}
    with subprocess.Popen(command, cwd=PROJECT, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            if not data:
                break
            shown += data
    assert process.returncode == 0
    text = shown.decode()
    assert "50/100" in text and "90.0 % ok, timeout 5" in text
    assert text.count("\n") <= 2, "the line is drawn over itself"


def test_status_sees_a_running_download_and_no_dead_one(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(progress, "FILE_S", 0.0)
    file = progress_file(tmp_path)
    with DownloadProgress("birds", 100, file) as shown:
        shown.show({"ok": 7, "gone": 3})
        state = read_state(tmp_path)
        assert state is not None
        assert (state.dataset, state.pid, state.num_done, state.num_photos) == ("birds", os.getpid(), 10, 100)
        old = time.time() - progress.STALE_S - 1
        os.utime(file, (old, old))
        assert read_state(tmp_path) is None
        file.write_text('{"another": "version"}')
        assert read_state(tmp_path) is None
    assert not file.exists()
    assert read_state(tmp_path) is None
