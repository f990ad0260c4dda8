"""A run that was stopped, in whatever way, goes on and ends with the same bytes as one that was not."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inference.embed.config import load
from taxonomy.errors import WorkFailedError
from tests.conftest import PROJECT
from tests.inference.embed.small_runs import CPU, embed, ended, files
from tests.inference.small_world import write_photos
from tests.small_disk import small_disk
from tests.trainer.small_dataset import write_dataset

pytestmark = pytest.mark.torch

PHOTOS = "photos --model local-dir:small"
SHARDS = "--model local-dir:small --shards data/manifest.json --split train"
FORMATS = pytest.mark.parametrize("format_", ["parquet", "npy"])


def lose_a_shard(line: str, out: str) -> None:
    """A run on shards of 10, 10 and 4 photos, the second of which vanishes meanwhile; it is back afterwards."""
    from inference.embed.run import run_embed

    config = load([*CPU, *line.split(), "--out", out])
    inputs = config.open()
    second = sorted(Path("data/train").glob("*.tar"))[1]
    second.rename("lost.tar")
    with pytest.raises(WorkFailedError, match="put the shard back and run the same command again"):
        run_embed(config, inputs)
    Path("lost.tar").rename(second)


def parts_of(out: str, format_: str) -> Path:
    return Path(out) / ("embeddings" if format_ == "parquet" else ".parts")


@FORMATS
def test_a_lost_shard_costs_what_comes_after_it_alone(folder, format_):
    write_dataset(Path("data"), [10, 10, 4])
    line = f"{SHARDS} --format {format_}"
    embed(line, "--out", "undisturbed")
    lose_a_shard(line, "out")
    (done,) = parts_of("out", format_).iterdir()
    made_at = done.stat().st_mtime_ns
    embed(line, "--out", "out")
    if format_ == "parquet":
        assert done.stat().st_mtime_ns == made_at
    assert files(Path("out")) == files(Path("undisturbed"))


@pytest.mark.parametrize(("format_", "lost"), [("npy", ()), ("parquet", (0,)), ("parquet", (1, 2)), ("npy", (0, 1, 2))])
def test_parts_that_are_missing_or_damaged_are_made_again(folder, capsys, format_, lost):
    write_dataset(Path("data"), [10, 10, 4])
    line = f"{SHARDS} --format {format_}"
    embed(line, "--out", "undisturbed")
    lose_a_shard(line, "out")
    Path("out/failures.csv").mkdir()  # so that the end of the run fails
    code, last = ended(lambda: embed(line, "--out", "out"), capsys)
    assert (code, last) == (1, "taxaflow: cannot write out/failures.csv: Is a directory")
    Path("out/failures.csv").rmdir()
    for number in lost:
        path = parts_of("out", format_) / f"part-{number:05d}.parquet"
        path.write_bytes(b"damaged") if number % 2 else path.unlink()
    embed(line, "--out", "out")
    assert files(Path("out")) == files(Path("undisturbed"))


@FORMATS
def test_results_of_a_finished_run_that_are_gone_are_made_again(folder, format_):
    embed(f"{PHOTOS} --format {format_}", "--out", "out")
    before = files(Path("out"))
    for name in before:
        if "embeddings" in name:
            Path("out", name).unlink()
    embed(f"{PHOTOS} --format {format_}", "--out", "out")
    assert files(Path("out")) == before


@FORMATS
def test_a_finished_run_without_its_failures_or_with_half_an_array_is_made_whole(folder, format_):
    embed(f"{PHOTOS} --format {format_}", "--out", "out")
    before = files(Path("out"))
    Path("out/failures.csv").unlink()
    embed(f"{PHOTOS} --format {format_}", "--out", "out")
    assert files(Path("out")) == before
    if format_ == "npy":
        for damaged in (before["embeddings.npy"][:-1], b"", b"PK\x03\x04"):
            Path("out/embeddings.npy").write_bytes(damaged)
            embed(f"{PHOTOS} --format {format_}", "--out", "out")
            assert files(Path("out")) == before


@pytest.mark.parametrize(("format_", "room"), [("npy", 8_000), ("parquet", 16_000), ("npy", 24_000)])
def test_a_full_disk_ends_a_run_that_goes_on_when_there_is_room(folder, capsys, format_, room):
    line = f"{PHOTOS} --format {format_}"
    embed(line, "--out", "undisturbed")
    with small_disk(folder / "disk", "128k") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * (128 * 1024 - room))
        code, last = ended(lambda: embed(line, "--out", "disk/out"), capsys)
        assert code == 1
        assert "No space left on device" in last
        assert not list((disk / "out").rglob("*.tmp"))
        ballast.unlink()
        embed(line, "--out", "disk/out")
        assert files(disk / "out") == files(Path("undisturbed"))


@pytest.mark.process
@pytest.mark.parametrize(("format_", "end_by"), [("parquet", signal.SIGKILL), ("npy", signal.SIGINT)])
def test_a_killed_run_goes_on(folder, format_, end_by):
    write_photos(Path("many"), range(100, 900))
    line = f"many --model local-dir:small --format {format_}"
    embed(line, "--out", "undisturbed")
    command = [sys.executable, "-m", "taxaflow", "embed", *CPU, *line.split(), "--workers", "2", "--out", "out"]
    environment = {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        while not any(parts_of("out", format_).glob("part-*")) and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(end_by)
        errors = process.communicate()[1].decode()
    assert process.returncode == (130 if end_by == signal.SIGINT else -end_by), errors
    num_done = len(list(parts_of("out", format_).glob("part-*")))
    assert 0 < num_done < 100
    if end_by == signal.SIGINT:
        assert errors.splitlines()[-1] == "taxaflow: interrupted; run the same command again to go on"
    embed(line, "--out", "out")
    assert files(Path("out")) == files(Path("undisturbed"))
