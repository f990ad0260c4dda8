"""Losses against open_clip's and hand-worked ones, on one rank and on two."""

import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
import torch
from open_clip.loss import ClipLoss, SigLipLoss
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from taxonomy.errors import BadInputError
from tests.trainer.pairs import Pairs, given_pairs, random_pairs, unique_pairs
from tests.trainer.two_ranks import ONE_RANK, on_two_ranks
from trainer.distributed import Ranks
from trainer.steps import loss as loss_module
from trainer.steps.loss import check_loss, infonce, multi_positive, scale_of, siglip

pytestmark = pytest.mark.torch

FLAGS = tuple(product((False, True), repeat=2))
"""local_loss, gather_with_grad."""

BATCHES: dict[str, Pairs] = {
    **{
        f"random {seed}": random_pairs(seed, num_pairs=2 * (1 + seed), num_taxa=1 + seed % 5 * 4, share=seed % 3 / 2)
        for seed in range(15)
    },
    "unique": unique_pairs(1, 12),
    "one taxon": given_pairs([0, 1, 0, 2, 3, 1], [5] * 6),
    "one text": given_pairs([4] * 6, [0, 1, 2, 0, 1, 0]),
    "shared name": given_pairs([9, 9, 9, 1, 2, 3], [1, 1, 2, 1, 2, 3]),
    "few and many texts": given_pairs([1, 1, 1, 2, 3, 4], [1, 1, 1, 2, 1, 4]),
    "same text on both ranks": given_pairs([1, 2, 3, 1, 2, 3], [1, 2, 1, 1, 2, 3]),
    "two pairs": given_pairs([1, 2], [1, 1]),
}
"""Even numbers of pairs, so that two ranks can share them."""

BIAS = torch.tensor(-3.0, dtype=torch.float64)

Outcome = dict[str, torch.Tensor]
"""value, and the gradients image_ND, text_ND (of a distinct text: on its first pair's row), logit_scale."""


def _outcome(loss: Callable[..., torch.Tensor], pairs: Pairs) -> Outcome:
    """The outcome of `loss(pairs, scale)` with the pairs' features and scale as leaves."""
    leaves = {name: getattr(pairs, name).clone().requires_grad_() for name in ("image_ND", "text_ND", "logit_scale")}
    value = loss(replace(pairs, **leaves), scale_of(leaves["logit_scale"]))
    value.backward()
    return {"value": value.detach()} | {
        name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for name, leaf in leaves.items()
    }


def _infonce(pairs: Pairs, ranks: Ranks, flags: tuple[bool, bool]) -> Outcome:
    return _outcome(lambda part, scale: infonce(part.image_ND, part.text_ND, scale, ranks, *flags), pairs)


def _clip_loss(pairs: Pairs, ranks: Ranks, flags: tuple[bool, bool]) -> Outcome:
    theirs = ClipLoss(*flags, rank=ranks.rank, world_size=ranks.size)
    return _outcome(lambda part, scale: theirs(part.image_ND, part.text_ND, scale), pairs)


def _siglip(pairs: Pairs, ranks: Ranks) -> Outcome:
    return _outcome(lambda part, scale: siglip(part.image_ND, part.text_ND, scale, BIAS, ranks), pairs)


def _siglip_loss(pairs: Pairs, ranks: Ranks) -> Outcome:
    theirs = SigLipLoss(rank=ranks.rank, world_size=ranks.size)
    return _outcome(lambda part, scale: theirs(part.image_ND, part.text_ND, scale, BIAS), pairs)


def _multi_positive(pairs: Pairs, ranks: Ranks) -> Outcome:
    def loss(part: Pairs, scale: torch.Tensor) -> torch.Tensor:
        texts, text_VD = part.texts()
        return multi_positive(part.image_ND, texts, text_VD, part.taxon_N, scale, ranks)

    return _outcome(loss, pairs)


def _soft_targets(pairs: Pairs) -> Outcome:
    """The definition: all pairs against all, targets spread evenly over the pairs of the same taxon."""

    def loss(part: Pairs, scale: torch.Tensor) -> torch.Tensor:
        target_NN = (part.taxon_N[:, None] == part.taxon_N[None]).double()
        target_NN /= target_NN.sum(1, keepdim=True)
        logits_NN = scale * part.image_ND @ part.text_ND.T
        return (F.cross_entropy(logits_NN, target_NN) + F.cross_entropy(logits_NN.T, target_NN)) / 2

    return _outcome(loss, pairs)


def _on_a_rank(ranks: Ranks) -> dict:
    """Every outcome on this rank, by (what, batch, flags)."""
    parts = {name: pairs.part(ranks.rank, 2) for name, pairs in BATCHES.items()}
    found: dict = {}
    for name, part in parts.items():
        for flags in FLAGS:
            found["infonce", name, flags] = _infonce(part, ranks, flags)
            found["ClipLoss", name, flags] = _clip_loss(part, ranks, flags)
        found["siglip", name] = _siglip(part, ranks)
        found["SigLipLoss", name] = _siglip_loss(part, ranks)
        found["multi_positive", name] = _multi_positive(part, ranks)
    return found


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    return on_two_ranks(_on_a_rank, tmp_path_factory.mktemp("ranks"))


def _assert_equal(found: Outcome, expected: Outcome, tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(
            found[name], expected[name], rtol=0, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


def _of_all(ranks: list[dict], key: tuple) -> Outcome:
    """The ranks' outcomes as that of one process: means of values and of what averaging gradients would give."""
    parts = [found[key] for found in ranks]
    rows = {name: torch.cat([part[name] for part in parts]) / 2 for name in ("image_ND", "text_ND")}
    return rows | {name: (parts[0][name] + parts[1][name]) / 2 for name in ("value", "logit_scale")}


def _by_text(outcome: Outcome, pairs: Pairs, size: int = 1) -> Outcome:
    """Text gradients summed over the pairs of a rank with the same text, on each text's first row of that rank."""
    summed = torch.zeros_like(outcome["text_ND"])
    for rank in range(size):
        first: dict[int, int] = {}
        for row in range(rank * len(pairs) // size, (rank + 1) * len(pairs) // size):
            summed[first.setdefault(int(pairs.text_N[row]), row)] += outcome["text_ND"][row]
    return outcome | {"text_ND": summed}


@pytest.mark.parametrize("flags", FLAGS)
def test_infonce_is_clip_loss(two_ranks: list[dict], flags: tuple[bool, bool]):
    for name, pairs in BATCHES.items():
        _assert_equal(_infonce(pairs, ONE_RANK, flags), _clip_loss(pairs, ONE_RANK, flags), 1e-12)
        for found in two_ranks:
            _assert_equal(found["infonce", name, flags], found["ClipLoss", name, flags], 1e-12)


def test_siglip_is_sig_lip_loss(two_ranks: list[dict]):
    for name, pairs in BATCHES.items():
        _assert_equal(_siglip(pairs, ONE_RANK), _siglip_loss(pairs, ONE_RANK), 1e-12)
        for found in two_ranks:
            _assert_equal(found["siglip", name], found["SigLipLoss", name], 1e-12)


def test_two_ranks_give_the_loss_and_gradients_of_one(two_ranks: list[dict]):
    for name, pairs in BATCHES.items():
        for local_loss in (False, True):
            expected = _infonce(pairs, ONE_RANK, (False, False))
            _assert_equal(_of_all(two_ranks, ("infonce", name, (local_loss, True))), expected, 1e-10)
        _assert_equal(_of_all(two_ranks, ("siglip", name)), _siglip(pairs, ONE_RANK), 1e-10)


def test_without_gathered_gradients_two_ranks_give_others(two_ranks: list[dict]):
    expected = _infonce(BATCHES["random 5"], ONE_RANK, (False, False))
    for local_loss in (False, True):
        found = _of_all(two_ranks, ("infonce", "random 5", (local_loss, False)))
        torch.testing.assert_close(found["value"], expected["value"])
        assert (found["image_ND"] - expected["image_ND"]).abs().max() > 1e-3


@pytest.mark.parametrize("name", BATCHES)
def test_multi_positive_is_soft_targets_over_all_pairs(two_ranks: list[dict], name: str):
    pairs = BATCHES[name]
    expected = _soft_targets(pairs)
    _assert_equal(_multi_positive(pairs, ONE_RANK), _by_text(expected, pairs), 1e-10)
    _assert_equal(_of_all(two_ranks, ("multi_positive", name)), _by_text(expected, pairs, size=2), 1e-10)


def test_multi_positive_of_unique_taxa_is_clip_loss():
    pairs = BATCHES["unique"]
    _assert_equal(_multi_positive(pairs, ONE_RANK), _clip_loss(pairs, ONE_RANK, (False, False)), 1e-12)


def test_a_shared_name_has_its_target_split_by_its_counts():
    """The contract's first form, with the targets q of images and r of texts written out."""
    pairs = BATCHES["shared name"]
    texts, text_VD = pairs.texts()
    logits_NV = pairs.logit_scale.exp() * pairs.image_ND @ text_VD.T
    count_V, taxa = texts.count_V.double(), pairs.taxon_N
    num_NV = torch.stack([texts.inverse_N[taxa == y].bincount(minlength=len(count_V)) for y in taxa]).double()
    size_N = torch.tensor([(taxa == y).sum() for y in taxa])
    q_NV = num_NV / size_N[:, None]
    r_VN = num_NV.T / (count_V[:, None] * size_N)
    assert r_VN[0].tolist() == pytest.approx([2 / 9, 2 / 9, 1 / 6, 2 / 9, 1 / 6, 0])  # 2 of 3 to taxon 1, 1 of 3 to 2
    image_side = ((logits_NV.exp() * count_V).sum(1).log() - (q_NV * logits_NV).sum(1)).mean()
    text_side = (count_V * (logits_NV.exp().sum(0).log() - (r_VN * logits_NV.T).sum(1))).sum() / len(pairs)
    found = _multi_positive(pairs, ONE_RANK)["value"]
    torch.testing.assert_close(found, (image_side + text_side) / 2, rtol=0, atol=1e-12)


def test_multi_positive_of_equal_pairs_is_log_of_their_number():
    pairs = given_pairs([1, 1, 1], [7, 7, 7])
    pairs = replace(pairs, image_ND=pairs.text_ND)
    assert _multi_positive(pairs, ONE_RANK)["value"].item() == pytest.approx(1.0986122886681098, abs=1e-12)


def _all_losses(pairs: Pairs, scale: torch.Tensor) -> list[torch.Tensor]:
    texts, text_VD = pairs.texts()
    return [
        infonce(pairs.image_ND, pairs.text_ND, scale, ONE_RANK),
        siglip(pairs.image_ND, pairs.text_ND, scale, BIAS.to(scale.dtype), ONE_RANK),
        multi_positive(pairs.image_ND, texts, text_VD, pairs.taxon_N, scale, ONE_RANK),
    ]


def test_losses_are_fp32_under_autocast():
    pairs = BATCHES["random 14"]
    low = replace(pairs, image_ND=pairs.image_ND.bfloat16(), text_ND=pairs.text_ND.bfloat16())
    wide = replace(pairs, image_ND=low.image_ND.double(), text_ND=low.text_ND.double())
    scale = torch.tensor(100.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = _all_losses(low, scale)
    for value, exact in zip(found, _all_losses(wide, scale.double()), strict=True):
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(exact.item(), rel=1e-5)


class _NoTf32(TorchDispatchMode):
    """Fails at matrix products while TF32 is allowed; counts them."""

    num_products = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.name().split("::")[1].split(".")[0] in ("mm", "addmm", "bmm"):
            self.num_products += 1
            assert not torch.backends.cuda.matmul.allow_tf32
        return func(*args, **(kwargs or {}))


def test_logits_are_made_without_tf32():
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        with _NoTf32() as mode:
            _all_losses(BATCHES["random 14"], torch.tensor(10.0))
        assert mode.num_products >= 5
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


class _NoWaiting(TorchDispatchMode):
    """Fails at operations whose result the host must know, and so waits for on CUDA."""

    WAITING = ("_local_scalar_dense", "nonzero", "unique", "masked_select", "bincount", "equal", "repeat_interleave")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().split("::")[1].split(".")[0]
        assert not name.startswith(self.WAITING), f"{name} makes the host wait"
        return func(*args, **(kwargs or {}))


def test_losses_do_not_make_the_host_wait():
    pairs = BATCHES["random 14"]
    texts, text_VD = pairs.texts()
    leaves = [pairs.image_ND, pairs.text_ND, text_VD, pairs.logit_scale]
    image_ND, text_ND, text_VD, logit_scale = (leaf.clone().requires_grad_() for leaf in leaves)
    with pytest.raises(AssertionError, match="_local_scalar_dense"), _NoWaiting():
        image_ND.sum().item()
    with _NoWaiting():
        scale = scale_of(logit_scale)
        infonce(image_ND, text_ND, scale, ONE_RANK).backward(retain_graph=True)
        siglip(image_ND, text_ND, scale, BIAS, ONE_RANK).backward(retain_graph=True)
        multi_positive(image_ND, texts, text_VD, pairs.taxon_N, scale, ONE_RANK).backward()


@pytest.mark.parametrize(("logit_scale", "scale"), [(0.0, 1.0), (2.6592, 14.2848), (4.60517019, 100.0), (9.0, 100.0)])
def test_scale_is_at_most_100_and_can_come_down_again(logit_scale: float, scale: float):
    leaf = torch.tensor(logit_scale, requires_grad=True)
    found = scale_of(leaf)
    found.backward()
    assert found.item() <= 100.0
    assert found.item() == pytest.approx(scale, rel=1e-4)
    assert leaf.grad is not None
    assert leaf.grad.item() == pytest.approx(torch.tensor(logit_scale).exp().item())


TWO = replace(ONE_RANK, size=2)


def test_published_gradients_are_warned_of_once(caplog: pytest.LogCaptureFixture):
    loss_module._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING, "trainer.steps.loss"):
        check_loss("infonce", False, True, TWO, None)
        check_loss("infonce", True, False, ONE_RANK, None)
        check_loss("infonce", False, False, replace(TWO, rank=1), None)
        assert not caplog.messages
        for _ in range(3):
            check_loss("infonce", False, False, TWO, None)
    (message,) = caplog.messages
    assert "as published" in message and "--gather-with-grad" in message


def test_siglip_says_that_it_ignores_flags(caplog: pytest.LogCaptureFixture):
    loss_module._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING, "trainer.steps.loss"):
        check_loss("siglip", False, False, TWO, BIAS)
        assert not caplog.messages
        check_loss("siglip", True, False, TWO, BIAS)
    assert "ignores --local-loss" in caplog.text


@pytest.mark.parametrize(
    ("loss", "ranks", "says"),
    [
        ("multi_positive", TWO, "--gather-with-grad"),
        ("siglip", ONE_RANK, "logit bias"),
        ("clip", ONE_RANK, "infonce, multi_positive, siglip"),
    ],
)
def test_what_cannot_train_is_refused(loss: str, ranks: Ranks, says: str):
    with pytest.raises(BadInputError, match=says):
        check_loss(loss, False, False, ranks, None)


def test_multi_positive_is_allowed_with_all_gradients_or_alone():
    check_loss("multi_positive", False, True, TWO, None)
    check_loss("multi_positive", False, False, ONE_RANK, None)
