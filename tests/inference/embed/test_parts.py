"""Batches become parts of one size, and a part file gives back what was put into it or is known to be damaged."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from inference.embed.out_folder import About
from inference.embed.parts import Parts, in_parts
from inference.stream import EmbeddedBatch
from taxonomy.errors import WorkFailedError
from tests.small_disk import small_disk

pytestmark = pytest.mark.torch

DIM = 3
ABOUT = About(
    *("parquet", "float32", "photos", 8, "f" * 64, "small", "h" * 64, "gelu fp32"),
    preprocess={"image_size": 16},
    embed_dim=DIM,
    part_size=5,
)


def batch(start: int, stop: int, bad: set[int]) -> EmbeddedBatch:
    """Picture n has the key `n` and the embedding n, n, n; or a reason."""
    good = [number for number in range(start, stop) if number not in bad]
    return EmbeddedBatch(
        [str(number) for number in range(start, stop)],
        np.array([[number] * DIM for number in good], np.float32) if good else np.zeros((0, 0), np.float32),
        [number - start for number in good],
        [(number - start, f"reason {number}") for number in range(start, stop) if number in bad],
    )


def same(one: EmbeddedBatch, other: EmbeddedBatch) -> bool:
    return (
        one.keys == other.keys
        and one.index_N == other.index_N
        and one.failures == other.failures
        and np.array_equal(one.image_ND, other.image_ND)
    )


@pytest.mark.parametrize("part_size", [1, 2, 3, 5, 7, 20, 100])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 7, 20])
@pytest.mark.parametrize("bad", [set(), {0, 3, 4, 5, 11, 19}, set(range(20))])
def test_parts_hold_the_same_pictures_whatever_the_batches(part_size, batch_size, bad):
    batches = [batch(start, min(20, start + batch_size), bad) for start in range(0, 20, batch_size)]
    parts = list(in_parts(batches, part_size))
    expected = [batch(start, min(20, start + part_size), bad) for start in range(0, 20, part_size)]
    assert len(parts) == len(expected)
    assert all(map(same, parts, expected))


def test_a_part_is_made_as_soon_as_it_is_full():
    seen = []

    def batches():
        for start in range(0, 12, 2):
            seen.append(start)
            yield batch(start, start + 2, set())

    parts = in_parts(batches(), 4)
    next(parts)
    assert seen == [0, 2]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_file_gives_back_what_was_put_into_it(tmp_path, dtype):
    parts = Parts(tmp_path, replace(ABOUT, dtype=dtype))
    parts.write(1, batch(5, 8, {6}))
    parts.write(0, batch(0, 5, {0, 1, 2, 3, 4}))
    assert parts.done() == {0: 0, 1: 2}
    assert list(parts.failures([0, 1])) == [[str(number), f"reason {number}"] for number in (0, 1, 2, 3, 4, 6)]
    (nothing, some) = parts.rows([0, 1])
    assert nothing[0] == []
    assert nothing[1].shape == (0, DIM)
    assert some[0] == ["5", "7"]
    assert some[1].tolist() == [[5] * DIM, [7] * DIM]
    assert some[1].dtype == dtype
    table = pq.read_table(tmp_path)  # all parts at once, as users read them
    assert table["key"].to_pylist() == ["5", "7"]
    assert str(table.schema.field("embedding").type).startswith("fixed_size_list<element: ")
    assert b'"model_hash": "' + b"h" * 64 in table.schema.metadata[b"taxaflow"]


def test_the_same_part_has_the_same_bytes(tmp_path):
    for name in "ab":
        Parts(tmp_path / name, ABOUT).write(0, batch(0, 5, {2}))
    assert (tmp_path / "a" / "part-00000.parquet").read_bytes() == (tmp_path / "b" / "part-00000.parquet").read_bytes()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    "spoil",
    [
        cut,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PAR1 and other words"),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"num_pictures": 5', b'"num_pictures": 4')),
        lambda path: path.write_bytes(path.with_name("part-00001.parquet").read_bytes()),
        lambda path: Parts(path.parent, ABOUT).write(0, batch(0, 4, {2})),
        lambda path: pq.write_table(pq.read_table(path).replace_schema_metadata({}), path),
    ],
)
def test_a_damaged_part_is_not_done(tmp_path, spoil, caplog):
    parts = Parts(tmp_path, ABOUT)
    parts.write(0, batch(0, 5, {2}))
    parts.write(1, batch(5, 8, set()))
    spoil(tmp_path / "part-00000.parquet")
    assert parts.done() == {1: 3}
    assert "part-00000.parquet is damaged" in caplog.text


def test_numbers_that_were_damaged_are_not_given_back(tmp_path):
    parts = Parts(tmp_path, ABOUT)
    parts.write(0, batch(0, 5, set()))
    path = tmp_path / "part-00000.parquet"
    whole = path.read_bytes()
    row = np.full(DIM, 3, np.float32).tobytes()
    assert whole.count(row) == 1
    path.write_bytes(whole.replace(row, np.full(DIM, 4, np.float32).tobytes()))
    with pytest.raises(ValueError, match=r"was damaged .* and is removed"):
        list(parts.rows([0]))
    assert not path.exists()


def test_a_full_disk_leaves_no_part_behind(tmp_path):
    with small_disk(tmp_path / "disk", "64k") as disk:
        parts = Parts(disk / "parts", replace(ABOUT, embed_dim=DIM, part_size=5000, num_pictures=5000))
        with pytest.raises(WorkFailedError, match=r"part-00000\.parquet: No space left on device"):
            parts.write(0, batch(0, 5000, set()))
        assert list((disk / "parts").iterdir()) == []
