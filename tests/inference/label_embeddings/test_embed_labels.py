"""Embeddings of labels: evaluation's, made once, resumed, and never taken for what they are not."""

import hashlib
import json
import logging
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import inference.label_embeddings.embed_labels as module
import inference.label_embeddings.vector_file as vectors
from evaluation.encoding.class_vectors import class_matrix
from evaluation.encoding.prompts import PROMPT_SETS
from inference.label_embeddings.embed_labels import embed_labels, read_label_embeddings, write_label_embeddings
from inference.label_embeddings.texts import check_texts, label_texts
from inference.labels.labels import Labels, read_labels
from taxonomy.errors import BadInputError
from tests.inference.labels.lists import ROWS, write_list

pytestmark = pytest.mark.torch

WIDTH = 32


def vector(text: str) -> np.ndarray:
    """A unit row of the text's own."""
    row_D = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8).astype(np.float32) - 127.5
    return row_D / np.linalg.norm(row_D)


class WordEncoder:
    """A text is a unit row of its own; counts what it is asked, and may stop at some number of texts."""

    hash, variant, logit_scale = "cd" * 32, "gelu fp32", 10.0
    facts = SimpleNamespace(activation="gelu")

    def __init__(self, most: int = 10**9):
        self.num_texts, self.most = 0, most

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        self.num_texts += len(texts) if len(texts) > 1 else 0
        if self.num_texts > self.most:
            raise KeyboardInterrupt
        return torch.from_numpy(np.stack([vector(text) for text in texts]))


@pytest.fixture
def labels(tmp_path) -> Labels:
    path = tmp_path / "names.txt"
    path.write_text("".join(f"Genus{number // 3} epithet{number}\n" for number in range(23)))
    return read_labels(path)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(module, "_LABELS_AT_ONCE", 5)
    monkeypatch.setattr(vectors, "BLOCK_ROWS", 7)


def test_they_are_evaluations_for_every_prompt_set(tmp_path):
    found = read_labels(write_list(tmp_path / "a.csv"))
    names = found.names.to_pylist()
    fields = {name: found.fields(number) for number, name in enumerate(names)}
    for prompt_set in PROMPT_SETS:
        made = embed_labels(found, prompt_set, WordEncoder(), tmp_path / "cache")
        assert np.allclose(made.label_CD, class_matrix(names, fields, prompt_set, WordEncoder()), atol=1e-7)
        assert (made.about["prompt_set"], made.about["embed_dim"], made.label_CD.dtype) == (prompt_set, WIDTH, "f4")
    assert len(list((tmp_path / "cache" / "labels").iterdir())) == len(PROMPT_SETS)


def test_a_second_run_encodes_nothing_and_has_the_same_bytes(tmp_path, labels, small_parts):
    bare = embed_labels(labels, "sci", WordEncoder())
    first = embed_labels(labels, "sci", WordEncoder(), tmp_path)
    silent = WordEncoder(most=0)
    again = embed_labels(labels, "sci", silent, tmp_path)
    assert first.label_CD.tobytes() == again.label_CD.tobytes() == bare.label_CD.tobytes()
    assert isinstance(again.label_CD, np.memmap)
    (folder,) = (tmp_path / "labels").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["about.json", "embeddings.npy"]


def test_an_interrupted_run_goes_on_where_it_was(tmp_path, labels, small_parts):
    whole = embed_labels(labels, "openai80", WordEncoder())
    with pytest.raises(KeyboardInterrupt):
        embed_labels(labels, "openai80", WordEncoder(most=2 * 5 * 80 + 1), tmp_path)
    (folder,) = (tmp_path / "labels").iterdir()
    assert len(list(folder.glob("part-*.npz"))) == 2
    (folder / "part-000001.npz").write_bytes(b"no zip")
    rest = WordEncoder()
    made = embed_labels(labels, "openai80", rest, tmp_path)
    assert made.label_CD.tobytes() == whole.label_CD.tobytes()
    assert rest.num_texts == (23 - 5) * 80


@pytest.mark.parametrize("what", ["hash", "variant", "prompts", "list"])
def test_another_model_set_or_list_shares_nothing(tmp_path, labels, what):
    embed_labels(labels, "sci", WordEncoder(), tmp_path)
    other, own, prompt_set = WordEncoder(), labels, "scientific_name" if what == "prompts" else "sci"
    if what in ("hash", "variant"):
        setattr(other, what, "quickgelu fp32")
    if what == "list":
        own = Labels(labels.names.slice(1))
    embed_labels(own, prompt_set, other, tmp_path)
    assert other.num_texts == len(own)


def test_damage_is_seen_and_made_again(tmp_path, labels, caplog, small_parts):
    whole = embed_labels(labels, "sci", WordEncoder(), tmp_path)
    expected = whole.label_CD.tobytes()
    (folder,) = (tmp_path / "labels").iterdir()
    for name in ("embeddings.npy", "about.json"):
        content = (folder / name).read_bytes()
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 16]) + content[middle + 1 :]
        for damaged in (flipped, content[:middle], b"", content + b"x" if name == "about.json" else b"[]"):
            (folder / name).write_bytes(damaged)
            encoder = WordEncoder()
            assert embed_labels(labels, "sci", encoder, tmp_path).label_CD.tobytes() == expected
            assert encoder.num_texts and "damaged" in caplog.text
            caplog.clear()


def test_a_cache_without_room_costs_a_warning(tmp_path, labels, monkeypatch, caplog):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    made = embed_labels(labels, "sci", WordEncoder(), tmp_path / "full")
    assert made.label_CD.tobytes() == embed_labels(labels, "sci", WordEncoder()).label_CD.tobytes()
    (tmp_path / "file").write_text("")
    embed_labels(labels, "sci", WordEncoder(), tmp_path / "file")
    assert [record.levelno for record in caplog.records].count(logging.WARNING) >= 2
    assert not list((tmp_path / "full").rglob("embeddings.npy"))


def test_numbers_that_are_none_are_not_kept(tmp_path, labels):
    class Broken(WordEncoder):
        def encode_texts(self, texts):
            return super().encode_texts(texts) * float("nan")

    with pytest.raises(Exception, match="not finite"):
        embed_labels(labels, "sci", Broken(), tmp_path)
    assert not [path for path in tmp_path.glob("labels/*/*")]


@pytest.mark.parametrize(("dtype", "most"), [("float16", 1e-3), ("float32", 0)])
def test_a_folder_is_read_back_and_refuses_damage(tmp_path, dtype, most):
    found = read_labels(write_list(tmp_path / "a.csv", *ROWS, '"a ""b"", c",,,,,,,,'))
    made = embed_labels(found, "sci", WordEncoder())
    folder = tmp_path / "out" / "labels"
    for _ in range(2):  # the second time in the place of the first
        write_label_embeddings(folder, made, dtype)
    read = read_label_embeddings(folder)
    assert np.abs(read.label_CD.astype(np.float32) - made.label_CD).max() <= most
    assert (read.label_CD.dtype, read.labels.sha256, read.about["model_hash"]) == (dtype, found.sha256, "cd" * 32)
    assert [path.name for path in folder.parent.iterdir()] == ["labels"]
    for name in ("labels.csv", "embeddings.npy", "about.json"):
        content = (folder / name).read_bytes()
        for damaged in (content.replace(b"Turdus", b"Turdos"), content[:-3], b""):
            if damaged == content:
                continue
            (folder / name).write_bytes(damaged)
            with pytest.raises(BadInputError) as refused:
                read_label_embeddings(folder)
            assert "\n" not in str(refused.value)
        (folder / name).write_bytes(content)
    (folder / "about.json").write_text(json.dumps({**read.about, "embed_dim": 3}))
    with pytest.raises(BadInputError, match="no usable label embeddings"):
        read_label_embeddings(folder)


def test_a_folder_of_something_else_is_not_replaced(tmp_path, labels):
    made = embed_labels(labels, "sci", WordEncoder())
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "photo.jpg").write_text("mine")
    with pytest.raises(BadInputError, match="something else"):
        write_label_embeddings(tmp_path / "own", made)
    write_label_embeddings(tmp_path / "new", made)
    shutil.rmtree(tmp_path / "new")
    (tmp_path / "new").mkdir()
    write_label_embeddings(tmp_path / "new", made)


@pytest.mark.parametrize("prompt_set", PROMPT_SETS)
def test_a_list_is_refused_exactly_where_a_label_has_no_text(tmp_path, prompt_set):
    rows = [ROWS[0], "x,,,,,,,,Name", "y,Plantae,,,,,,,", "z,,,,,,,,"]
    for number in range(1, 5):
        found = read_labels(write_list(tmp_path / "a.csv", *rows[:number]))
        try:
            label_texts(found, range(number), prompt_set)
        except BadInputError:
            with pytest.raises(BadInputError, match="has no caption of kind"):
                check_texts(found, prompt_set)
        else:
            check_texts(found, prompt_set)


def test_no_set_is_held_for_all_labels(labels, small_parts, monkeypatch):
    seen = []
    own = module.label_texts
    monkeypatch.setattr(module, "label_texts", lambda *given: seen.append(len(given[1])) or own(*given))
    embed_labels(labels, "openai81", WordEncoder())
    assert seen == [5, 5, 5, 5, 3]
