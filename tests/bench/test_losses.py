"""The toy problem of the losses: fair to both, and its figures as worked by hand."""

import pytest
import torch

from bench.losses import LOSSES, MAX_SEEDS, STUDENT_T_975, Difference, main, paired_difference, render
from bench.losses_toy import (
    NUM_KINDS,
    NUM_SPECIES,
    VOCABULARY,
    ToyProblem,
    ToyTowers,
    TrainOptions,
    balanced_accuracy,
    train,
)

pytestmark = pytest.mark.torch
SHORT = TrainOptions(steps=12, batch_size=64)


@pytest.fixture(scope="module")
def problem():
    torch.set_num_threads(1)
    return ToyProblem.make(0, 3000)


def trained(problem, loss, options=SHORT):
    torch.manual_seed(0)
    towers = ToyTowers()
    train(towers, problem, loss, 0, options)
    return towers


def test_the_interval_is_students():
    found = paired_difference([0.5, 0.7, 0.9], [0.4, 0.5, 0.6])  # differences 0.1, 0.2, 0.3: mean 0.2, s 0.1
    half = 4.303 * 0.1 / 3**0.5
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, 0.2 - half, 0.2 + half))
    assert paired_difference([1.0, 2.0], [1.0, 2.0]) == Difference(0, 0, 0)
    assert list(STUDENT_T_975) == sorted(STUDENT_T_975, reverse=True)
    t = torch.distributions.StudentT(torch.arange(1.0, MAX_SEEDS)).sample(torch.Size([200_000])).abs()
    torch.testing.assert_close(t.quantile(0.95, dim=0)[1:], torch.tensor(STUDENT_T_975)[1:], rtol=0.03, atol=0)


def test_a_difference_says_what_it_shows():
    assert str(Difference(0.02, 0.01, 0.03)) == "+2.0 (+1.0 to +3.0), better"
    assert str(Difference(-0.02, -0.03, -0.01)).endswith("worse")
    assert str(Difference(0.02, -0.01, 0.05)).endswith("no difference shown")


def test_the_tail_is_long_and_captions_tell_species_apart(problem):
    counts = problem.train_taxon_N.bincount(minlength=NUM_SPECIES)
    assert counts[:10].sum() > 2 * counts[NUM_SPECIES // 2 :].sum() > 0
    texts = problem.token_KCL.flatten(0, 1)
    assert len(texts.unique(dim=0)) == NUM_SPECIES * NUM_KINDS
    assert 0 < texts.max() < VOCABULARY


def test_batches_repeat_by_seed_and_bring_each_picture_once_an_epoch(problem):
    first, second = (problem.batches(1000, seed=3) for _ in range(2))
    epoch = [next(first) for _ in range(3)]
    for batch in epoch:
        same = next(second)
        assert torch.equal(batch.image_BHWC, same.image_BHWC) and torch.equal(batch.token_BL, same.token_BL)
    pictures = torch.cat([batch.image_BHWC for batch in epoch])
    assert len(pictures.unique(dim=0)) == len(problem.train_NP)
    assert not torch.equal(epoch[0].image_BHWC, next(problem.batches(1000, seed=4)).image_BHWC)
    for batch in epoch:  # captions belong to the pictures' species
        of_species = problem.token_KCL[batch.taxon_B]
        assert (of_species == batch.token_BL[:, None]).all(-1).any(-1).all()


def test_training_teaches_the_same_from_the_same_start_and_each_loss_something_else(problem):
    torch.manual_seed(0)
    before = balanced_accuracy(ToyTowers(), problem)
    once, again = (trained(problem, "multi_positive") for _ in range(2))
    other = trained(problem, "infonce")
    assert all(map(torch.equal, once.parameters(), again.parameters()))
    assert not torch.equal(next(once.parameters()), next(other.parameters()))
    for towers in (once, other):
        assert balanced_accuracy(towers, problem)[0] > 3 * before[0]


def test_accuracy_is_balanced_over_species_and_over_the_rarer_half(problem):
    class Perfect:
        """Knows every species but the commonest."""

        def encode_text(self, token_VL):
            return torch.eye(NUM_SPECIES).repeat_interleave(NUM_KINDS, dim=0)

        def encode_image(self, picture_NP):
            unit = torch.eye(NUM_SPECIES).repeat_interleave(len(picture_NP) // NUM_SPECIES, dim=0)
            unit[unit[:, 0] == 1] = unit[-1].clone()
            return unit

    assert balanced_accuracy(Perfect(), problem) == pytest.approx((1 - 1 / NUM_SPECIES, 1.0))  # pyright: ignore


def test_the_whole(capsys, monkeypatch):
    monkeypatch.setattr("bench.losses.FEW_PICTURES", 2000)
    assert main(["--seeds", "2", "--steps", "4"]) == 0
    printed = capsys.readouterr().out
    assert "4 steps, 2,048 pictures, each once" in printed and "2,000 pictures, each 1.02 times" in printed
    for loss in LOSSES:
        assert printed.count(f"\n| {loss} |") == 2
    assert printed.count("| rarer half |") == 2
    with pytest.raises(SystemExit):
        main(["--seeds", "1"])


def test_the_table_shows_means_and_the_difference_of_ours_to_the_published():
    printed = render({"infonce": [(0.5, 0.4), (0.6, 0.5)], "multi_positive": [(0.6, 0.5), (0.7, 0.6)]}, "T")
    assert "| infonce | 50.0 / 40.0 | 60.0 / 50.0 | 55.0 / 45.0 |" in printed
    assert "| all species | +10.0 (+10.0 to +10.0), better |" in printed
