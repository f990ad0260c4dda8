"""A step with accumulation or on two ranks is the step of one large batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
from torch.nn import functional as F

from taxonomy.errors import BadInputError
from tests.trainer.two_ranks import ONE_RANK, on_two_ranks
from trainer.distributed import Ranks
from trainer.steps.loss import infonce, multi_positive, scale_of, siglip
from trainer.steps.step import ModelParts, StepInputs, StepSettings, step_inputs, train_step

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
NUM_MICRO_BATCHES = 3
MICRO_BATCH = 4

SETTINGS = {
    "infonce": StepSettings("infonce", gather_with_grad=True),
    "infonce local": StepSettings("infonce", local_loss=True, gather_with_grad=True),
    "infonce published": StepSettings("infonce"),
    "infonce published local": StepSettings("infonce", local_loss=True),
    "siglip": StepSettings("siglip"),
    "multi_positive": StepSettings("multi_positive", gather_with_grad=True),
}

Gradients = dict[str, torch.Tensor | None]


@dataclass
class Micro:
    """A micro-batch as the data makes it."""

    image_BHWC: torch.Tensor
    token_BL: torch.Tensor
    taxon_B: torch.Tensor


class TinyClip(torch.nn.Module):
    """Two towers in fp64, with dropout; counts what they encode."""

    def __init__(self, dropout: float = 0.0, seed: int = 3) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.logit_scale = torch.nn.Parameter(torch.tensor(1.5))
        self.logit_bias = torch.nn.Parameter(torch.tensor(-2.0))
        self.visual = torch.nn.Sequential(
            torch.nn.Linear(12, 16), torch.nn.GELU(), torch.nn.Dropout(dropout), torch.nn.Linear(16, 6)
        )
        self.embedding = torch.nn.Embedding(40, 10)
        self.text = torch.nn.Sequential(torch.nn.Dropout(dropout), torch.nn.Linear(10, 6))
        self.double()
        self.texts_seen: list[tuple[int, ...]] = []
        self.images_seen = 0

    def encode_image(self, image_BHWC: torch.Tensor) -> torch.Tensor:
        self.images_seen += len(image_BHWC)
        return F.normalize(self.visual(image_BHWC.flatten(1).to(self.embedding.weight.dtype) / 255), dim=1)

    def encode_text(self, token_VL: torch.Tensor) -> torch.Tensor:
        self.texts_seen += [tuple(row) for row in token_VL.tolist()]
        kept_VL1 = (token_VL > 0).unsqueeze(2)
        return F.normalize(self.text((self.embedding(token_VL) * kept_VL1).sum(1)), dim=1)

    def parts(self) -> ModelParts:
        parameters = list(self.parameters())
        return ModelParts(self.encode_image, self.encode_text, self.logit_scale, self.logit_bias, parameters)

    def gradients(self) -> Gradients:
        named = self.named_parameters()
        return {name: None if parameter.grad is None else parameter.grad.clone() for name, parameter in named}


def _micro_batches(rank: int = 0, seed: int = 0) -> list[Micro]:
    """k micro-batches with shared texts, shared taxa and texts trimmed to the longest of each."""
    generator = torch.Generator().manual_seed(100 * seed + rank)
    batches = []
    for number in range(NUM_MICRO_BATCHES):
        taxon_B = torch.randint(5, (MICRO_BATCH,), generator=generator)
        kind_B = torch.randint(2, (MICRO_BATCH,), generator=generator)
        token_BL = torch.stack(
            [torch.full_like(taxon_B, 38), 1 + taxon_B * 2 + kind_B, torch.full_like(taxon_B, 39)], 1
        )
        image_BHWC = torch.randint(256, (MICRO_BATCH, 2, 2, 3), generator=generator, dtype=torch.uint8)
        batches.append(Micro(image_BHWC, F.pad(token_BL, (0, number)).int(), taxon_B))
    return batches


def _as_one(batches: list[Micro]) -> StepInputs:
    """The same pairs as a single large batch."""
    inputs = step_inputs(batches, CPU)
    return replace(inputs, images=[torch.cat(list(inputs.images))])


def _step(model: TinyClip, inputs: StepInputs, name: str, ranks: Ranks = ONE_RANK) -> tuple[torch.Tensor, Gradients]:
    loss = train_step(model.parts(), inputs, SETTINGS[name], ranks)
    return loss, model.gradients()


def _kept_graph(model: TinyClip, inputs: StepInputs, name: str) -> tuple[torch.Tensor, Gradients]:
    """The step with dropout by the book: each micro-batch encoded once, with gradient, in the first pass's order."""
    image_ND = torch.cat([model.encode_image(image_BHWC) for image_BHWC in inputs.images])
    text_VD = torch.cat([model.encode_text(token_VL) for token_VL in inputs.texts.token_VL.split(MICRO_BATCH)])
    scale, text_ND = scale_of(model.logit_scale), text_VD[inputs.texts.inverse_N]
    if name == "multi_positive":
        loss = multi_positive(image_ND, inputs.texts, text_VD, inputs.taxon_N, scale, ONE_RANK)
    elif name == "siglip":
        loss = siglip(image_ND, text_ND, scale, model.logit_bias, ONE_RANK)
    else:
        loss = infonce(image_ND, text_ND, scale, ONE_RANK)
    model.zero_grad()
    loss.backward()
    return loss.detach(), model.gradients()


def _assert_equal(found: tuple[torch.Tensor, Gradients], expected: tuple[torch.Tensor, Gradients]) -> None:
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=1e-10)
    assert found[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=0, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}")


def _on_a_rank(ranks: Ranks) -> dict:
    found = {}
    for name in SETTINGS:
        batches = _micro_batches(ranks.rank)
        found[name, "k"] = _step(TinyClip(), step_inputs(batches, CPU), name, ranks)
        found[name, "1"] = _step(TinyClip(), _as_one(batches), name, ranks)
    try:
        train_step(TinyClip().parts(), _as_one(batches), StepSettings("multi_positive"), ranks)
    except BadInputError as error:
        found["refused"] = str(error)
    return found


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    return on_two_ranks(_on_a_rank, tmp_path_factory.mktemp("ranks"))


@pytest.mark.parametrize("name", SETTINGS)
def test_accumulation_is_the_large_batch(name: str):
    for seed in range(4):
        batches = _micro_batches(seed=seed)
        found = _step(TinyClip(), step_inputs(batches, CPU), name)
        _assert_equal(found, _step(TinyClip(), _as_one(batches), name))
        used = [n for n in found[1] if n != "logit_bias" or name == "siglip"]
        assert all(found[1][n] is not None and found[1][n].abs().max() > 1e-4 for n in used)


@pytest.mark.parametrize("name", SETTINGS)
def test_accumulation_is_the_large_batch_on_two_ranks(two_ranks: list[dict], name: str):
    for found in two_ranks:
        _assert_equal(found[name, "k"], found[name, "1"])
    _assert_equal(two_ranks[0][name, "k"], two_ranks[1][name, "k"])


@pytest.mark.parametrize("name", ["infonce", "infonce local", "siglip", "multi_positive"])
def test_two_ranks_are_one_process_with_all_pairs(two_ranks: list[dict], name: str):
    expected = _step(TinyClip(), _as_one(_micro_batches(0) + _micro_batches(1)), name)
    _assert_equal(two_ranks[0][name, "k"], expected)


def test_without_gathered_gradients_local_loss_makes_a_difference(two_ranks: list[dict]):
    both, local = (two_ranks[0][name, "1"][1] for name in ("infonce published", "infonce published local"))
    difference = both["visual.0.weight"] - local["visual.0.weight"]
    assert difference.abs().max() > 1e-4


def test_multi_positive_without_gathered_gradients_is_refused(two_ranks: list[dict]):
    assert all("--gather-with-grad" in found["refused"] for found in two_ranks)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_second_pass_draws_what_the_first_drew(name: str):
    inputs = step_inputs(_micro_batches(), CPU)
    model, by_the_book = TinyClip(dropout=0.5), TinyClip(dropout=0.5)
    torch.manual_seed(11)
    found = _step(model, inputs, name)
    next_draw = torch.rand(3)
    torch.manual_seed(11)
    _assert_equal(found, _kept_graph(by_the_book, inputs, name))
    assert torch.equal(next_draw, torch.rand(3))  # the generator is where one pass leaves it


@pytest.mark.parametrize("name", SETTINGS)
def test_each_distinct_text_is_encoded_once_a_pass(name: str):
    batches, model = _micro_batches(), TinyClip()
    inputs = step_inputs(batches, CPU)
    num_texts = len({row[1].item() for batch in batches for row in batch.token_BL})
    assert num_texts < NUM_MICRO_BATCHES * MICRO_BATCH
    _step(model, inputs, name)
    assert len(model.texts_seen) == 2 * num_texts and len(set(model.texts_seen)) == num_texts
    assert model.images_seen == 2 * NUM_MICRO_BATCHES * MICRO_BATCH
    model.texts_seen.clear()
    _step(model, _as_one(batches), name)
    assert len(model.texts_seen) == len(set(model.texts_seen)) == num_texts


def test_gradients_from_before_are_dropped():
    model, inputs = TinyClip(), step_inputs(_micro_batches(), CPU)
    first = _step(model, inputs, "multi_positive")
    _assert_equal(_step(model, inputs, "multi_positive"), first)


@pytest.mark.parametrize("as_one", [False, True])
def test_a_locked_tower_gets_no_gradient_and_is_encoded_to_its_end_once(as_one: bool):
    batches = _micro_batches()
    inputs = _as_one(batches) if as_one else step_inputs(batches, CPU)
    model, free = TinyClip(dropout=0.5), TinyClip(dropout=0.5)
    for parameter in (*model.embedding.parameters(), *model.text.parameters()):
        parameter.requires_grad_(False)
    torch.manual_seed(5)
    loss, gradients = _step(model, inputs, "infonce")
    next_draw = torch.rand(3)
    torch.manual_seed(5)
    free_loss, free_gradients = _step(free, inputs, "infonce")
    assert torch.equal(next_draw, torch.rand(3))
    for name, gradient in gradients.items():
        locked = name.startswith(("text", "embedding"))
        free_gradients[name] = None if locked else free_gradients[name]
        assert (gradient is None) == (locked or name == "logit_bias")
    _assert_equal((loss, gradients), (free_loss, free_gradients))
    num_texts = len(inputs.texts.token_VL)
    assert len(model.texts_seen) <= num_texts + (0 if as_one else MICRO_BATCH) < 2 * num_texts


def test_weights_get_their_gradients_under_autocast():
    """What the first pass casts without gradient must not stand for the weights in the second."""
    batches = _micro_batches()
    settings = replace(SETTINGS["multi_positive"], autocast=partial(torch.autocast, "cpu", dtype=torch.bfloat16))
    accumulated, at_once = TinyClip().float(), TinyClip().float()
    loss = train_step(accumulated.parts(), step_inputs(batches, CPU), settings, ONE_RANK)
    train_step(at_once.parts(), _as_one(batches), settings, ONE_RANK)
    assert loss.dtype == torch.float32
    for name, gradient in accumulated.gradients().items():
        if name != "logit_bias":
            assert gradient is not None and gradient.abs().max() > 1e-4
            torch.testing.assert_close(gradient, at_once.gradients()[name], rtol=0.05, atol=2e-3)


def test_a_step_inside_of_autocast_is_a_mistake():
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(AssertionError, match="StepSettings"):
        _step(TinyClip(), step_inputs(_micro_batches(), CPU), "infonce")


def test_scaled_gradients_stay_scaled():
    inputs = step_inputs(_micro_batches(), CPU)
    settings = replace(SETTINGS["infonce"], scaler=torch.amp.GradScaler("cpu", init_scale=1024.0))
    model = TinyClip()
    loss = train_step(model.parts(), inputs, settings, ONE_RANK)
    expected_loss, expected = _step(TinyClip(), inputs, "infonce")
    scaled = {name: None if gradient is None else gradient * 1024 for name, gradient in expected.items()}
    _assert_equal((loss, model.gradients()), (expected_loss, scaled))


def test_the_loss_is_cut_from_its_graph():
    loss, _ = _step(TinyClip(), _as_one(_micro_batches()), "infonce")
    assert not loss.requires_grad and loss.shape == ()


@contextmanager
def _waiting_is_an_error() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("as_one", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_on_cuda_the_host_does_not_wait_and_the_gradients_are_the_same(name: str, as_one: bool):
    device = torch.device("cuda", 0)
    batches = _micro_batches()
    inputs = _as_one(batches) if as_one else step_inputs(batches, CPU)
    on_device = StepInputs([i.to(device) for i in inputs.images], inputs.texts.to(device), inputs.taxon_N.to(device))
    model = TinyClip().to(device)
    model.encode_text = partial(_encode_text_unseen, model)
    torch.cuda.synchronize()
    with _waiting_is_an_error():
        loss = train_step(model.parts(), on_device, SETTINGS[name], replace(ONE_RANK, device=device))
    found = {n: None if g is None else g.cpu() for n, g in model.gradients().items()}
    _assert_equal((loss.cpu(), found), _step(TinyClip(), inputs, name))


def _encode_text_unseen(model: TinyClip, token_VL: torch.Tensor) -> torch.Tensor:
    """`TinyClip.encode_text` without its list of texts, which waits."""
    kept_VL1 = (token_VL > 0).unsqueeze(2)
    return F.normalize(model.text((model.embedding(token_VL) * kept_VL1).sum(1)), dim=1)
