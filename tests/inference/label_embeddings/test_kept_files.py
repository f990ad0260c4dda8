"""What killed runs leave of label embeddings: put back, or removed."""

import errno
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from inference.label_embeddings.embed_labels import embed_labels, read_label_embeddings, write_label_embeddings
from inference.labels.labels import read_labels
from taxonomy.errors import WorkFailedError
from tests.inference.label_embeddings.test_embed_labels import WordEncoder
from tests.inference.labels.lists import ROWS, write_list

pytestmark = pytest.mark.torch


@pytest.fixture
def made(tmp_path):
    return embed_labels(read_labels(write_list(tmp_path / "a.csv")), "sci", WordEncoder())


@pytest.fixture
def other(tmp_path):
    return embed_labels(read_labels(write_list(tmp_path / "b.csv", *ROWS[:2])), "sci", WordEncoder())


@pytest.fixture
def dead() -> int:
    """The number of a process that is gone."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(tmp_path, made, other, monkeypatch):
    folder = tmp_path / "out" / "labels"
    write_label_embeddings(folder, made)
    own = Path.rename

    def failing(self, target):
        if self.name.endswith(".tmp") and self.is_dir():
            raise OSError(errno.EIO, "Input/output error")
        return own(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(WorkFailedError, match="Input/output error"):
        write_label_embeddings(folder, other)
    assert read_label_embeddings(folder).labels.sha256 == made.labels.sha256
    assert [path.name for path in folder.parent.iterdir()] == ["labels"]


def test_a_folder_that_stepped_aside_is_put_back_at_the_next_start(tmp_path, made, other, dead, monkeypatch):
    folder = tmp_path / "out" / "labels"
    write_label_embeddings(folder, made)
    folder.rename(folder.with_name(f".labels.{dead}.old"))
    folder.with_name(f".labels.{dead}.tmp").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("inference.label_embeddings.embed_labels.write_vectors", _full)
        with pytest.raises(WorkFailedError, match="No space left"):
            write_label_embeddings(folder, other)
    assert read_label_embeddings(folder).labels.sha256 == made.labels.sha256
    assert [path.name for path in folder.parent.iterdir()] == ["labels"]
    write_label_embeddings(folder, other)
    folder.with_name(f".labels.{dead}.old").mkdir()
    write_label_embeddings(folder, made)
    assert [path.name for path in folder.parent.iterdir()] == ["labels"]


def _full(*given):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_parts_left_beside_a_whole_entry_go_on_a_hit(tmp_path, made, dead):
    embed_labels(made.labels, "sci", WordEncoder(), tmp_path)
    (folder,) = (tmp_path / "labels").iterdir()
    (folder / "part-000007.npz").write_bytes(b"x")
    (folder / f".part-000008.npz.{dead}.tmp").write_bytes(b"x")
    (folder / f".embeddings.npy.{os.getppid()}.tmp").write_bytes(b"being written")
    embed_labels(made.labels, "sci", WordEncoder(most=0), tmp_path)
    left = sorted(path.name for path in folder.iterdir())
    assert left == [f".embeddings.npy.{os.getppid()}.tmp", "about.json", "embeddings.npy"]


def test_rows_exchanged_in_the_cache_or_a_folder_are_damage(tmp_path, made, caplog):
    expected = embed_labels(made.labels, "sci", WordEncoder(), tmp_path).label_CD.tobytes()
    (entry,) = (tmp_path / "labels").iterdir()
    np.save(entry / "embeddings.npy", np.load(entry / "embeddings.npy")[::-1])
    again = WordEncoder()
    assert embed_labels(made.labels, "sci", again, tmp_path).label_CD.tobytes() == expected
    assert again.num_texts and "damaged" in caplog.text
    write_label_embeddings(tmp_path / "out", made)
    np.save(tmp_path / "out" / "embeddings.npy", np.load(tmp_path / "out" / "embeddings.npy")[::-1])
    with pytest.raises(Exception, match="content has changed"):
        read_label_embeddings(tmp_path / "out")
