"""One loop for every system: batches in, snapshots out.

What a step does depends on the state of model and optimiser and on (seed, step, process) alone: batches come from
`StepSampler`, dropout from a generator seeded per step, the learning rate from a formula. So a run that was killed
and resumed gives the curve of one that never was.
"""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from idc.captioner.search import Search
from idc.config import Config, OptimConfig, model_config, save_config
from idc.data.batch import Batch
from idc.data.clevr_change import ClevrChange, read_labels
from idc.data.grids import open_grids
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.files import atomic_write
from idc.systems import system_class
from idc.systems.system import System
from idc.training.checkpoint import (
    SnapshotFacts,
    load_state,
    prune_snapshots,
    save_snapshot,
    save_state,
    snapshot_steps,
)
from idc.training.log import METRICS, make_loggers, truncate_metrics
from idc.training.sampler import StepSampler
from idc.training.validate import caption_split, score_split

PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


class Losses(nn.Module):
    """A system's losses as a forward pass, which is what data-parallel training wraps."""

    def __init__(self, system: System):
        super().__init__()
        self.system = system

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return self.system.losses(batch)


def learning_rate(optim: OptimConfig, step: int, steps: int, steps_per_epoch: int) -> float:
    """The learning rate of step `step` (from 0)."""
    if step < optim.warmup:
        return optim.lr * (step + 1) / optim.warmup
    if optim.schedule == "cosine":
        share = (step - optim.warmup) / max(1, steps - optim.warmup)
        return optim.lr * 0.5 * (1 + math.cos(math.pi * share))
    if optim.schedule == "step":
        return optim.lr * optim.gamma ** (step // steps_per_epoch // optim.step_epochs)
    return optim.lr


def open_split(config: Config, split: str) -> ClevrChange:
    """A split of the configured data."""
    data = config.data
    own = getattr(data, split)
    return ClevrChange(
        data.root,
        split,
        open_grids(data.path("grids"), split),
        read_labels(data.path("labels")),
        Vocabulary.from_json(data.path("vocabulary")),
        max_samples=own.max_samples,
        swap=own.swap,
        reversal=own.reversal,
        seed=config.seed,
    )


def build_system(config: Config, data: ClevrChange) -> System:
    """A fresh system for the data, initialised from the seed."""
    torch.manual_seed(config.seed)
    max_words = data.labels[""].labels.shape[1]
    return system_class(config.system).build(
        model_config(config), data.vocabulary, data.grids.shape, max_words
    )


def make_fabric(config: Config) -> Any:
    """Lightning Fabric on the configured devices, or on those torchrun gives."""
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

    local = int(os.environ.get("LOCAL_WORLD_SIZE", config.train.devices))
    nodes = int(os.environ.get("WORLD_SIZE", local)) // local
    # A weight may go unused in a step: the similarities of all but the last encoder layer are not computed.
    strategy: Any = DDPStrategy(find_unused_parameters=True) if local * nodes > 1 else "auto"
    fabric = Fabric(
        accelerator=config.train.accelerator,
        devices=local,
        num_nodes=nodes,
        strategy=strategy,
        precision=PRECISION[config.train.precision],
    )
    fabric.launch()
    return fabric


def prepare_run(config: Config, resume: bool) -> Path:
    """The run's folder. Raises UserError instead of mixing two runs in one folder."""
    run = config.run_folder
    if not resume and (snapshot_steps(run) or (run / METRICS).is_file()):
        raise UserError(
            f"{run} already holds a run. Continue it with --resume, give this one another name (exp_name=…), "
            f"or delete {run}."
        )
    run.mkdir(parents=True, exist_ok=True)
    return run


def check_finite(step: int, parts: dict[str, Tensor], batch: Batch, run: Path) -> None:
    """Raises UserError when a loss is nan or infinite."""
    if all(bool(torch.isfinite(value)) for value in parts.values()):
        return
    values = ", ".join(f"{name} = {value.item():.4g}" for name, value in parts.items())
    scenes = ", ".join(batch.change.image_ids[:8])
    raise UserError(
        f"step {step}: the loss is not a finite number ({values}; scenes {scenes} …). The state before it is kept in "
        f"{run}. Lower optim.lr, set optim.clip=1.0 or train in fp32, and continue with --resume."
    )


def train(config: Config, resume: bool = False) -> Path:
    """Train as configured; returns the run's folder. See the module's first lines."""
    fabric = make_fabric(config)
    if fabric.is_global_zero:
        run = prepare_run(config, resume)
    fabric.barrier()
    run = config.run_folder
    data = open_split(config, "train")
    system = build_system(config, data)
    trained = list(system.trained_parameters())
    chosen = {id(parameter) for parameter in trained}
    for parameter in system.parameters():
        parameter.requires_grad_(id(parameter) in chosen)
    optim = config.optim
    optimizer = torch.optim.Adam(
        trained, lr=optim.lr, betas=optim.betas, eps=optim.eps, weight_decay=optim.weight_decay
    )
    first, best = 0, {"step": -1, "value": -math.inf, "metric": config.train.best_metric}
    if resume:
        state = load_state(run)
        try:
            system.load_state_dict(state["system"])
        except RuntimeError as error:
            raise UserError(
                f"the state in {run} is of another model than the configuration's: {error}"
            ) from error
        optimizer.load_state_dict(state["optimizer"])
        first, best = state["step"], state["best"]
    steps = config.train.steps
    sampler = StepSampler(
        len(data),
        config.data.train.batch_size,
        config.seed,
        first,
        steps,
        fabric.global_rank,
        fabric.world_size,
    )
    loader = DataLoader(
        data,  # type: ignore[arg-type]
        batch_sampler=sampler,
        collate_fn=ClevrChange.collate,
        num_workers=config.data.num_workers,
    )
    losses: Any = Losses(system)
    if config.train.compile:
        losses = torch.compile(losses)
    losses, optimizer = fabric.setup(losses, optimizer)

    logger = None
    if fabric.is_global_zero:
        if resume:
            truncate_metrics(run / METRICS, first)
        save_config(config, run / "config.yaml")
        logger = make_loggers(config.logger, run, first)
    try:
        run_steps(config, run, fabric, system, losses, optimizer, loader, sampler, first, best, logger)
    finally:
        if logger is not None:
            logger.close()
    return run


def run_steps(
    config: Config,
    run: Path,
    fabric: Any,
    system: System,
    losses: Any,
    optimizer: Any,
    loader: Any,
    sampler: StepSampler,
    first: int,
    best: dict[str, Any],
    logger: Any,
) -> None:
    """The steps themselves, with snapshots and states on the way."""
    steps, settings = config.train.steps, config.train
    weights = config.loss_weights
    save_every = settings.save_every or settings.snapshot_every
    validation = open_split(config, "val") if fabric.is_global_zero else None
    system.train()
    begun = time.monotonic()
    progress = tqdm(
        loader, total=steps, initial=first, desc="training", unit="step", disable=not fabric.is_global_zero
    )
    for step, batch in enumerate(progress, start=first):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config.optim, step, steps, sampler.steps_per_epoch)
        torch.manual_seed((config.seed * 1_000_003 + step) * 1009 + fabric.global_rank)
        parts = losses(batch.to(fabric.device))
        check_finite(step, parts, batch, run)
        unknown = set(parts) - set(weights)
        if unknown:
            raise UserError(
                f"loss_weights has no weight for {', '.join(sorted(unknown))}; add one (0 to leave it out)."
            )
        loss = torch.stack([weights[name] * value for name, value in parts.items()]).sum()
        optimizer.zero_grad()
        fabric.backward(loss)
        if config.optim.clip is not None:
            fabric.clip_gradients(losses, optimizer, max_norm=config.optim.clip, error_if_nonfinite=False)
        optimizer.step()
        system.after_step()

        done = step + 1
        if done % settings.log_every == 0 or done == steps:
            mean = {f"loss/{name}": fabric.all_reduce(value.detach()).item() for name, value in parts.items()}
            if logger is not None:
                progress.set_postfix(
                    {name.removeprefix("loss/"): f"{value:.3f}" for name, value in mean.items()}
                )
                speed = (done - first) / (time.monotonic() - begun)
                logger.log(
                    done, mean | {"lr": optimizer.param_groups[0]["lr"], "steps_per_second": round(speed, 3)}
                )
        if done % settings.snapshot_every == 0 or done == steps:
            if validation is not None:
                best = snapshot(config, run, system, validation, done, best, logger, fabric.device)
                system.train()
            fabric.barrier()
        if fabric.is_global_zero and (done % save_every == 0 or done == steps):
            state = {
                "system": system.state_dict(),
                "optimizer": optimizer.state_dict(),
                "step": done,
                "best": best,
            }
            save_state(run, state)


def snapshot(
    config: Config,
    run: Path,
    system: System,
    validation: ClevrChange,
    step: int,
    best: dict[str, Any],
    logger: Any,
    device: Any,
) -> dict[str, Any]:
    """Caption the val split greedily, write a snapshot, and note whether it is the best so far."""
    system.eval()
    predictions = caption_split(system, validation, config.data.val.batch_size, Search(), device)
    metrics = score_split(predictions, validation, Path(config.data.root))
    logger.log(step, {f"val/{name}": value for name, value in metrics.items()})
    wanted = config.train.best_metric
    if wanted not in metrics:
        raise UserError(
            f"train.best_metric is “{wanted}”, but validation gives {', '.join(metrics)}; choose one of them."
        )
    facts = SnapshotFacts(
        config.system,
        step,
        validation.grids.shape,
        validation.labels[""].labels.shape[1],
        config.data.backbone,
        metrics,
    )
    save_snapshot(run / "snapshots" / str(step), system, config, facts)
    if metrics[wanted] > best["value"]:
        best = {"step": step, "value": metrics[wanted], "metric": wanted}
        with atomic_write(run / "best.json") as path:
            path.write_text(json.dumps(best) + "\n", encoding="utf-8")
    prune_snapshots(run, config.train.keep, best["step"])
    return best
