"""Class vectors kept between runs: those of the encoder, made once, never believed when damaged."""

import io

import numpy as np
import open_clip
import pytest
import torch

import evaluation.encoding.class_vectors as module
from bench.planted_model import WIDTH, label_vector
from evaluation.encoding.class_vectors import class_embeddings, class_matrix, class_vectors
from evaluation.encoding.encoder import OpenClipEncoder
from evaluation.encoding.prompts import all_prompts
from evaluation.model import ModelRequest, build_model, get_tokenizer
from taxonomy.captions import CaptionFields
from taxonomy.errors import BadInputError
from tests.evaluation.encoding.ranks_in_turn import of_two_ranks
from tests.evaluation.small_models import TINY

pytestmark = pytest.mark.torch

MERLE = CaptionFields("Turdus merula", "Blackbird", {"genus": "Turdus", "species": "merula"})


class WordEncoder:
    """A text is a unit row of its own; counts what it is asked."""

    hash, variant, logit_scale = "cd" * 32, "", 10.0

    def __init__(self):
        self.texts = []

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        self.texts += texts
        return torch.from_numpy(np.stack([label_vector(text) for text in texts]))


def texts_of(*classes: str) -> list[list[str]]:
    return [[f"a photo of {name}.", f"{name}!"] for name in classes]


def test_rows_are_the_class_embeddings_in_the_order_of_the_list():
    made_CD = class_matrix(["merle", "other"], {"merle": MERLE}, "sci", WordEncoder())
    texts = all_prompts(["merle", "other"], "sci", {"merle": MERLE})
    assert made_CD.dtype == np.float32 and made_CD.shape == (2, WIDTH)
    assert np.allclose(made_CD, class_embeddings(texts, WordEncoder()).T.numpy(), atol=1e-7)
    assert np.allclose(
        class_vectors(texts_of("a", "b"), WordEncoder()), class_vectors(texts_of("b", "a"), WordEncoder())[::-1]
    )


def test_each_class_is_encoded_once_over_lists_and_runs(tmp_path):
    encoder = WordEncoder()
    first_CD = class_vectors(texts_of("a", "b", "a", "c"), encoder, tmp_path)
    assert first_CD[0].tobytes() == first_CD[2].tobytes()
    assert {text.rstrip(".!")[-1] for text in encoder.texts} == {"a", "b", "c"}
    again = WordEncoder()
    assert class_vectors(texts_of("c", "a", "b"), again, tmp_path).tobytes() == first_CD[[3, 0, 1]].tobytes()
    assert again.texts == []
    mixed_CD = class_vectors(texts_of("d", "a"), again, tmp_path)
    assert mixed_CD[1].tobytes() == first_CD[0].tobytes()
    assert sorted(set(again.texts) - {"a"}) == sorted(texts_of("d")[0])


def test_another_model_or_variant_shares_nothing(tmp_path):
    class_vectors(texts_of("a"), WordEncoder(), tmp_path)
    for name, value in (("hash", "ef" * 32), ("variant", "quickgelu fp32")):
        other = WordEncoder()
        setattr(other, name, value)
        class_vectors(texts_of("a"), other, tmp_path)
        assert other.texts
    changed = WordEncoder()
    class_vectors([["a photo of a.", "a?"]], changed, tmp_path)
    assert changed.texts


def parts(folder) -> list:
    return sorted(folder.rglob("*.npz"))


def test_a_damaged_part_is_encoded_again_not_believed(tmp_path, caplog):
    whole_CD = class_vectors(texts_of("a", "b"), WordEncoder(), tmp_path)
    (path,) = parts(tmp_path)
    content = path.read_bytes()
    vectors = content.index(whole_CD.tobytes())
    flipped = bytearray(content)
    flipped[vectors + 3] ^= 64
    bare, nans = io.BytesIO(), io.BytesIO()
    np.save(bare, np.zeros(3))
    with np.load(path) as part:
        np.savez(nans, key_C32=part["key_C32"], vector_CD=part["vector_CD"] * np.float32("nan"))
    foreign = (bare.getvalue(), nans.getvalue())
    for damaged in (bytes(flipped), content[: len(content) // 2], b"", b"no zip", *foreign):
        path.write_bytes(damaged)
        caplog.clear()
        encoder = WordEncoder()
        assert class_vectors(texts_of("a", "b"), encoder, tmp_path).tobytes() == whole_CD.tobytes()
        assert encoder.texts and "damaged" in caplog.text
        repaired = WordEncoder()
        class_vectors(texts_of("a", "b"), repaired, tmp_path)
        assert not repaired.texts


def test_long_lists_are_written_as_they_are_made(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CLASSES_AT_ONCE", 3)
    names = [f"n{number}" for number in range(8)]
    whole_CD = class_vectors(texts_of(*names), WordEncoder(), tmp_path)
    assert len(parts(tmp_path)) == 3
    parts(tmp_path)[0].unlink()  # as if the run had been cut short
    encoder = WordEncoder()
    assert class_vectors(texts_of(*names), encoder, tmp_path).tobytes() == whole_CD.tobytes()
    assert 0 < len(encoder.texts) < 8
    monkeypatch.undo()
    assert np.allclose(class_vectors(texts_of(*names), WordEncoder()), whole_CD, atol=1e-7)


def test_a_cache_that_cannot_be_written_costs_a_warning(tmp_path, caplog):
    (tmp_path / "prompts").write_text("a file")
    made_CD = class_vectors(texts_of("a"), WordEncoder(), tmp_path)
    assert np.array_equal(made_CD, class_vectors(texts_of("a"), WordEncoder())) and "cannot write" in caplog.text


def test_two_ranks_have_the_bytes_of_rank_0_and_share_the_texts(tmp_path):
    whole_CD = class_vectors(texts_of("a", "b", "c", "d"), WordEncoder())
    encoders = [WordEncoder(), WordEncoder()]
    caches = [tmp_path / "0", tmp_path / "1"]
    # rank 0 alone has something in its cache
    class_vectors(texts_of("a"), WordEncoder(), caches[0])
    for _ in (0, 1):
        one, two = of_two_ranks(
            lambda share: class_vectors(texts_of("a", "b", "c", "d"), encoders[share.rank], caches[share.rank], share)
        )
        assert one.tobytes() == two.tobytes() and np.allclose(one, whole_CD, atol=1e-6)
    own = [{text for text in encoder.texts if len(text) > 1} for encoder in encoders]
    assert len(own[0]) == len(own[1]) == 3 and not own[0] & own[1]
    assert not (tmp_path / "1").exists()


@pytest.mark.parametrize("prompts", [[], [["a"], []]])
def test_no_classes_or_no_texts_are_refused(prompts):
    with pytest.raises(BadInputError, match="at least one"):
        class_vectors(prompts, WordEncoder())


def test_class_embeddings_are_open_clips():
    torch.manual_seed(8)
    model, facts = build_model(ModelRequest("tiny", model_config=TINY))
    encoder = OpenClipEncoder(model.eval(), facts, get_tokenizer(facts), torch.device("cpu"), text_batch_size=9)
    names = ["Turdus merula", "house sparrow", "Parus", "a much longer name of some other kind of bird (L.), 1758"]
    templates = open_clip.OPENAI_IMAGENET_TEMPLATES
    expected_DC = open_clip.build_zero_shot_classifier(encoder.model, encoder.tokenizer, names, templates)
    made_DC = class_embeddings([[template(name) for template in templates] for name in names], encoder)
    assert made_DC.dtype == torch.float32 and made_DC.shape == (64, 4)
    assert (made_DC - expected_DC).abs().max() < 3e-6


def test_each_distinct_prompt_is_encoded_once_and_many_prompts_in_parts(monkeypatch):
    texts = [["a", "b", "shared"], ["c", "shared"], ["shared"]]
    encoder = WordEncoder()
    whole_DC = class_embeddings(texts, encoder)
    assert sorted(encoder.texts[1:]) == ["a", "b", "c", "shared"], "the first one tells the width"
    assert np.allclose(whole_DC[:, 2], label_vector("shared"), atol=1e-7)
    monkeypatch.setattr(module, "_PROMPTS_AT_ONCE", 3)
    assert torch.allclose(class_embeddings(texts, WordEncoder()), whole_DC, atol=1e-7)
