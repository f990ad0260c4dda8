"""The log of a run: a line, a report and a sentence for a step, cut back at a resume."""

import contextlib
import json
import math
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from trainer.record import run_log
from trainer.record.meter import Window
from trainer.record.run_log import RunLog, cut_back
from trainer.record.step_record import StepRecord, split_counts, timing

pytestmark = pytest.mark.torch


RECORD = StepRecord(
    step=20,
    epoch=0.5,
    samples_seen=2560,
    loss=4.125,
    lr=1.8e-3,
    logit_scale=14.3,
    images_per_s=1234.5,
    data_wait_share=0.05,
    data_time_s=0.01,
    batch_time_s=0.2,
    captions={"com": 28, "sci": 100},
    bad_samples={"undecodable_image": 2},
    skipped_steps=1,
)

KEYS = {
    *("step", "epoch", "samples_seen", "loss", "lr", "logit_scale", "images_per_s", "data_wait_share", "mfu"),
    *("peak_memory_mb", "captions", "bad_samples", "skipped_steps"),
}


class Kept:
    """A report that keeps what it gets."""

    def __init__(self) -> None:
        self.scalars: list[tuple[int, dict]] = []
        self.is_closed = False

    def write(self, scalars, step):
        self.scalars.append((step, dict(scalars)))

    def close(self):
        self.is_closed = True


def lines_of(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "train.jsonl"


def test_a_step_is_a_line_a_report_and_a_sentence(file, capsys):
    report = Kept()
    with RunLog(file, [report], total_steps=226, num_ranks=2) as log:
        log.step(RECORD)
        [line] = lines_of(file)  # before it is closed
    assert line.keys() >= KEYS
    assert (line["step"], line["loss"], line["captions"], line["mfu"]) == (20, 4.125, {"com": 28, "sci": 100}, None)
    [(step, scalars)] = report.scalars
    assert step == 20
    published = {"loss": 4.125, "lr": 1.8e-3, "scale": 14.3, "samples_per_second": 1234.5, "data_time": 0.01}
    published |= {"samples_per_second_per_gpu": 617.25, "batch_time": 0.2}
    assert {f"train/{name}": value for name, value in published.items()}.items() <= scalars.items()
    assert scalars["train/bad_samples/undecodable_image"] == 2
    assert "train/mfu" not in scalars
    assert report.is_closed
    assert capsys.readouterr().err == (
        "step 20 of 226, epoch 0.50, loss 4.1250, lr 1.80e-03, scale 14.30, 1,234 images/s, 2 undecodable_image, "
        "1 steps skipped, 5 % data wait: compute-bound\n"
    )


@pytest.mark.parametrize(("share", "verdict"), [(0.0, "compute-bound"), (0.2, "compute-bound"), (0.21, "data-bound")])
def test_the_verdict_goes_by_the_wait_for_data(share, verdict):
    record = replace(RECORD, data_wait_share=share, mfu=0.412, peak_memory_mb=2048.0)
    assert record.text(226).endswith(f" % data wait: {verdict}")
    assert "MFU 41.2 %, 2.0 GiB" in record.text(226)


def test_lines_are_json_whatever_the_numbers(file):
    with RunLog(file, [], 10, 1) as log:
        log.step(replace(RECORD, loss=math.nan, grad_norm=math.inf))
        log.step(replace(RECORD, loss=None))
        log.evaluation(20, {"top1": math.nan})
    assert [line.get("loss", 0) for line in lines_of(file)] == [None, None, 0]
    assert "NaN" not in file.read_text()


def test_events_and_evaluations_have_their_step(file, capsys):
    report = Kept()
    with RunLog(file, [report], 10, 1) as log:
        log.event("checkpoint", 5, path="checkpoints/step_000005")
        log.evaluation(5, {"imagenet-zeroshot-val-top1": 0.25})
    assert lines_of(file) == [
        {"event": "checkpoint", "step": 5, "path": "checkpoints/step_000005"},
        {"event": "evaluation", "step": 5, "imagenet-zeroshot-val-top1": 0.25},
    ]
    assert report.scalars == [(5, {"val/imagenet-zeroshot-val-top1": 0.25})]
    assert "imagenet-zeroshot-val-top1 0.25" in capsys.readouterr().err


@pytest.mark.parametrize("torn", [b"", b'{"step": 3', b'{"step": 3}', b"\xff\n", b"[]\n", b'{"no_step": 1}\n'])
@pytest.mark.parametrize("step", range(7))
def test_a_resumed_log_is_cut_back_and_says_so(file, step, torn):
    with RunLog(file, [], 10, 1) as log:
        for i in range(1, 6):
            log.step(replace(RECORD, step=i))
            log.event("checkpoint", i)
    before = lines_of(file)
    with file.open("ab") as stream:
        stream.write(torn)
    with RunLog(file, [], 10, 1, resume_step=step) as log:
        log.step(replace(RECORD, step=step + 1))
    kept = [line for line in before if line["step"] <= step]
    assert lines_of(file)[: len(kept) + 1] == [*kept, {"event": "resume", "step": step}]
    assert [line["step"] for line in lines_of(file)[len(kept) + 1 :]] == [step + 1]
    assert [path.name for path in file.parent.iterdir()] == ["train.jsonl"]


def test_a_second_resume_at_the_same_step_changes_nothing_but_its_event(file):
    for resume_step in (None, 3, 3):
        RunLog(file, [], 10, 1, resume_step).close()
    assert lines_of(file) == [{"event": "resume", "step": 3}] * 2
    cut_back(file.with_name("missing.jsonl"), 3)
    assert not file.with_name("missing.jsonl").exists()


def test_each_line_is_one_write(file, monkeypatch):
    writes = []
    real = os.write
    log = RunLog(file, [], 10, 1)
    monkeypatch.setattr(run_log.os, "write", lambda handle, data: writes.append(data) or real(handle, data))
    log.step(RECORD)
    log.event("evaluation", 20, top1=0.5)
    log.close()
    assert b"".join(writes) == file.read_bytes()
    assert [write.count(b"\n") for write in writes] == [1, 1]


FULL = """
import resource, sys
from pathlib import Path
from taxonomy.errors import WorkFailedError
from trainer.record.run_log import RunLog
file = Path(sys.argv[1])
log = RunLog(file, [], 10, 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
for step in range(100):
    try:
        log.event("x", step)
    except WorkFailedError as error:
        sys.exit(str(error))
"""


def test_a_log_that_cannot_be_written_fails_with_one_line(file):
    ended = subprocess.run([sys.executable, "-c", FULL, str(file)], cwd=PROJECT, capture_output=True, text=True)
    assert ended.stderr == f"{file} could not be written: File too large\n"
    cut_back(file, 100)
    assert [line["step"] for line in lines_of(file)] == [0, 1, 2]


def test_a_terminal_gets_a_bar_below_the_lines(file):
    leader, follower = pty.openpty()
    code = """
import sys
from pathlib import Path
from tests.trainer.record.test_run_log import RECORD
from trainer.record.run_log import RunLog
with RunLog(Path(sys.argv[1]), [], 226, 1) as log:
    log.step(RECORD)
    log.progress(21)
"""
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "200"}
    subprocess.run([sys.executable, "-c", code, str(file)], cwd=PROJECT, stderr=follower, env=environment, check=True)
    os.close(follower)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(leader, 4096):
            shown += part
    os.close(leader)
    assert b"21/226" in shown
    assert b"\x1b[" in shown
    assert b"images/s, 2 undecodable_image, 1 steps skipped, 5 % data wait: compute-bound" in shown


def test_without_a_terminal_there_is_no_bar(file, capsys):
    with RunLog(file, [], 226, 1) as log:
        log.progress(3)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_times_are_of_all_ranks_and_per_step():
    window = Window(4, 256, 1.0, {}, wall_s=8.0, wait_s=2.0, timed_steps=4, timed_samples=256)
    assert timing(window, num_ranks=2) == {
        "images_per_s": 64.0,
        "data_wait_share": 0.25,
        "data_time_s": 0.5,
        "batch_time_s": 2.0,
    }
    assert timing(replace(window, timed_steps=0, wall_s=0.0, wait_s=0.0), 2)["batch_time_s"] == 0.0


def test_counts_are_split_by_what_they_count():
    counts = {"bad/no_caption": 1.0, "caption/sci": 5.0, "caption/com": 2.0}
    assert split_counts(counts) == {"captions": {"com": 2, "sci": 5}, "bad_samples": {"no_caption": 1}}
