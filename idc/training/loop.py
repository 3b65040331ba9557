"""One loop for every system: batches in, snapshots out.

What a step does depends on the weights, on the optimiser and on (seed, step, process) alone: the batch comes from
`StepSampler`, all random numbers from generators that are seeded anew in every step, the learning rate from a
formula. So a run that was killed and resumed is the run that never was, and looking at captions in between
changes nothing.

A system may train in several stages. Each is a run like any other, with a folder, an optimiser and settings of its
own, that begins with the best weights of the one before; `train` runs one after the other.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from idc.config import Config, OptimConfig, TrainConfig, differences, load_config, model_config, save_config
from idc.data import open_data
from idc.data.batch import Batch
from idc.data.pairs import PairData
from idc.errors import UserError
from idc.files import atomic_write, disk_is_full, locked
from idc.pieces.chosen import pieces
from idc.systems import system_class
from idc.systems.portions import Portion
from idc.systems.system import Group, System
from idc.training.checkpoint import (
    BEST,
    SNAPSHOTS,
    STATE,
    SnapshotFacts,
    find_snapshot,
    first_lines,
    load_state,
    load_weights,
    prune_snapshots,
    read_facts,
    save_snapshot,
    save_state,
    snapshot_steps,
    write_best,
)
from idc.training.log import METRICS, Logger, check_loggers, make_loggers, truncate_metrics
from idc.training.sampler import StepSampler
from idc.training.validate import CaptionValidation, RetrievalValidation, Validation, check_metric

PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
PIECES = "pieces.json"  # in the run's folder: the sources of pieces that are not the library's
LEFT_BEHIND = (SNAPSHOTS, "last", "test", "val", "tensorboard", BEST, METRICS, "config.yaml", PIECES)
KEPT = (
    "system",
    "seed",
    "model.",
    "data.backbone",
    "data.train.max_samples",
)  # settings that --resume cannot change


class Interrupted(Exception):
    """Ctrl-C or a polite kill; the state was saved."""


class Sealed:
    """A batch that Fabric hands on as it is: it cannot look into frozen dataclasses.

    portion: what is to be computed of it, None for all of its losses at once.
    """

    def __init__(self, batch: Batch, portion: Portion | None = None):
        self.batch, self.portion = batch, portion


class Losses(nn.Module):
    """A system's losses as a forward pass, which is what data-parallel training wraps."""

    def __init__(self, system: System):
        super().__init__()
        self.system = system

    def forward(self, sealed: Sealed) -> dict[str, Tensor]:
        return self.system.losses(sealed.batch) if sealed.portion is None else sealed.portion()


def learning_rate(optim: OptimConfig, step: int, steps: int, steps_per_epoch: int) -> float:
    """The learning rate of step `step`, counted from 0.

    warmup: lr (step + 1) / warmup; then
    cosine: lr (1 + cos(pi (step - warmup) / (steps - warmup))) / 2
    linear: lr (1 - (step - warmup) / (steps - warmup))
    step: lr gamma^floor(epoch / step_epochs)
    """
    if step < optim.warmup:
        return optim.lr * (step + 1) / optim.warmup
    share = (step - optim.warmup) / max(1, steps - optim.warmup)
    if optim.schedule == "cosine":
        return optim.lr * 0.5 * (1 + math.cos(math.pi * share))
    if optim.schedule == "linear":
        return optim.lr * (1 - share)
    if optim.schedule == "step":
        return optim.lr * optim.gamma ** (step // steps_per_epoch // optim.step_epochs)
    return optim.lr


def seed_everything(*words: int) -> None:
    """Seed torch (every device), NumPy and Python from the words together."""
    first, second, third = np.random.SeedSequence(words).generate_state(3)
    torch.manual_seed(int(first))
    np.random.seed(second)  # noqa: NPY002, for systems that use the global generator
    random.seed(int(third))


def open_split(config: Config, split: str) -> PairData:
    """A split of the configured data."""
    return open_data(config.data, split, config.seed)


def open_validation(config: Config, split: str = "val") -> Validation:
    """A split, and what the snapshots of the configured stage are measured by."""
    data = open_split(config, split)
    if config.present.measure == "retrieval":
        return RetrievalValidation(data)
    return CaptionValidation(data, Path(config.data.root))


def build_system(config: Config, data: PairData) -> System:
    """A fresh system for the data in the configured stage, initialised from the seed.

    Only what it wants trained asks for gradients.
    """
    seed_everything(config.seed)
    system = system_class(config.system).build(
        model_config(config), data.vocabulary, data.grids.shape, data.longest
    )
    system.begin(config.present.name)
    trained = {id(parameter) for parameter in system.trained_parameters()}
    for parameter in system.parameters():
        parameter.requires_grad_(id(parameter) in trained)
    return system


def make_optimizer(optim: OptimConfig, groups: Sequence[Group]) -> torch.optim.Optimizer:
    """The configured optimiser over groups of parameters."""
    method = torch.optim.AdamW if optim.method == "adamw" else torch.optim.Adam
    decay = {True: optim.weight_decay, False: 0.0}
    return method(
        [{"params": list(group.parameters), "weight_decay": decay[group.decays]} for group in groups],
        lr=optim.lr,
        betas=optim.betas,
        eps=optim.eps,
    )


def make_fabric(settings: TrainConfig) -> Any:
    """Lightning Fabric on the configured devices, or on those that torchrun gives.

    Raises UserError for devices that are not there, and for fp16 without CUDA.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    local = int(os.environ.get("LOCAL_WORLD_SIZE", settings.devices))
    nodes = int(os.environ.get("WORLD_SIZE", local)) // local
    cuda = settings.accelerator in ("auto", "cuda") and torch.cuda.is_available()
    if settings.precision == "fp16" and not cuda:
        raise UserError("train.precision=fp16 needs a CUDA device; take bf16 or fp32.")
    # A weight may go unused in a step: the similarities of all but the last encoder layer are not computed.
    strategy: Any = DDPStrategy(find_unused_parameters=True) if local * nodes > 1 else "auto"
    try:
        fabric = Fabric(
            accelerator=settings.accelerator,
            devices=local,
            num_nodes=nodes,
            strategy=strategy,
            precision=PRECISION[settings.precision],  # type: ignore[arg-type]
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise UserError(
            f"this machine cannot train with train.accelerator={settings.accelerator} on {local} devices: "
            f"{' '.join(str(error).split())} Set train.accelerator=cpu, or fewer devices."
        ) from error
    fabric.launch()
    return fabric


def claim_folder(config: Config, resume: bool, overwrite: bool, sources: Mapping[str, str]) -> None:
    """Make sure that the run's folder is free to be written to.

    Raises UserError when it holds another run, or the same with settings that a state cannot follow.
    """
    run = config.run_folder
    state = (run / STATE).is_file()
    used = state or bool(snapshot_steps(run))
    if used and not resume and not overwrite:
        raise UserError(
            f"{run} already holds a run. Continue it with --resume, give this one another name (exp_name=…), or "
            "replace it with --overwrite."
        )
    if resume and used and not state:
        raise UserError(
            f"{run} has snapshots, but no state to resume from ({STATE}). Give this run another name (exp_name=…), or "
            "replace the old one with --overwrite."
        )
    if resume and state and (other := read_pieces(run)) != sources:
        names = sorted(name for name in {**other, **sources} if other.get(name) != sources.get(name))
        raise UserError(
            f"{run} was begun with other pieces than --pieces gives now ({', '.join(names)}); its {PIECES} holds those it "
            "was begun with. Give the same ones, or start anew under another exp_name."
        )
    if resume and state and (run / "config.yaml").is_file():
        changed = differences(load_config(run / "config.yaml"), config)
        stuck = {name: values for name, values in changed.items() if name.startswith(KEPT)}
        if stuck:
            listed = ", ".join(f"{name} (was {old!r}, now {new!r})" for name, (old, new) in stuck.items())
            raise UserError(
                f"{run} cannot be resumed with other settings of {listed}. Set them back, or start anew under another "
                "exp_name."
            )


def read_pieces(run: Path) -> dict[str, str]:
    """The sources of the pieces that are not the library's, by name."""
    path = run / PIECES
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def empty_folder(run: Path) -> None:
    """Remove what an earlier run left; files of other origin stay."""
    for name in LEFT_BEHIND:
        path = run / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def polite_stop() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, so that a step is finished first. A second Ctrl-C stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Training:
    """One stage under way: the system, its optimiser, the step it is at, and what it has reached.

    rates: a factor for the learning rate of each of the optimiser's groups. step: steps taken. best: {"step", "metric",
    "value"} of the best snapshot. window: sums of the losses since they were last logged, over `waiting` steps.
    """

    def __init__(self, config: Config, fabric: Any):
        self.config, self.fabric, self.run = config, fabric, config.run_folder
        self.step, self.waiting = 0, 0
        self.best: dict[str, Any] | None = None
        self.window: dict[str, float] = {}
        self.seconds = 0.0
        self.data = open_split(config, "train")
        self.system = build_system(config, self.data)
        self.validation = open_validation(config) if fabric.is_global_zero else None
        groups = self.system.groups()
        self.rates = [group.rate for group in groups]
        self.plain_optimizer = make_optimizer(config.optim, groups)
        losses: Any = Losses(self.system)
        if config.train.compile:
            losses = torch.compile(losses)
        self.losses, self.optimizer = fabric.setup(losses, self.plain_optimizer)
        self.logger: Logger | None = None

    def sampler(self) -> StepSampler:
        """What the steps from here to the last one train on."""
        return StepSampler(
            len(self.data),
            self.config.data.train.batch_size,
            self.config.seed,
            self.step,
            self.config.train.steps,
            self.fabric.global_rank,
            self.fabric.world_size,
        )

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, and what it must fit."""
        return {
            "system": self.system.state_dict(),
            "optimizer": self.plain_optimizer.state_dict(),
            "scaler": self.fabric.strategy.precision.state_dict(),
            "step": self.step,
            "best": self.best,
            "window": self.window,
            "waiting": self.waiting,
            "global_batch": self.config.data.train.batch_size * self.fabric.world_size,
            "words": list(self.data.vocabulary.words),
            "grid_shape": list(self.data.grids.shape),
        }

    def begin_with(self, snapshot: Path) -> None:
        """Take over the weights of an earlier stage. Raises UserError when they are another model's."""
        try:
            load_weights(snapshot, self.system)
        except RuntimeError as error:
            raise UserError(
                f"the weights in {snapshot} are of another model than the stage “{self.config.present.name}” is to train "
                f"({first_lines(error, 1)}). All stages share `model` and the data's words; set them back, or start "
                "anew under another exp_name."
            ) from error

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state. Raises UserError when it belongs to other data, another batch or another model."""
        now = self.state()
        for name, what, way_out in (
            ("words", "another vocabulary", "Point data.root to the data it was started with"),
            ("grid_shape", "features of another shape", "Point data.root to the data it was started with"),
            (
                "global_batch",
                "another number of scenes a step (processes x data.train.batch_size)",
                "Set it back",
            ),
        ):
            if state.get(name) != now[name]:
                seen = "" if name == "words" else f" ({state.get(name)}, now {now[name]})"
                raise UserError(
                    f"{self.run} was trained with {what}{seen}. {way_out}, or start anew under another exp_name."
                )
        try:
            self.system.load_state_dict(state["system"])
            self.plain_optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"the state in {self.run} is of another model than the configuration's. Set `model` back, or start anew "
                f"under another exp_name. ({' '.join(str(error).split())[:200]})"
            ) from error
        if state["scaler"]:
            self.fabric.strategy.precision.load_state_dict(state["scaler"])
        self.step, self.best = state["step"], state["best"]
        wanted = self.config.train.best_metric
        if self.best is not None and self.best["metric"] != wanted:
            self.best = best_snapshot(self.run, wanted)
        self.window, self.waiting = state["window"], state["waiting"]

    def fit(self) -> None:
        """Take the remaining steps. Raises Interrupted when asked to stop, UserError when a figure is not finite."""
        settings = self.config.train
        save_every = settings.save_every or settings.snapshot_every
        sampler = self.sampler()
        loader: DataLoader[Any] = DataLoader(
            self.data,  # type: ignore[arg-type]  # it has all that a Dataset must have
            batch_sampler=sampler,
            collate_fn=self.data.collate,
            num_workers=self.config.data.num_workers,
            generator=torch.Generator(),
        )
        progress = tqdm(
            total=settings.steps,
            initial=self.step,
            desc=str(self.run.relative_to(self.config.runs)),
            unit="step",
            disable=not self.fabric.is_global_zero,
        )
        self.system.train()
        with polite_stop() as stop, progress:
            begun = time.perf_counter()
            for batch in loader:
                rate = learning_rate(self.config.optim, self.step, settings.steps, sampler.steps_per_epoch)
                parts, stopping = self.take_step(batch, rate, stop.is_set())
                self.seconds += time.perf_counter() - begun
                progress.set_postfix({name: f"{value:.3f}" for name, value in parts.items()}, refresh=False)
                progress.update()
                last = self.step == settings.steps
                if self.step % settings.log_every == 0 or last:
                    self.log_window(rate, self.step / sampler.steps_per_epoch)
                snapshot_due = self.step % settings.snapshot_every == 0 or last
                state_due = self.step % save_every == 0 or last or stopping
                if snapshot_due or state_due:
                    self.check_weights()
                if snapshot_due:
                    self.snapshot()
                if state_due and self.fabric.is_global_zero:
                    save_state(self.run, self.state())
                    prune_snapshots(self.run, settings.keep_last, self.best["step"] if self.best else None)
                if stopping and not last:
                    raise Interrupted
                begun = time.perf_counter()
            # this stage is complete, but what follows it must not begin
            asked = torch.tensor(float(stop.is_set()), device=self.fabric.device)
            if self.fabric.all_reduce(asked, reduce_op="sum") > 0:
                raise Interrupted

    def take_step(self, batch: Batch, rate: float, stop: bool) -> tuple[dict[str, float], bool]:
        """One optimiser step. Returns the loss parts, and whether any process was asked to stop."""
        seed_everything(self.config.seed, self.step, self.fabric.global_rank)
        for group, factor in zip(self.plain_optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.zero_grad()
        parts = self.take_gradient(batch.to(self.fabric.device))
        seen = torch.stack([*parts.values(), torch.tensor(float(stop), device=self.fabric.device)])
        *values, stopping = self.fabric.all_reduce(seen, reduce_op="mean").tolist()
        figures = dict(zip(parts, values, strict=True))
        if not all(map(math.isfinite, values)):
            raise self.not_finite(figures, batch)
        if self.config.optim.clip is not None:
            self.fabric.clip_gradients(
                self.losses, self.optimizer, max_norm=self.config.optim.clip, error_if_nonfinite=False
            )
        self.optimizer.step()
        self.system.after_step()
        self.step += 1
        weights = self.config.loss_weights
        figures["total"] = sum(weights[name] * value for name, value in figures.items())
        self.window = {name: self.window.get(name, 0.0) + value for name, value in figures.items()}
        self.waiting += 1
        return figures, stopping > 0

    def take_gradient(self, batch: Batch) -> dict[str, Tensor]:
        """Add the gradient of the weighted losses to that of the parameters, a portion at a time. Returns the loss parts."""
        weights = self.config.loss_weights
        # A compiler sees the same losses of other batches, and not other portions.
        portions = (None,) if self.config.train.compile else self.system.portions(batch)
        total: dict[str, Tensor] = {}
        for number, portion in enumerate(portions, start=1):
            # Processes meet once a step, on the way back of the last portion.
            with self.fabric.no_backward_sync(self.losses, enabled=number < len(portions)):
                parts = self.losses(Sealed(batch, portion))
                if unweighted := parts.keys() - weights.keys():
                    raise UserError(
                        f"the system gives the losses {', '.join(sorted(unweighted))}, for which loss_weights has no "
                        "number; its class must list them in loss_weights."
                    )
                self.fabric.backward(pieces.joint_loss(parts, weights))
            total = {name: total.get(name, 0.0) + part.detach().float() for name, part in parts.items()}
        return total

    def not_finite(self, figures: dict[str, float], batch: Batch) -> UserError:
        """What to tell when a loss is nan or infinite."""
        ids: list[Any] = [batch.change.image_ids]
        if self.fabric.world_size > 1:
            ids = [None] * self.fabric.world_size
            torch.distributed.all_gather_object(ids, batch.change.image_ids)
        scenes = ", ".join(name.removesuffix(".png") for names in ids for name in names)
        values = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        return UserError(
            f"in step {self.step + 1} the loss is not a finite number ({values}); the batch held the scenes {scenes}. "
            f"{self.way_out()}"
        )

    def check_weights(self) -> None:
        """Raises UserError when a weight is nan or infinite, before anything is written."""
        for name, weight in self.system.named_parameters():
            if not bool(torch.isfinite(weight).all()):
                raise UserError(
                    f"after step {self.step} the weight {name} holds nan or infinity, though the loss was finite. "
                    f"{self.way_out()}"
                )

    def way_out(self) -> str:
        begun = (self.run / STATE).is_file()
        again = f"The last state in {self.run} stays; use --resume with" if begun else "Start again with"
        return (
            f"{again} a smaller optim.lr, optim.clip=1.0 or train.precision=fp32; if it happens in the same step again, "
            "look at the features of those scenes."
        )

    def log_window(self, rate: float, epoch: float) -> None:
        """Log the mean losses since the last time."""
        if self.logger is not None:
            means = {f"loss/{name}": value / self.waiting for name, value in self.window.items()}
            speed = {"steps_per_second": round(self.waiting / self.seconds, 3)} if self.seconds else {}
            self.logger.log(self.step, means | {"lr": rate, "epoch": round(epoch, 4)} | speed)
        self.window, self.waiting, self.seconds = {}, 0, 0.0

    def snapshot(self) -> None:
        """Measure the system on the val split, write a snapshot, and note whether it is the best so far."""
        if self.validation is not None and self.logger is not None:
            self.system.eval()
            data = self.validation.data
            batch_size = self.config.data.val.batch_size
            metrics = self.validation.measure(self.system, batch_size, self.fabric.device)
            self.system.train()
            self.logger.log(self.step, {f"val/{name}": value for name, value in metrics.items()})
            facts = SnapshotFacts(
                self.config.system,
                self.step,
                data.grids.shape,
                data.longest,
                self.config.data.backbone,
                metrics,
            )
            save_snapshot(self.run / SNAPSHOTS / str(self.step), self.system, self.config, facts)
            wanted = self.config.train.best_metric
            if self.best is None or metrics[wanted] > self.best["value"]:
                self.best = {"step": self.step, "metric": wanted, "value": metrics[wanted]}
                write_best(self.run, self.best)
        self.fabric.barrier()


def best_snapshot(run: Path, metric: str) -> dict[str, Any] | None:
    """The best of the snapshots that a run still has, by another metric than before; None where none has it."""
    measured = {step: read_facts(run / SNAPSHOTS / str(step)).metrics for step in snapshot_steps(run)}
    values = {step: metrics[metric] for step, metrics in measured.items() if metric in metrics}
    step = max(values, key=lambda step: values[step], default=None)
    return None if step is None else {"step": step, "metric": metric, "value": values[step]}


def train(
    config: Config, *, resume: bool = False, overwrite: bool = False, sources: Mapping[str, str] | None = None
) -> Path:
    """Train as configured, one stage after the other; returns the last one's folder. See the module's first lines.

    resume: go on from the state in the run's folder, or begin if there is none; stages before the one that has come
    farthest are left alone. overwrite: replace a run of that name. sources: of adopted pieces, which are kept beside
    the snapshots. Raises UserError for a folder in use, and for whatever config, data or state have wrong.
    """
    stages = claim(config, resume, overwrite, sources or {})
    if resume:
        begun = [number for number, stage in enumerate(stages) if (stage.run_folder / STATE).is_file()]
        stages = stages[max(begun, default=0) :]
    for number, stage in enumerate(stages):
        train_stage(stage, resume, [later.run_folder for later in stages[number:]], sources or {})
    return config.run_folder


def claim(config: Config, resume: bool, overwrite: bool, sources: Mapping[str, str]) -> list[Config]:
    """The configurations of the stages to train, in order, after a look at their folders and metrics.

    Raises UserError when one cannot be trained; nothing is written.
    """
    stages = config.to_train()
    for stage in stages:
        claim_folder(stage, resume, overwrite, sources)
        check_metric(stage.train.best_metric, stage.present, Path(stage.data.root))
    return stages


def train_stage(config: Config, resume: bool, replaced: Sequence[Path], sources: Mapping[str, str]) -> None:
    """Train the configured stage. replaced: folders whose run is no longer true when this one begins anew."""
    fabric = make_fabric(config.train)
    fabric.barrier()
    run = config.run_folder
    state = load_state(run) if resume else None
    snapshot = weights_before(config) if state is None else None
    training = Training(config, fabric)
    if state is not None:
        training.restore(state)
    if snapshot is not None:
        training.begin_with(snapshot)
    if training.step >= config.train.steps:
        return
    training.sampler()  # complains about a batch that is too large before anything is written
    with ExitStack() as stack:
        if fabric.is_global_zero:
            check_loggers(config.logger)
            stack.enter_context(alone(config))
            if state is None:
                for folder in replaced:
                    empty_folder(folder)
            run.mkdir(parents=True, exist_ok=True)
            save_config(config, run / "config.yaml")
            if sources:
                with atomic_write(run / PIECES) as path:
                    path.write_text(json.dumps(dict(sources), indent=1), encoding="utf-8")
            truncate_metrics(run / METRICS, training.step)
            if training.best is not None:
                write_best(run, training.best)
            training.logger = make_loggers(config.logger, run, training.step)
            stack.callback(training.logger.close)
        fabric.barrier()
        try:
            training.fit()
        except OSError as error:
            if not disk_is_full(error):
                raise
            raise UserError(
                f"no space left on the disk in step {training.step}. The last state in {run} stays as it was; free some "
                "space and continue with --resume."
            ) from error


def alone(config: Config) -> AbstractContextManager[None]:
    """One process at a time trains an experiment. Raises UserError on entry where another one does."""
    runs, name = Path(config.runs), config.exp_name
    busy = (
        f"{runs / name} is being trained at this moment. Wait until that is done, or take another exp_name."
    )
    return locked(runs / f".{name}.lock", busy)


def weights_before(config: Config) -> Path | None:
    """The snapshot whose weights the configured stage begins with: the best of the stage before, if there is one.

    Raises UserError when that stage has not been trained.
    """
    earlier = config.earlier()
    if not earlier:
        return None
    name = earlier[-1].present.name
    try:
        return find_snapshot(earlier[-1].run_folder, "best")
    except UserError as error:
        raise UserError(
            f"the stage “{config.present.name}” begins with the best weights of the stage “{name}”, but {error} To do "
            f"without them set stages.{name}.skip=true."
        ) from error
