"""Vectors in a file: read back as written, and any damage or exchange of rows is seen."""

import numpy as np
import pytest

import inference.label_embeddings.vector_file as module
from inference.label_embeddings.vector_file import map_vectors, word_sum, write_vectors

SHAPE = (100, 33)


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)


def swapped(row_PD: np.ndarray, one, two) -> np.ndarray:
    """A copy with two parts exchanged."""
    made = row_PD.copy()
    made[one], made[two] = row_PD[two], row_PD[one]
    return made


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("block", [7, 100, 1000])
def test_parts_of_any_size_give_the_same_file_and_sums(tmp_path, rows, monkeypatch, dtype, block):
    monkeypatch.setattr(module, "BLOCK_ROWS", block)
    made = [
        write_vectors(tmp_path / "a.npy", (rows[start : start + step] for start in range(0, 100, step)), SHAPE, dtype)
        for step in (1, 9, 100)
    ]
    assert made[0] == made[1] == made[2]
    assert np.array_equal(map_vectors(tmp_path / "a.npy", SHAPE, dtype, made[0]), rows.astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("block", [7, 1000])
def test_rows_exchanged_and_values_moved_are_seen(tmp_path, rows, monkeypatch, dtype, block):
    monkeypatch.setattr(module, "BLOCK_ROWS", block)
    sums = write_vectors(tmp_path / "a.npy", [rows], SHAPE, dtype)
    changes = [rows[::-1], np.roll(rows, 1, axis=0), np.roll(rows, 1, axis=1), np.roll(rows, 2), rows * 0, -rows]
    changes += [swapped(rows, one, two) for one, two in ((0, 1), (0, 99), (3, 4), (98, 99))]
    changes += [swapped(rows, (5, one), (5, two)) for one, two in ((0, 1), (0, 2), (0, 32), (4, 20))]
    for changed in changes:
        np.save(tmp_path / "a.npy", changed.astype(dtype))
        with pytest.raises(ValueError, match="content has changed"):
            map_vectors(tmp_path / "a.npy", SHAPE, dtype, sums)


@pytest.mark.parametrize("num_bytes", [0, 1, 8, 2047, 2048, 2049, 6151])
def test_a_sum_sees_every_bit_and_every_exchange_of_two_words(num_bytes):
    draw = np.random.default_rng(num_bytes)
    byte_X = draw.integers(0, 256, num_bytes, dtype=np.uint8)
    own = word_sum(byte_X)
    assert len(own) == 64 and own == word_sum(byte_X.copy())
    for place in range(0, num_bytes, 7):
        byte_X[place] ^= 1 << place % 8
        assert word_sum(byte_X) != own
        byte_X[place] ^= 1 << place % 8
    word_W = byte_X[: num_bytes // 8 * 8].view(np.uint64)
    for one, two in draw.integers(0, max(1, len(word_W)), (min(1, len(word_W)) * 100, 2)):
        exchanged = swapped(word_W, one, two)
        rest = byte_X[num_bytes // 8 * 8 :]
        same = word_sum(np.concatenate([exchanged.view(np.uint8), rest])) == own
        assert same == (word_W[one] == word_W[two])
    assert word_sum(np.append(byte_X, np.uint8(0))) != own
