"""Two processes of batch b compute the loss and the gradient of one process of batch 2 b."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import replace
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


def rows(data: Batch, part: slice) -> Batch:
    """Some rows of a batch, whose passes begin with the same pictures."""
    change, no_change = (
        Pairs(data.change.before[part], pairs.after[part], pairs.words[part], pairs.image_ids[part])
        for pairs in data.passes()
    )
    return Batch(change, replace(no_change, before=change.before))


def loss_and_gradients(
    system: ScorerCBR, losses: torch.nn.Module, data: Batch, in_portions: bool = False
) -> dict[str, torch.Tensor]:
    """Also a portion at a time, as in training."""
    system.zero_grad()
    portions = system.portions(data) if in_portions else (None,)
    found: dict[str, torch.Tensor] = {}
    for number, portion in enumerate(portions, start=1):
        waits = number < len(portions) and isinstance(losses, DistributedDataParallel)
        with losses.no_sync() if waits else nullcontext():  # type: ignore[operator]
            parts = losses(Sealed(data, portion))
            total = sum(WEIGHTS[name] * value for name, value in parts.items())
            assert isinstance(total, torch.Tensor)
            total.backward()
        found |= {f"loss {n}": found.get(f"loss {n}", 0.0) + value.detach() for n, value in parts.items()}
    return found | {n: p.grad.clone() for n, p in system.named_parameters() if p.grad is not None}


def worker(rank: int, folder: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    system = build()
    data = rows(batch(size=4), slice(2 * rank, 2 * rank + 2))
    wrapped = DistributedDataParallel(Losses(system), find_unused_parameters=True)
    for in_portions in (False, True):
        result = loss_and_gradients(system, wrapped, data, in_portions)
        for name, value in result.items():
            if name.startswith("loss "):
                dist.all_reduce(value.div_(2))
        torch.save(result, f"{folder}/{rank} {in_portions}.pt")
    dist.destroy_process_group()


@pytest.mark.distributed
def test_two_processes_equal_one(tmp_path: Path) -> None:
    """All losses at once, and a portion after the other."""
    mp.spawn(worker, args=(str(tmp_path),), nprocs=2)
    system = build()
    expected = loss_and_gradients(system, Losses(system), rows(batch(size=4), slice(4)))
    results = [torch.load(file, weights_only=True) for file in tmp_path.glob("*.pt")]
    assert len(results) == 4
    for result in results:
        assert set(expected) <= set(result)
        for name, value in expected.items():
            assert torch.allclose(result[name], value, atol=1e-10), name
