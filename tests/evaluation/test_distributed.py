"""Where a process computes, and which share is its own. Two real processes: test_run_config.py."""

import pytest
import torch

from evaluation import distributed as ranks
from evaluation.distributed import ALONE, find_device, process_group
from taxonomy.errors import BadInputError

pytestmark = pytest.mark.torch

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


@pytest.fixture
def launcher(monkeypatch):
    """Sets torchrun's variables; None removes one."""

    def set_variables(**changes):
        for name, value in (TORCHRUN | changes).items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    set_variables(**dict.fromkeys(TORCHRUN))
    return set_variables


@pytest.fixture
def group(monkeypatch):
    """Stands for torch's process group; what was asked of it, in order."""
    calls = []
    monkeypatch.setattr(ranks.distributed, "init_process_group", lambda backend, **more: calls.append((backend, more)))
    monkeypatch.setattr(ranks.distributed, "destroy_process_group", lambda: calls.append("left"))
    return calls


def test_one_process_does_everything_without_a_group(launcher, group):
    with process_group("cpu") as place:
        assert (place.share, place.device) == (ALONE, torch.device("cpu"))
    launcher(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0")
    with process_group("cpu") as place:
        assert place.share == ALONE
    assert group == []


def test_a_rank_has_its_share_and_leaves_the_group_whatever_happens(launcher, group):
    launcher()
    with pytest.raises(KeyError), process_group("cpu") as place:
        assert (place.share.rank, place.share.size) == (1, 2)
        assert [name for name, *_ in group] == ["gloo"]
        raise KeyError
    assert group[1:] == ["left"]


def test_a_sum_leaves_the_ranks_own_part_as_it_is(monkeypatch):
    monkeypatch.setattr(ranks.distributed, "all_reduce", lambda tensor: tensor.mul_(2))
    own = torch.tensor([1.0, 2.0])
    assert ranks.sum_over_ranks(own).tolist() == [2.0, 4.0]
    assert own.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"MASTER_PORT": None}, "RANK is set, MASTER_PORT not: start the processes with torchrun or --nproc"),
        ({"LOCAL_RANK": None, "MASTER_ADDR": None}, "RANK is set, LOCAL_RANK, MASTER_ADDR not"),
        ({"RANK": "one"}, "RANK, WORLD_SIZE, LOCAL_RANK are 'one 2 1': must be whole numbers"),
        ({"RANK": "2"}, "RANK=2 is no rank among WORLD_SIZE=2: 0 to 1"),
    ],
)
def test_half_of_torchruns_variables_are_refused(launcher, group, changes, expected):
    launcher(**changes)
    with pytest.raises(BadInputError, match=expected), process_group("cpu"):
        pass
    assert group == []


def test_each_rank_of_a_machine_takes_its_own_gpu(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert [find_device(None, 1), find_device("cuda", 0), find_device("cuda:1", 0)] == [
        torch.device("cuda", index) for index in (1, 0, 1)
    ]
    assert chosen == [1, 0, 1]
    assert find_device("cpu", 1) == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpu", "--device gpu: unknown; allowed are cpu, cuda, cuda:N and mps"),
        ("cuda:1", "--device cuda:1: no GPU 1, this machine shows 1"),
        ("mps", "--device mps: not there on this machine; use cpu"),
    ],
)
def test_a_device_that_is_not_there_is_refused(monkeypatch, name, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(BadInputError, match=expected):
        find_device(name)
