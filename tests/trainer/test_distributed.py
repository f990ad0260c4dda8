"""Ranks: their places, gathered rows and gradients, and what cannot start."""

import time
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import distributed as dist

from taxonomy.errors import BadInputError
from tests.trainer.two_ranks import ONE_RANK, join, on_two_ranks
from trainer import distributed
from trainer.distributed import (
    Ranks,
    all_sum,
    any_rank,
    average_gradients,
    broadcast_parameters,
    from_first,
    gather,
    gather_objects,
    gather_with_grad,
    mean_over_ranks,
    start,
    stop,
)

pytestmark = pytest.mark.torch

LAUNCHERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
SLURM = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")


def _parameters(rank: int) -> list[torch.nn.Parameter]:
    """Several dtypes and shapes, one locked; gradients that tell ranks apart."""
    parameters = [
        torch.nn.Parameter(torch.zeros(shape, dtype=dtype))
        for dtype in (torch.float32, torch.float64, torch.bfloat16)
        for shape in ((3, 2), (), (5,), (2, 2, 2))
    ]
    for number, parameter in enumerate(parameters):
        parameter.grad = torch.full_like(parameter, number + 10 * rank)
    parameters[2].grad = None
    assert parameters[0].grad is not None
    parameters[0].grad = (torch.arange(6.0).reshape(2, 3) * (rank + 1)).T  # as of channels_last: other strides
    return parameters


def _module(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    module.get_buffer("1.running_mean").normal_()
    module.get_buffer("1.num_batches_tracked").fill_(seed)
    module.register_parameter("scale", torch.nn.Parameter(torch.randn(())))
    return module


def _on_a_rank(folder: Path, ranks: Ranks) -> dict:
    found: dict = {"place": (ranks.rank, ranks.size, ranks.local_rank, ranks.device.type, ranks.is_first)}
    own = torch.arange(6.0).reshape(3, 2).double().add(100 * ranks.rank).requires_grad_()
    found["gather"] = gather(own, ranks)
    rows = gather_with_grad(own, ranks)
    (rows * (1 + ranks.rank) * torch.arange(1.0, 7.0)[:, None]).sum().backward()
    found["rows"], found["gradient"] = rows.detach(), own.grad

    distributed.BUCKET_ELEMENTS = 5  # several buckets a dtype, and tensors larger than any
    calls = _count_all_reduces()
    parameters = _parameters(ranks.rank)
    average_gradients(parameters, ranks)
    found["averaged"], found["num_all_reduces"] = [parameter.grad for parameter in parameters], len(calls)

    module = _module(seed=ranks.rank)
    broadcast_parameters(module, ranks)
    found["module"] = module.state_dict()
    found["mean"] = mean_over_ranks(torch.tensor(float(ranks.rank), requires_grad=True), ranks)
    found["sums"] = all_sum({"all": 1.5, f"only/{ranks.rank}": 2.0}, ranks)
    found["objects"] = gather_objects({"cursor": ranks.rank}, ranks)
    found["first"] = from_first({"name": f"run of {ranks.rank}"}, ranks)
    found["flags"] = [any_rank(flag, ranks) for flag in (False, True, ranks.rank == 1)]
    stop(ranks)
    found["left"] = not dist.is_initialized()
    return found | {"timeout": _time_to_give_up(folder, ranks)}


def _count_all_reduces() -> list[int]:
    calls: list[int] = []
    all_reduce = dist.all_reduce

    def counted(tensor: torch.Tensor, *args, **kwargs) -> object:
        calls.append(tensor.numel())
        return all_reduce(tensor, *args, **kwargs)

    dist.all_reduce = counted
    return calls


def _time_to_give_up(meeting: Path, ranks: Ranks) -> float:
    """Seconds until rank 0 gives up on a rank that does not come, in a group whose timeout is 2 seconds."""
    join(meeting, ranks.rank, "again", timeout_s=2)
    begin = time.monotonic()
    if ranks.is_first:
        with pytest.raises(RuntimeError):
            any_rank(True, ranks)
        (meeting / "given up").touch()
    while not (meeting / "given up").exists():
        time.sleep(0.05)
        assert time.monotonic() - begin < 60
    return time.monotonic() - begin


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    folder = tmp_path_factory.mktemp("ranks")
    return on_two_ranks(partial(_on_a_rank, folder), folder)


def test_ranks_know_their_place(two_ranks: list[dict]):
    assert [found["place"] for found in two_ranks] == [(0, 2, 0, "cpu", True), (1, 2, 1, "cpu", False)]
    assert all(found["left"] for found in two_ranks)


def test_gathered_rows_are_in_the_order_of_ranks(two_ranks: list[dict]):
    own = torch.arange(6.0).reshape(3, 2).double()
    for found in two_ranks:
        assert torch.equal(found["gather"], torch.cat([own, own + 100]))
        assert torch.equal(found["rows"], found["gather"])
        assert not found["gather"].requires_grad


def test_gathered_rows_take_the_gradients_of_all_ranks(two_ranks: list[dict]):
    weight = torch.arange(1.0, 7.0).double()[:, None].expand(6, 2) * 3  # 1 of rank 0 + 2 of rank 1
    assert torch.equal(torch.cat([found["gradient"] for found in two_ranks]), weight)


def test_gradients_are_averaged_once(two_ranks: list[dict]):
    for found in two_ranks:
        for number, (gradient, parameter) in enumerate(zip(found["averaged"], _parameters(0), strict=True)):
            if number == 2:
                assert gradient is None
            elif number == 0:
                assert torch.equal(gradient, (torch.arange(6.0).reshape(2, 3) * 1.5).T)
            else:
                assert torch.equal(gradient, torch.full_like(parameter, number + 5))
    # fp32 6, 1, 8; fp64 and bf16 6, 1, 5, 8
    assert [found["num_all_reduces"] for found in two_ranks] == [11, 11]


def test_all_ranks_begin_with_the_parameters_and_buffers_of_the_first(two_ranks: list[dict]):
    expected = _module(seed=0).state_dict()
    for found in two_ranks:
        assert found["module"].keys() == expected.keys()
        assert all(torch.equal(found["module"][name], expected[name]) for name in expected)


def test_means_sums_flags_and_objects_of_all_ranks(two_ranks: list[dict]):
    for found in two_ranks:
        assert found["mean"].item() == 0.5 and not found["mean"].requires_grad
        assert found["sums"] == {"all": 3.0, "only/0": 2.0, "only/1": 2.0}
        assert list(found["sums"]) == sorted(found["sums"])
        assert found["flags"] == [False, True, True]
        assert found["first"] == {"name": "run of 0"}
    assert [found["objects"] for found in two_ranks] == [[{"cursor": 0}, {"cursor": 1}], None]


def test_a_rank_that_does_not_come_is_not_waited_for_forever(two_ranks: list[dict]):
    assert 1 < two_ranks[0]["timeout"] < 30


def test_one_rank_needs_no_group():
    own = torch.ones(2, 3, requires_grad=True)
    assert gather_with_grad(own, ONE_RANK) is own
    assert torch.equal(gather(own, ONE_RANK), own) and not gather(own, ONE_RANK).requires_grad
    parameters = _parameters(1)
    average_gradients(parameters, ONE_RANK)
    assert parameters[1].grad is not None and parameters[1].grad.item() == 11
    module = _module(0)
    broadcast_parameters(module, ONE_RANK)
    assert torch.equal(module.state_dict()["scale"], _module(0).state_dict()["scale"])
    loss = torch.tensor(3.0, requires_grad=True)
    mean = mean_over_ranks(loss, ONE_RANK)
    assert mean.item() == 3.0 and not mean.requires_grad
    assert all_sum({"b": 1, "a": 2}, ONE_RANK) == {"a": 2, "b": 1}
    assert gather_objects("x", ONE_RANK) == ["x"]
    assert from_first("x", ONE_RANK) == "x"
    assert any_rank(True, ONE_RANK) and not any_rank(False, ONE_RANK)
    stop(ONE_RANK)


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment without a launcher, to be changed, and a process group that is not really joined."""
    for name in (*LAUNCHERS, *SLURM):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def joined(launcher: pytest.MonkeyPatch) -> list[dict]:
    """The arguments of every joining of a process group."""
    calls: list[dict] = []
    launcher.setattr(dist, "init_process_group", lambda backend, **named: calls.append({"backend": backend, **named}))
    launcher.setenv("MASTER_ADDR", "localhost")
    launcher.setenv("MASTER_PORT", "1")
    return calls


def test_without_a_launcher_there_is_one_rank(joined: list[dict]):
    assert start(device="cpu") == ONE_RANK
    assert joined == []


@pytest.mark.parametrize(
    "variables",
    [
        {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "SLURM_PROCID": "0", "SLURM_NTASKS": "2"},
        {"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1"},
        {"SLURM_PROCID": "5", "SLURM_NTASKS": "16", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1"},
    ],
)
def test_launchers_tell_the_place(joined: list[dict], launcher: pytest.MonkeyPatch, variables: dict[str, str]):
    for name, value in variables.items():
        launcher.setenv(name, value)
    assert start(device="cpu") == replace(ONE_RANK, rank=5, size=8, local_rank=1)
    (call,) = joined
    assert (call["backend"], call["rank"], call["world_size"], call["init_method"]) == ("gloo", 5, 8, "env://")
    assert timedelta(minutes=10) <= call["timeout"] <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("variables", "options", "says"),
    [
        ({"RANK": "x", "WORLD_SIZE": "2"}, {}, "whole numbers"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, {}, "RANK=2"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, {}, "MASTER_ADDR and MASTER_PORT"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, {"backend": "nccl"}, "--dist-backend nccl"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, {"backend": "mpi"}, "--dist-backend mpi"),
        ({}, {"device": "gpu"}, "--device gpu"),
        ({}, {"device": "cuda:99"}, "no GPU 99"),
    ],
)
def test_what_cannot_start_is_refused(
    launcher: pytest.MonkeyPatch, variables: dict[str, str], options: dict[str, str], says: str
):
    for name, value in variables.items():
        launcher.setenv(name, value)
    with pytest.raises(BadInputError, match=says):
        start(**{"device": "cpu", **options})
