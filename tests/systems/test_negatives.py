"""Two processes of batch b compute the loss and the gradient of one process of batch 2 b."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from idc.data.batch import Batch, Pairs
from idc.systems.scorer_cbr import ScorerCBR
from idc.training.loop import Losses, Sealed
from tests.systems.test_scorer_cbr import batch, build

WEIGHTS = {"caption": 1.0, "cross_view": 0.1, "cross_modal": 0.001}


def rows(pairs: Pairs, part: slice) -> Pairs:
    return Pairs(pairs.before[part], pairs.after[part], pairs.words[part], pairs.image_ids[part])


def loss_and_gradients(system: ScorerCBR, losses: torch.nn.Module, data: Batch) -> dict[str, torch.Tensor]:
    parts = losses(Sealed(data))
    total = sum(WEIGHTS[name] * value for name, value in parts.items())
    assert isinstance(total, torch.Tensor)
    total.backward()
    gradients = {n: p.grad.clone() for n, p in system.named_parameters() if p.grad is not None}
    return gradients | {f"loss {name}": value.detach() for name, value in parts.items()}


def worker(rank: int, folder: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    system = build()
    data = batch(size=4)
    part = slice(2 * rank, 2 * rank + 2)
    wrapped = DistributedDataParallel(Losses(system), find_unused_parameters=True)
    result = loss_and_gradients(system, wrapped, Batch(rows(data.change, part), rows(data.no_change, part)))
    mean = {name: value.clone() for name, value in result.items() if name.startswith("loss ")}
    for value in mean.values():
        dist.all_reduce(value)
    torch.save(result | {name: value / 2 for name, value in mean.items()}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.distributed
def test_two_processes_equal_one(tmp_path: Path) -> None:
    mp.spawn(worker, args=(str(tmp_path),), nprocs=2)
    system = build()
    expected = loss_and_gradients(system, Losses(system), batch(size=4))
    for rank in range(2):
        result = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert set(expected) <= set(result)
        for name, value in expected.items():
            assert torch.allclose(result[name], value, atol=1e-10), name
