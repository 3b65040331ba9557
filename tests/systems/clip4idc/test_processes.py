"""Two processes of batch b compute the losses and the gradients of one process of batch 2 b, in both stages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from idc.data.batch import Batch
from idc.systems.clip4idc import CLIP4IDC
from idc.training.loop import Losses, Sealed
from tests.systems.clip4idc.tiny import batch, build
from tests.systems.test_negatives import rows

STAGES = {"adapt": {}, "adapt, unchanged": {"unchanged": "negatives"}, "caption": {}}


def system_in(stage: str) -> CLIP4IDC:
    system = build(freeze_layers=-1, duplicates="ignored", **STAGES[stage])
    system.begin(stage.split(",")[0])
    trained = {id(parameter) for parameter in system.trained_parameters()}
    for parameter in system.parameters():
        parameter.requires_grad_(id(parameter) in trained)
    return system


def data() -> Batch:
    """Sentences of several lengths, one of them in both halves."""
    both = batch(size=4)
    both.change.words[3] = both.change.words[0]
    return both


def loss_and_gradients(system: CLIP4IDC, losses: torch.nn.Module, part: Batch) -> dict[str, torch.Tensor]:
    (loss,) = losses(Sealed(part)).values()
    loss.backward()
    gradients = {name: p.grad.clone() for name, p in system.named_parameters() if p.grad is not None}
    return gradients | {"loss": loss.detach().clone()}


def worker(rank: int, folder: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    part, both = slice(2 * rank, 2 * rank + 2), data()
    mine = rows(both, part)
    for stage in STAGES:
        system = system_in(stage)
        wrapped = DistributedDataParallel(Losses(system), find_unused_parameters=True)
        result = loss_and_gradients(system, wrapped, mine)
        dist.all_reduce(result["loss"])
        torch.save(result | {"loss": result["loss"] / 2}, f"{folder}/{stage}{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.distributed
def test_two_processes_equal_one(tmp_path: Path) -> None:
    mp.spawn(worker, args=(str(tmp_path),), nprocs=2)
    for stage in STAGES:
        system = system_in(stage)
        expected = loss_and_gradients(system, Losses(system), data())
        assert expected["pair.joint_positional_embedding"].abs().max() > 1e-4
        for rank in range(2):
            result = torch.load(tmp_path / f"{stage}{rank}.pt", weights_only=True)
            assert result.keys() == expected.keys()
            for name, value in expected.items():
                assert torch.allclose(result[name], value, atol=1e-10), (stage, name)
