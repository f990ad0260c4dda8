"""Pictures of a benchmark encoded: unreadable ones counted, others kept in the cache or made anew."""

import errno
import io
import json
import os
import pickle
import weakref
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.multiprocessing import start_processes  # pyright: ignore[reportPrivateImportUsage]

import evaluation.encoding.encode_pictures as encode_pictures
import evaluation.encoding.picture_progress as module
from evaluation.benchmarks.benchmark import Rows
from evaluation.distributed import Share
from evaluation.encoding.encode import encode_image, to_input
from evaluation.encoding.encode_pictures import EncodeOptions, image_features
from evaluation.encoding.encoder import OpenClipEncoder
from evaluation.encoding.features import Features
from evaluation.encoding.picture_batches import Source, picture_batches
from evaluation.encoding.pictures import eval_picture
from evaluation.encoding.preprocess import Preprocess
from evaluation.loading.facts import ModelFacts
from evaluation.model import ModelRequest, build_model, get_tokenizer
from evaluation.scoring.guess import guess
from taxonomy.errors import WorkFailedError
from tests.evaluation.encoding.ranks_in_turn import of_two_ranks
from tests.evaluation.small_models import SMALL

pytestmark = pytest.mark.torch

NUM, MISSING, BROKEN = 24, (3, 10), {5: "cut", 6: "empty", 13: "text", 20: "refused"}

PIXELS = Preprocess(8, "bicubic", "shortest", (0, 0, 0), (1, 1, 1))


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class Failing:
    """Reads a picture, which fails as the system says."""

    errno: int

    def __call__(self) -> bytes:
        raise OSError(self.errno, os.strerror(self.errno))


def rows_below(folder: Path) -> Rows:
    """Files of 24 rows: two missing (one was there when rows were matched), four that cannot be read."""
    sources: list[Source | None] = []
    for number in range(NUM):
        path = folder / f"{number}.png"
        whole = picture(number)
        match BROKEN.get(number):
            case "cut":
                path.write_bytes(whole[:-300])
            case "empty":
                path.touch()
            case "text":
                path.write_text("<html>not found</html>")
            case "refused":
                sources.append(Failing(errno.EACCES))
                continue
            case _ if number not in MISSING:
                path.write_bytes(whole)
        sources.append(None if number == MISSING[0] else path)
    return Rows([f"some/{number}.png" for number in range(NUM)], sources, {})


@dataclass
class CountingEncoder:
    """The mean colour, as a unit row; counts its pictures."""

    preprocess: Preprocess = PIXELS
    hash: str = "ab"
    variant: str = ""
    num_pictures: int = 0

    def encode_images(self, image_NHWC: torch.Tensor) -> torch.Tensor:
        self.num_pictures += len(image_NHWC)
        return torch.nn.functional.normalize(image_NHWC.double().mean((1, 2)), dim=1).float()

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        return torch.zeros(len(texts), 3)


def same(one: Features, other: Features) -> bool:
    lists = (one.missing, one.unreadable) == (other.missing, other.unreadable)
    return lists and one.image_ND.tobytes() == other.image_ND.tobytes() and np.array_equal(one.row_N, other.row_N)


def test_rows_without_a_readable_file_are_counted_named_and_left_out(tmp_path):
    rows = rows_below(tmp_path)
    made = image_features(rows, CountingEncoder())
    assert made.missing == list(MISSING)
    left = [number for number in range(NUM) if number not in MISSING and number not in BROKEN]
    assert made.row_N.tolist() == left and made.image_ND.dtype == np.float32
    assert [row for row, _ in made.unreadable] == sorted(BROKEN)
    reasons = dict(made.unreadable)
    assert reasons[6] == "empty file" and "format" in reasons[13] and all(reasons.values())
    assert not any("0x" in reason or str(tmp_path) in reason for reason in reasons.values()), (
        "the same on every machine"
    )
    pixels = np.stack([eval_picture(picture(number), 8) for number in left])
    assert np.array_equal(made.image_ND, CountingEncoder().encode_images(torch.from_numpy(pixels)).numpy())


def test_the_other_pictures_stay_as_they_are(tmp_path):
    rows = rows_below(tmp_path)
    made = image_features(rows, CountingEncoder(), EncodeOptions(batch_size=3))
    whole = replace(rows, sources=[Bytes(number) for number in range(NUM)])
    expected = image_features(whole, CountingEncoder())
    assert np.array_equal(made.image_ND, expected.image_ND[made.row_N]) and not expected.unreadable


@dataclass(frozen=True)
class Bytes:
    """Reads a drawn picture, as from a shard."""

    number: int

    def __call__(self) -> bytes:
        return picture(self.number)


def test_nothing_readable_and_nothing_at_all(tmp_path):
    (tmp_path / "a.png").touch()
    made = image_features(Rows(["a", "b"], [tmp_path / "a.png", None], {}), CountingEncoder())
    assert made.image_ND.shape == (0, 3) and made.missing == [1] and [row for row, _ in made.unreadable] == [0]
    none = image_features(Rows([], [], {}), CountingEncoder())
    assert none.image_ND.shape == (0, 3) and len(none.row_N) == 0


def test_a_second_run_reads_the_same_bytes_and_no_picture(tmp_path):
    rows, options = rows_below(tmp_path), EncodeOptions(cache_dir=tmp_path / "cache")
    first = image_features(rows, CountingEncoder(), options)
    again = CountingEncoder()
    assert same(image_features(rows, again, options), first) and again.num_pictures == 0
    assert same(image_features(rows, CountingEncoder()), first)
    names = sorted(path.suffix for path in (tmp_path / "cache/features").iterdir())
    assert names == [".json", ".npy"]


def encoded_anew(rows: Rows, options: EncodeOptions, **encoder) -> bool:
    counting = CountingEncoder(**encoder)
    image_features(rows, counting, options)
    return counting.num_pictures > 0


def test_a_changed_file_model_or_preprocessing_is_encoded_anew(tmp_path):
    rows, options = rows_below(tmp_path), EncodeOptions(cache_dir=tmp_path / "cache")
    assert encoded_anew(rows, options) and not encoded_anew(rows, options)
    assert not encoded_anew(rows, replace(options, batch_size=2))
    bilinear = replace(CountingEncoder().preprocess, interpolation="bilinear")
    for change in ({"hash": "cd"}, {"variant": "quickgelu fp32"}, {"preprocess": bilinear}):
        assert encoded_anew(rows, options, **change) and not encoded_anew(rows, options, **change)
    os.utime(tmp_path / "0.png", ns=(1, 1))
    assert encoded_anew(rows, options)
    assert encoded_anew(replace(rows, keys=["other", *rows.keys[1:]]), options)
    readers = replace(rows, sources=[Bytes(number) for number in range(NUM)])
    assert encoded_anew(readers, options) and not encoded_anew(readers, options)
    assert encoded_anew(replace(readers, sources=[Bytes(number + 1) for number in range(NUM)]), options)


@dataclass(frozen=True)
class Member:
    """As a picture in a tar."""

    path: Path
    offset: int

    def __call__(self) -> bytes:
        assert self.path.read_bytes()
        return picture(self.offset)


def test_pictures_in_a_tar_stand_by_the_tar_and_their_place(tmp_path):
    options = EncodeOptions(cache_dir=tmp_path / "cache")
    tar = tmp_path / "a.tar"
    tar.write_bytes(b"1")
    rows = Rows(["a", "b"], [Member(tar, 1), Member(tar, 2)], {})
    assert encoded_anew(rows, options) and not encoded_anew(rows, options)
    assert encoded_anew(replace(rows, sources=[Member(tar, 1), Member(tar, 3)]), options)
    tar.write_bytes(b"12")
    assert encoded_anew(rows, options)


def test_a_damaged_cache_is_made_anew_not_believed(tmp_path, caplog):
    rows, options = rows_below(tmp_path), EncodeOptions(cache_dir=tmp_path / "cache")
    first = image_features(rows, CountingEncoder(), options)
    embeddings, facts = (next((tmp_path / "cache").rglob(pattern)) for pattern in ("*.npy", "*.json"))
    content, stored = embeddings.read_bytes(), json.loads(facts.read_bytes())
    flipped = bytearray(content)
    flipped[-5] ^= 1
    moved = stored | {"unreadable": [[number + 1, reason] for number, reason in stored["unreadable"]]}
    archive = io.BytesIO()
    np.savez(archive, first.image_ND)
    damages = [(embeddings, bytes(flipped)), (embeddings, content[:-8]), (embeddings, b"")]
    damages += [(embeddings, archive.getvalue())]
    damages += [(facts, json.dumps(moved).encode()), (facts, b"{"), (facts, b"[]"), (facts, facts.read_bytes()[:40])]
    for path, damaged in damages:
        path.write_bytes(damaged)
        caplog.clear()
        encoder = CountingEncoder()
        assert same(image_features(rows, encoder, options), first)
        assert encoder.num_pictures > 0 and "again" in caplog.text
        assert embeddings.read_bytes() == content
    facts.unlink()
    assert encoded_anew(rows, options) and not encoded_anew(rows, options)


def test_a_cache_that_cannot_be_written_costs_a_warning(tmp_path, caplog):
    (tmp_path / "cache").write_text("a file")
    made = image_features(rows_below(tmp_path), CountingEncoder(), EncodeOptions(cache_dir=tmp_path / "cache"))
    assert len(made.row_N) == 18 and "cannot write" in caplog.text


@dataclass(frozen=True)
class Lost:
    """A reader whose shard is gone."""

    def __call__(self) -> bytes:
        raise WorkFailedError("x.tar: gone")


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_lost_shard_ends_the_run_in_one_line(num_workers):
    with pytest.raises(WorkFailedError) as caught:
        image_features(Rows(["a"], [Lost()], {}), CountingEncoder(), EncodeOptions(num_workers=num_workers))
    assert str(caught.value) == "x.tar: gone"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ESTALE, errno.EIO])
def test_an_error_that_may_pass_ends_the_run_and_is_not_kept(tmp_path, monkeypatch, number):
    rows, options = rows_below(tmp_path), EncodeOptions(cache_dir=tmp_path / "cache")
    read = Path.read_bytes

    def failing(path: Path) -> bytes:
        return Failing(number)() if path.name == "7.png" else read(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        with pytest.raises(WorkFailedError, match=rf"7\.png: {os.strerror(number)}; run again"):
            image_features(rows, CountingEncoder(), options)
    made = image_features(rows, CountingEncoder(), options)
    assert 7 in made.row_N and [row for row, _ in made.unreadable] == sorted(BROKEN)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.EISDIR, errno.ENOTDIR])
def test_a_file_that_cannot_be_opened_is_unreadable(number):
    made = image_features(Rows(["a"], [Failing(number)], {}), CountingEncoder())
    assert made.unreadable == [(0, os.strerror(number))]


def clip_encoder() -> tuple[OpenClipEncoder, ModelFacts]:
    torch.manual_seed(8)
    model, facts = build_model(ModelRequest("small", model_config=SMALL))
    return OpenClipEncoder(model.eval(), facts, get_tokenizer(facts), torch.device("cpu")), facts


def assert_same_numbers(made: Features, expected: Features) -> None:
    """Embeddings within 1e-5; guesses equal but for near ties."""
    assert (made.missing, made.unreadable) == (expected.missing, expected.unreadable)
    assert np.array_equal(made.row_N, expected.row_N)
    assert np.abs(made.image_ND - expected.image_ND).max() < 1e-5
    class_CD = np.random.default_rng(0).standard_normal((40, made.image_ND.shape[1])).astype(np.float32)
    class_CD /= np.linalg.norm(class_CD, axis=1, keepdims=True)
    one, two = (guess(of, class_CD, np.zeros(NUM, np.int64), 100.0)[0] for of in (made, expected))
    is_other = one.guess_NK[:, 0] != two.guess_NK[:, 0]
    assert is_other.sum() <= max(one.num_near_ties, two.num_near_ties)


def test_batches_workers_and_ranks_give_the_same_numbers(tmp_path):
    rows, (encoder, facts) = rows_below(tmp_path), clip_encoder()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    whole = image_features(rows, encoder, EncodeOptions(batch_size=64))
    pixels = torch.from_numpy(np.stack([eval_picture(picture(int(row)), 16) for row in whole.row_N]))
    assert (
        np.abs(whole.image_ND - encode_image(encoder.model, to_input(pixels, facts, "cpu")).detach().numpy()).max()
        < 1e-6
    )
    for options in (EncodeOptions(batch_size=1), EncodeOptions(batch_size=5, num_workers=2)):
        assert_same_numbers(image_features(rows, encoder, options), whole)
    cached = EncodeOptions(batch_size=5, cache_dir=tmp_path / "cache")
    for num_encoded in (18, 0):
        first, second = of_two_ranks(lambda share: image_features(rows, encoder, cached, share))
        assert same(first, second), num_encoded
        assert_same_numbers(first, whole)
    assert torch.equal(torch.get_rng_state(), before), "no random number of the caller was drawn"


def test_ranks_share_the_pictures_and_a_cache_that_one_of_them_lacks_is_no_cache(tmp_path):
    rows = rows_below(tmp_path)
    caches = [EncodeOptions(cache_dir=tmp_path / name) for name in ("own", "other")]
    image_features(rows, CountingEncoder(), caches[0])
    encoders = [CountingEncoder(), CountingEncoder()]
    one, two = of_two_ranks(lambda share: image_features(rows, encoders[share.rank], caches[share.rank], share))
    assert same(one, two) and same(one, image_features(rows, CountingEncoder()))
    assert sum(encoder.num_pictures for encoder in encoders) == 18 and min(one.num_pictures for one in encoders) >= 6
    lonely = replace(rows, keys=rows.keys[:1], sources=rows.sources[:1])
    one, two = of_two_ranks(lambda share: image_features(lonely, CountingEncoder(), None, share))
    assert same(one, two) and one.row_N.tolist() == [0]


def be_a_rank(rank: int, folder: Path, rows: Rows, encoder: OpenClipEncoder) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    num_sums = 0

    def sum_over_ranks(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal num_sums
        num_sums += 1
        total = tensor.clone()
        torch.distributed.all_reduce(total)
        return total

    options = EncodeOptions(batch_size=5, num_workers=rank)
    made = image_features(rows, encoder, options, Share(rank, 2, sum_over_ranks))
    (folder / f"rank{rank}").write_bytes(pickle.dumps((made, num_sums)))
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_numbers_of_one(tmp_path):
    (tmp_path / "pictures").mkdir()
    rows, (encoder, _) = rows_below(tmp_path / "pictures"), clip_encoder()
    # forked, as the loader's workers are: new processes would import torch first
    start_processes(be_a_rank, (tmp_path, rows, encoder), nprocs=2, start_method="fork")
    (one, sums), (two, others) = (pickle.loads((tmp_path / f"rank{rank}").read_bytes()) for rank in (0, 1))
    assert same(one, two) and sums == others == 4
    assert_same_numbers(one, image_features(rows, encoder))


def test_the_bar_counts_every_picture_and_is_silent_elsewhere(tmp_path, monkeypatch, capsys):
    rows = rows_below(tmp_path)
    image_features(rows, CountingEncoder())
    assert capsys.readouterr() == ("", "")
    counts = []
    monkeypatch.setattr(module, "picture_bar", lambda title, total: Bar(counts, title, total))
    image_features(rows, CountingEncoder(), EncodeOptions(batch_size=4), progress="birds")
    assert counts[0] == ("birds", 22) and sum(counts[1:]) == 22


@dataclass
class Bar:
    counts: list
    title: str | None
    total: int

    def __enter__(self):
        self.counts.append((self.title, self.total))
        return self.counts.append

    def __exit__(self, *error):
        return False


def test_one_batch_of_pixels_is_in_memory_at_a_time(tmp_path, monkeypatch):
    alive = []

    def watched(*settings):
        for batch in picture_batches(*settings):
            alive.append(weakref.ref(batch))
            yield batch
            del batch
            assert sum(one() is not None for one in alive) <= 1

    monkeypatch.setattr(encode_pictures, "picture_batches", watched)
    image_features(rows_below(tmp_path), CountingEncoder(), EncodeOptions(batch_size=4))
    assert len(alive) == 6
