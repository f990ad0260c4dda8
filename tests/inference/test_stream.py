"""Pictures become embeddings in their order: the same whatever the batches and workers, in bounded memory."""

import errno
import io
import itertools
import os
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

import evaluation.encoding.picture_progress as progress
from evaluation.benchmarks.benchmark import Rows
from evaluation.encoding.encode_pictures import image_features
from evaluation.encoding.encoder import OpenClipEncoder
from evaluation.model import ModelRequest
from evaluation.open_encoder import open_encoder
from inference.inputs.picture import Picture
from inference.stream import NOT_FINITE, embedded
from taxonomy.errors import WorkFailedError
from tests.inference.small_world import write_model, write_photos

pytestmark = pytest.mark.torch

NUM = 13
BAD = {2: "empty file", 3: "No such file or directory", 7: "gone", 12: "not a picture of a known format"}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Several threads wait for each other: slow beside other work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> OpenClipEncoder:
    name = write_model(tmp_path_factory.mktemp("model") / "small")
    return open_encoder(ModelRequest(name, None), torch.device("cpu"))


@dataclass(frozen=True)
class Reader:
    path: Path

    def __call__(self) -> bytes:
        return self.path.read_bytes()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Picture]:
    """Files and readers in turn, four of which cannot be used."""
    folder = write_photos(tmp_path_factory.mktemp("photos"), range(NUM))
    (folder / "002.png").write_bytes(b"")
    (folder / "003.png").unlink()
    (folder / "012.png").write_bytes(b"x")
    paths = [folder / f"{number:03d}.png" for number in range(NUM)]
    made = [Picture(f"key {number}", Reader(path) if number % 2 else path) for number, path in enumerate(paths)]
    made[7] = Picture("key 7", None, "gone")
    return made


def together(batches) -> tuple[list[str], dict[int, np.ndarray], dict[int, str]]:
    keys, rows, reasons = [], {}, {}
    for batch in batches:
        assert batch.image_ND.dtype == np.float32
        assert len(batch.image_ND) == len(batch.index_N)
        assert sorted([*batch.index_N, *(number for number, _ in batch.failures)]) == list(range(len(batch.keys)))
        rows |= {len(keys) + number: row for number, row in zip(batch.index_N, batch.image_ND, strict=True)}
        reasons |= {len(keys) + number: reason for number, reason in batch.failures}
        keys += batch.keys
    return keys, rows, reasons


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_every_picture_is_embedded_or_has_a_reason(pictures, encoder, batch_size, num_workers):
    keys, rows, reasons = together(embedded(pictures, encoder, batch_size, num_workers))
    assert keys == [f"key {number}" for number in range(NUM)]
    assert reasons == BAD
    assert rows.keys() == set(range(NUM)) - BAD.keys()
    expected = together(embedded(pictures, encoder, 5))[1]
    for number, row in rows.items():
        assert np.linalg.norm(row) == pytest.approx(1, abs=1e-6)
        np.testing.assert_allclose(row, expected[number], atol=1e-5)


def test_workers_change_no_byte(pictures, encoder):
    one, other = (together(embedded(pictures, encoder, 4, workers))[1] for workers in (0, 2))
    assert {number: row.tobytes() for number, row in one.items()} == {n: row.tobytes() for n, row in other.items()}


def test_the_pixels_are_those_of_evaluation(pictures, encoder):
    rows = Rows(keys=[one.key for one in pictures], sources=[one.source for one in pictures], labels={})
    features = image_features(rows, encoder, progress=None)
    found = together(embedded(pictures, encoder, 64))[1]
    assert list(found) == features.row_N.tolist()
    np.testing.assert_allclose(np.stack(list(found.values())), features.image_ND, atol=1e-6)


def test_no_pictures_are_no_batches(encoder):
    assert list(embedded([], encoder)) == []


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_endless_list_is_taken_a_few_batches_ahead(pictures, encoder, num_workers):
    taken = itertools.count()

    def endless():
        for picture in itertools.cycle(pictures[:2]):
            next(taken)
            yield picture

    batches = embedded(endless(), encoder, 2, num_workers)
    for _ in range(5):
        next(batches)
    batches.close()
    assert next(taken) <= 2 * (5 + 2 * max(num_workers, 1) + 1)
    assert not [one for one in threading.enumerate() if one.name.startswith("decode")]


@dataclass(frozen=True)
class Noted:
    """Says which picture is read."""

    number: int
    path: Path
    events: list

    def __call__(self) -> bytes:
        self.events.append(self.number)
        return self.path.read_bytes()


@pytest.mark.parametrize("num_workers", [0, None])
def test_on_the_cpu_nothing_is_decoded_while_the_model_works(pictures, encoder, monkeypatch, num_workers):
    events, encode = [], OpenClipEncoder.encode_images

    def noted(self, image_NHWC):
        events.append("begin")
        time.sleep(0.05)
        events.append("end")
        return encode(self, image_NHWC)

    monkeypatch.setattr(OpenClipEncoder, "encode_images", noted)
    torch.set_num_threads(2)
    path = pictures[0].source
    list(embedded([Picture("", Noted(number, path, events)) for number in range(5)], encoder, 2, num_workers))
    torch.set_num_threads(1)
    assert [event if isinstance(event, str) else event // 2 for event in events] == [
        *(0, 0, "begin", "end", 1, 1, "begin", "end", 2, "begin", "end")
    ]


def test_on_another_device_the_next_batch_is_decoded_meanwhile(pictures, encoder, monkeypatch):
    other, events, sizes = replace(encoder, device=torch.device("xpu")), [], []

    def waiting(self, image_NHWC):
        sizes.append(len(image_NHWC))
        until = time.monotonic() + 30
        while len(events) < min(20, 8 * (len(sizes) + 1)):
            assert time.monotonic() < until, "the next batch does not come before this one is done"
            time.sleep(0.001)
        return encoder.encode_images(image_NHWC)

    other_class = type("Other", (OpenClipEncoder,), {"encode_images": waiting})
    other.__class__ = other_class
    path = pictures[0].source
    made = list(embedded([Picture("", Noted(number, path, events)) for number in range(20)], other, 8, 0))
    assert sizes == [8, 8, 4]
    assert sum(len(batch.index_N) for batch in made) == 20
    assert not [one for one in threading.enumerate() if one.name.startswith("decode")]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_list_that_breaks_off_ends_with_its_error(pictures, encoder, num_workers):
    def broken():
        yield from pictures[:2]
        raise WorkFailedError("shard lost")

    with pytest.raises(WorkFailedError, match="shard lost"):
        list(embedded(broken(), encoder, 2, num_workers))


@dataclass(frozen=True)
class Failing:
    errno: int

    def __call__(self) -> bytes:
        raise OSError(self.errno, os.strerror(self.errno))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_error_that_may_pass_stops_and_leaves_no_picture_out(encoder, num_workers):
    pictures = [Picture("a", Failing(errno.EACCES)), Picture("b", Failing(errno.EMFILE))]
    assert together(embedded(pictures[:1], encoder, 2, num_workers))[2] == {0: "Permission denied"}
    with pytest.raises(WorkFailedError, match="Too many open files"):
        list(embedded(pictures, encoder, 2, num_workers))


def test_numbers_that_are_none_are_failures(pictures, encoder, monkeypatch):
    def spoilt(self, image_NHWC):
        image_ND = torch.ones(len(image_NHWC), 4) / 2
        image_ND[1, 2] = torch.nan
        return image_ND

    monkeypatch.setattr(OpenClipEncoder, "encode_images", spoilt)
    (batch,) = embedded(pictures[:6], encoder, 6)
    assert batch.failures == [(1, NOT_FINITE), (2, BAD[2]), (3, BAD[3])]
    assert batch.index_N == [0, 4, 5]
    assert batch.image_ND.tolist() == [[0.5] * 4] * 3


def test_the_bar_counts_every_picture(pictures, encoder, monkeypatch):
    shown = []

    class Bar:
        def __enter__(self):
            return shown.append

        def __exit__(self, *_):
            shown.append("closed")

    def bar(title, total):
        shown.append((title, total))
        return Bar()

    monkeypatch.setattr("inference.stream.picture_bar", bar)
    list(embedded(pictures, encoder, 5, title="embedding", total=NUM))
    assert shown == [("embedding", NUM), 5, 5, 3, "closed"]
    assert progress.picture_bar is not bar


def test_a_title_is_shown_as_it_is(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stderr", Terminal())
    with progress.picture_bar("embedding [/photos] {x}", None) as advance:
        advance(1)
    assert "embedding [/photos] {x}" in sys.stderr.getvalue()  # type: ignore[attr-defined]
