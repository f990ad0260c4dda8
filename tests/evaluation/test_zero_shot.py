import io
import json
import random
import weakref
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
import torch.multiprocessing as mp
from PIL import Image

from evaluation.encoding.encode import encode_image, to_input
from evaluation.encoding.encoder import OpenClipEncoder, evaluation_mode
from evaluation.labelled_images import LabelledImages, folder_of_classes, image_batches
from evaluation.loading.facts import ModelFacts
from evaluation.model import ModelRequest, build_model, get_tokenizer, resolve
from evaluation.random_state import random_state_kept
from evaluation.zero_shot import (
    ALONE,
    Counts,
    Share,
    class_embeddings,
    count_right,
    evaluate,
    places,
    summarize,
)
from taxonomy.errors import BadInputError
from tests.evaluation.small_models import SMALL, TINY

pytestmark = pytest.mark.torch

NUM_CLASSES = 7
FACTS = resolve(ModelRequest("small", model_config=SMALL, image_mean=(0, 0, 0), image_std=(1, 1, 1)))


def picture(number: int, seed: int) -> bytes:
    """A 16 x 16 photo whose grey level tells its number, a little disturbed; lossless."""
    noise = np.random.default_rng(seed).integers(0, 8, (16, 16, 3))
    buffer = io.BytesIO()
    Image.fromarray((noise + 16 * number).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class Pictures:
    """Picture number -> bytes, those of the numbers in `broken` cut short. Picklable, for workers."""

    shown: tuple[int, ...]
    broken: frozenset[int] = frozenset()

    def __call__(self, index: int) -> bytes:
        data = picture(self.shown[index], index)
        return data[:-40] if index in self.broken else data


def benchmark(size: int = 60, broken: frozenset[int] = frozenset()) -> LabelledImages:
    rng = random.Random(4)
    class_of = [rng.choice([0, 1, 1, 2, 3, 3, 3, 4, 5]) for _ in range(size)]  # class 6 has no picture
    return LabelledImages([f"name {c}" for c in range(NUM_CLASSES)], class_of, Pictures(tuple(class_of), broken))


def prompts(names: list[str]) -> list[list[str]]:
    return [[f"a photo of {name}.", f"a drawing of {name}."] for name in names]


class PlantedEncoder:
    """Knows the class of a picture by its grey level and that of a text by the number it ends on."""

    logit_scale = 100.0

    def __init__(self, read_as: dict[int, int] | None = None):
        self.read_as = read_as or {}
        self.num_texts = 0

    def encode_images(self, image_NHWC: torch.Tensor) -> torch.Tensor:
        number_N = (image_NHWC.float().mean((1, 2, 3)) // 16).long()
        seen = torch.tensor([self.read_as.get(int(one), int(one)) for one in number_N])
        return torch.nn.functional.one_hot(seen, NUM_CLASSES + 1).float()

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        self.num_texts += len(texts)
        last = [text.rstrip(".")[-1] for text in texts]
        number = torch.tensor([int(one) if one.isdigit() else NUM_CLASSES for one in last])
        return torch.nn.functional.one_hot(number, NUM_CLASSES + 1).float()


class DrawingEncoder(PlantedEncoder):
    """Draws from every generator, as a model with dropout would."""

    def encode_images(self, image_NHWC: torch.Tensor) -> torch.Tensor:
        random.random(), np.random.rand(), torch.rand(1)
        return super().encode_images(image_NHWC)


def run(images: LabelledImages, encoder, **settings):
    return evaluate(images, prompts(list(images.class_names)), encoder, FACTS, **settings)


def test_a_planted_model_is_always_right():
    result = run(benchmark(), PlantedEncoder(), batch_size=7)
    record = result.to_record()
    assert set(record) >= {"top1", "top3", "top5", "balanced_accuracy", "chance", "num_images", "num_unreadable"}
    assert record["top1"]["value"] == record["balanced_accuracy"]["value"] == 1.0
    assert (record["num_images"], record["num_classes"], record["num_unreadable"]) == (60, NUM_CLASSES, 0)
    assert record["chance"] == 1 / NUM_CLASSES
    assert 0.8 < record["top1"]["low"] < record["top1"]["high"] == 1.0
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_two_swapped_classes_cost_exactly_their_pictures():
    images = benchmark()
    shown = [images.class_of.count(c) for c in range(NUM_CLASSES)]
    result = run(images, PlantedEncoder(read_as={1: 3, 3: 1}))
    assert result.metrics["top1"].value == pytest.approx(1 - (shown[1] + shown[3]) / 60)
    assert result.metrics["balanced_accuracy"].value == pytest.approx(4 / 6)
    assert result.majority == max(shown) / 60


def test_unreadable_pictures_are_counted_and_left_out():
    broken = frozenset({0, 1, 17, 59})
    whole = run(benchmark(), PlantedEncoder(read_as={1: 3}))
    images = benchmark(broken=broken)
    result = run(images, PlantedEncoder(read_as={1: 3}), batch_size=2)
    kept = [c for number, c in enumerate(images.class_of) if number not in broken]
    assert (result.num_images, result.num_unreadable) == (56, 4)
    assert result.metrics["top1"].value == pytest.approx(sum(c != 1 for c in kept) / 56)
    assert whole.num_images == 60
    nothing = run(benchmark(size=3, broken=frozenset({0, 1, 2})), PlantedEncoder()).to_record()
    assert nothing["top1"] == {"value": None, "low": None, "high": None} and nothing["majority"] is None
    assert nothing["num_unreadable"] == 3
    json.dumps(nothing, allow_nan=False)


def test_batches_workers_and_pixels_agree():
    images = benchmark(broken=frozenset({5}))
    whole = [(b.image_NSSC, b.class_N, b.num_unreadable) for b in image_batches(images, FACTS, 60)]
    for batch_size, num_workers in ((1, 0), (8, 2)):
        parts = list(image_batches(images, FACTS, batch_size, num_workers=num_workers))
        filled = [part.image_NSSC for part in parts if len(part.class_N)]
        assert torch.equal(torch.cat(filled), whole[0][0])
        assert torch.equal(torch.cat([part.class_N for part in parts]), whole[0][1])
        assert sum(part.num_unreadable for part in parts) == 1
    shares = [next(iter(image_batches(images, FACTS, 60, rank, 2))).class_N for rank in (0, 1)]
    kept = [c for number, c in enumerate(images.class_of) if number != 5]
    assert sorted(torch.cat(shares).tolist()) == sorted(kept)


def test_places_give_ties_to_the_lower_index_and_nothing_to_nan():
    rng = np.random.default_rng(0)
    score_NC = torch.from_numpy(rng.integers(0, 4, (200, 6)).astype(np.float32))
    class_N = torch.from_numpy(rng.integers(0, 6, 200))
    expected = [
        sorted(range(6), key=lambda c, row=row: (-float(score_NC[row, c]), c)).index(int(class_N[row]))
        for row in range(200)
    ]
    assert places(score_NC, class_N).tolist() == expected
    assert places(torch.full((3, 6), torch.nan), torch.tensor([0, 3, 5])).tolist() == [6, 6, 6]
    partly = torch.tensor([[1.0, torch.nan, 0.0]])
    assert places(partly, torch.tensor([0])).tolist() == [1]


def test_a_hand_worked_summary():
    counts = Counts(torch.tensor([[2, 1, 0], [3, 1, 0]]), torch.tensor([4, 1, 0]), 2, (1, 2))
    result = summarize(counts)
    assert result.metrics["top1"].value == pytest.approx(3 / 5) and result.metrics["top2"].value == pytest.approx(4 / 5)
    assert result.metrics["balanced_accuracy"].value == pytest.approx(3 / 4)
    assert result.paper_interval.value == pytest.approx(3 / 5)
    assert (result.majority, result.chance, result.num_unreadable) == (4 / 5, 1 / 3, 2)


@pytest.mark.parametrize(("num_classes", "names"), [(1, ["top1"]), (2, ["top1"]), (4, ["top1", "top3"])])
def test_guesses_are_reported_only_below_the_number_of_classes(num_classes, names):
    images = LabelledImages([f"{c}" for c in range(num_classes)], [0], Pictures((0,)))
    assert list(run(images, PlantedEncoder()).metrics) == [*names, "balanced_accuracy"]


def test_bad_class_lists_are_refused():
    with pytest.raises(BadInputError, match="7 classes, but prompts for 2"):
        evaluate(benchmark(), [["a"], ["b"]], PlantedEncoder(), FACTS)
    for empty in ([], [["a"], []]):
        with pytest.raises(BadInputError, match="at least one"):
            class_embeddings(empty, PlantedEncoder())


def clip_encoder(**settings) -> tuple[OpenClipEncoder, ModelFacts]:
    torch.manual_seed(8)
    model, facts = build_model(ModelRequest("tiny", model_config=TINY))
    return OpenClipEncoder(model.eval(), facts, get_tokenizer(facts), torch.device("cpu"), **settings), facts


def test_class_embeddings_are_open_clips():
    encoder, _ = clip_encoder(text_batch_size=9)
    names = ["Turdus merula", "house sparrow", "Parus", "a much longer name of some other kind of bird (L.), 1758"]
    templates = open_clip.OPENAI_IMAGENET_TEMPLATES
    expected_DC = open_clip.build_zero_shot_classifier(encoder.model, encoder.tokenizer, names, templates)
    made_DC = class_embeddings([[template(name) for template in templates] for name in names], encoder)
    assert made_DC.dtype == torch.float32 and made_DC.shape == (64, 4)
    assert (made_DC - expected_DC).abs().max() < 3e-6


def test_each_distinct_prompt_is_encoded_once_and_many_prompts_in_parts(monkeypatch):
    import evaluation.zero_shot as zero_shot

    texts = [[f"{n % 5}{c}" for n in range(9)] for c in range(NUM_CLASSES)] + [["00", "01"]]
    encoder = PlantedEncoder()
    whole_DC = class_embeddings(texts, encoder)
    assert encoder.num_texts == 5 * NUM_CLASSES + 1  # and the one that tells the width
    monkeypatch.setattr(zero_shot, "_PROMPTS_AT_ONCE", 4)
    assert torch.allclose(class_embeddings(texts, PlantedEncoder()), whole_DC, atol=1e-7)
    assert torch.allclose(whole_DC[:2, -1], torch.tensor([0.5, 0.5]).sqrt())


def test_evaluation_leaves_the_random_numbers_alone():
    def draw() -> tuple:
        return random.random(), np.random.rand(), torch.rand(1).item()

    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    expected = draw()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    run(benchmark(), DrawingEncoder(), num_workers=1)
    assert draw() == expected
    with pytest.raises(ZeroDivisionError), random_state_kept():
        draw()
        raise ZeroDivisionError
    after = draw()
    with random_state_kept():
        inside = draw()
    assert draw() == inside != after


def test_the_loader_itself_draws_nothing():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    list(image_batches(benchmark(), FACTS, 8, num_workers=1))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_is_put_back_into_training():
    encoder, _ = clip_encoder()
    model = encoder.model.train()
    with evaluation_mode(model):
        assert not model.visual.training
    assert model.visual.training
    model.eval()
    with evaluation_mode(model):
        pass
    assert not model.training


def test_an_open_clip_encoder_gives_unit_rows_also_under_autocast():
    encoder, facts = clip_encoder()
    image_NHWC = torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8)
    image_ND, text_VD = encoder.encode_images(image_NHWC), encoder.encode_texts(["a", "b c"])
    assert not image_ND.requires_grad and encoder.logit_scale == pytest.approx(1 / 0.07)
    assert torch.allclose(image_ND, encode_image(encoder.model, to_input(image_NHWC, facts, "cpu")), atol=1e-6)
    low = replace(encoder, autocast=lambda: torch.autocast("cpu", torch.bfloat16))
    for made, exact in ((low.encode_images(image_NHWC), image_ND), (low.encode_texts(["a", "b c"]), text_VD)):
        assert made.dtype == torch.float32
        assert torch.allclose(made.norm(dim=1), torch.ones(len(made)), atol=1e-6)
        assert 0 < (made - exact).abs().max() < 0.03


def test_folders_of_classes(tmp_path):
    for name in ("00002_Animalia_Aves_Turdus_merula", "00001_Plantae_Rosa", "empty"):
        (tmp_path / name).mkdir()
    for file in (
        "00002_Animalia_Aves_Turdus_merula/b.PNG",
        "00002_Animalia_Aves_Turdus_merula/a.jpg",
        "00001_Plantae_Rosa/c.png",
    ):
        (tmp_path / file).write_bytes(picture(3, 1))
    (tmp_path / "00001_Plantae_Rosa/notes.txt").write_text("x")
    images = folder_of_classes(tmp_path)
    assert images.class_names == ["Plantae Rosa", "Animalia Aves Turdus merula", "empty"]
    assert images.class_of == [0, 1, 1]
    assert [Path(str(images.read(number))).name for number in range(3)] == ["c.png", "a.jpg", "b.PNG"]
    assert len(next(iter(image_batches(images, FACTS, 3))).class_N) == 3
    with pytest.raises(BadInputError, match="no pictures"):
        folder_of_classes(tmp_path / "empty")
    with pytest.raises(BadInputError, match="no pictures"):
        folder_of_classes(tmp_path / "nowhere")


def distributed(rank: int, folder: Path) -> None:
    """One of two processes: evaluates its share and writes what came out, and how often ranks met."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    meetings = []

    def sum_over_ranks(tensor: torch.Tensor) -> torch.Tensor:
        meetings.append(tensor.shape)
        torch.distributed.all_reduce(tensor)
        return tensor

    share = Share(rank, 2, sum_over_ranks)
    images = benchmark(broken=frozenset({5, 6}))
    planted_encoder = PlantedEncoder({1: 3})
    planted = run(images, planted_encoder, share=share, batch_size=4).to_record()
    assert planted_encoder.num_texts == NUM_CLASSES + 1, "half of the prompts, and the one that tells the width"
    encoder, facts = clip_encoder()
    class_DC = class_embeddings(prompts(list(images.class_names)), encoder, share)
    clip = evaluate(images, prompts(list(images.class_names)), encoder, facts, share=share).to_record()
    one = LabelledImages(["0", "1"], [0], Pictures((0,)))  # the other rank has no picture
    lonely = run(one, PlantedEncoder(), share=share).to_record()
    torch.save((planted, clip, lonely, class_DC, len(meetings)), folder / f"rank{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_results_of_one(tmp_path):
    mp.spawn(distributed, (tmp_path,), nprocs=2)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    images = benchmark(broken=frozenset({5, 6}))
    encoder, facts = clip_encoder()
    texts = prompts(list(images.class_names))
    assert first[0] == second[0] == run(images, PlantedEncoder({1: 3})).to_record()
    assert first[1] == second[1] == evaluate(images, texts, encoder, facts).to_record()
    assert first[2]["num_images"] == 1 and first[2] == second[2]
    assert (first[3] - class_embeddings(texts, encoder)).abs().max() < 1e-6
    assert first[4] == second[4] == 7  # two for each evaluation, one for the class embeddings


def test_one_batch_is_in_memory_at_a_time():
    alive = []

    def batches():
        for batch in image_batches(benchmark(), FACTS, 8):
            alive.append(weakref.ref(batch))
            yield batch
            del batch
            assert sum(one() is not None for one in alive) <= 1

    class_DC = torch.eye(NUM_CLASSES + 1)[:, :NUM_CLASSES]
    counts = count_right(batches(), class_DC, PlantedEncoder(), ALONE)
    assert counts.shown_C.sum() == 60 and counts.right_KC[0].tolist() == counts.shown_C.tolist()
