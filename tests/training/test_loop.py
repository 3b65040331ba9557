"""The loop in this process: same seed same curve, resuming, refusing, and what becomes of bad numbers."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

import idc.systems
from idc.captioner.search import Captions, Search
from idc.config import Config, OptimConfig, load_config
from idc.data.batch import Batch, Pairs
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.files import locked
from idc.systems.system import Group, System
from idc.training import loop
from idc.training.checkpoint import load_system, read_best, snapshot_steps
from idc.training.log import read_metrics
from idc.training.loop import Interrupted, learning_rate, train
from idc.visdom_server import free_port
from tests.tiny_world import make_world, write_config
from tests.training.runs import curve, same, weights


@dataclass(config=ConfigDict(extra="forbid"), frozen=True)
class FakeConfig:
    """bad_step: the step, from 1, in which a loss is `bad`, "nan" or "inf"; gradient: a gradient is nan instead."""

    bad_step: int = 0
    bad: str = "nan"
    gradient: bool = False
    extra_loss: bool = False


class Fake(System):
    """One linear layer that guesses the colour word; it goes wrong when it is told to."""

    Config: ClassVar[type] = FakeConfig
    loss_weights: ClassVar[dict[str, float]] = {"guess": 1.0, "size": 0.1}

    def __init__(self, config: FakeConfig, vocabulary: Vocabulary, channels: int):
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        self.guess = nn.Linear(channels, len(vocabulary))
        self.frozen = nn.Linear(2, 2)
        self.dropout = nn.Dropout(0.5)
        self.calls = 0

    @classmethod
    def build(
        cls, config: Any, vocabulary: Vocabulary, grid_shape: tuple[int, int, int], max_words: int
    ) -> Fake:
        return cls(config, vocabulary, grid_shape[0])

    def groups(self) -> list[Group]:
        return [Group(tuple(self.guess.parameters()))]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        self.calls += 1
        scores = self.guess(self.dropout(batch.change.before.mean((2, 3))))
        parts = {
            "guess": nn.functional.cross_entropy(scores, batch.change.words[:, 2]),
            "size": self.frozen.weight.square().sum() + self.guess.weight.square().sum(),
        }
        if self.config.extra_loss:
            parts["surprise"] = parts["size"]
        if self.calls == self.config.bad_step:
            if self.config.gradient:  # sqrt'(0) is infinite, 0 * inf is nan; the loss itself is finite
                parts["size"] = (self.guess.weight * 0).sum().square().sqrt()
            else:
                parts["size"] = parts["size"] * float(self.config.bad)
        return parts

    def caption(self, pairs: Pairs, search: Search) -> Captions:
        words = self.guess(pairs.before.mean((2, 3))).argmax(-1)
        tokens = torch.stack([words, torch.full_like(words, Vocabulary.END)], 1)
        torch.rand(3)  # captioning may use random numbers; training must not notice
        return Captions(tokens, torch.zeros(len(pairs)), torch.zeros(len(pairs), 2, 1))


@pytest.fixture
def configured(tmp_path: Path, world: Path) -> Any:
    """Makes a configuration of the tiny SCORER+CBR, with overrides."""
    path = write_config(tmp_path / "tiny.yaml", world)

    def make(*overrides: str) -> Config:
        return load_config(path, overrides)

    return make


@pytest.fixture
def fake(tmp_path: Path, world: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a configuration of the fake system, with overrides."""
    module = ModuleType("idc.systems.fake")
    module.Fake = Fake  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "idc.systems.fake", module)
    monkeypatch.setitem(idc.systems.SYSTEMS, "fake", "Fake")
    path = write_config(tmp_path / "fake.yaml", world, system="fake", model={}, exp_name="fake")

    def make(*overrides: str) -> Config:
        return load_config(path, overrides)

    return make


# -- what a run leaves -----------------------------------------------------------------------------------------


def test_a_run_leaves_snapshots_curve_best_and_state(configured: Any) -> None:
    config = configured()
    run = train(config)
    assert snapshot_steps(run) == [3, 6]
    lines = read_metrics(run / "metrics.jsonl")
    losses = [line for line in lines if "loss/total" in line]
    assert [line["step"] for line in losses] == [1, 2, 3, 4, 5, 6]
    first = losses[0]
    total = first["loss/caption"] + 0.1 * first["loss/cross_view"] + 0.001 * first["loss/cross_modal"]
    assert first["loss/total"] == pytest.approx(total)
    assert first["steps_per_second"] > 0 and first["lr"] == pytest.approx(0.005)
    assert [line["step"] for line in lines if "val/CIDEr" in line] == [3, 6]
    best = read_best(run)
    assert best is not None and best["metric"] == "CIDEr" and best["step"] in (3, 6)
    assert load_config(run / "config.yaml") == config
    assert load_config(run / "snapshots" / "6" / "config.yaml") == config
    assert not list(run.glob("**/.*")), "nothing half-written stays"
    system = load_system(run / "snapshots" / "6")
    assert not system.training and same(system.state_dict(), weights(run, 6))


def test_same_seed_same_curve_other_seed_other_curve(configured: Any) -> None:
    one, two, other = (
        train(configured(*o)) for o in (["exp_name=a"], ["exp_name=b"], ["exp_name=c", "seed=2"])
    )
    assert curve(one) == curve(two) and same(weights(one, 6), weights(two, 6))
    assert curve(one) != curve(other)


def test_validating_more_often_changes_nothing(fake: Any) -> None:
    rare, often = train(fake("exp_name=rare")), train(fake("exp_name=often", "train.snapshot_every=1"))
    assert same(weights(rare, 6), weights(often, 6))


def test_workers_change_nothing(configured: Any) -> None:
    here, there = train(configured("exp_name=a")), train(configured("exp_name=b", "data.num_workers=1"))
    assert curve(here) == curve(there)


def test_logged_losses_are_means_of_the_steps_between(configured: Any) -> None:
    each, pairs = train(configured("exp_name=a")), train(configured("exp_name=b", "train.log_every=4"))
    losses = [line["loss/total"] for line in curve(each) if "loss/total" in line]
    means = {line["step"]: line["loss/total"] for line in curve(pairs) if "loss/total" in line}
    assert means == pytest.approx({4: sum(losses[:4]) / 4, 6: sum(losses[4:]) / 2})


def test_best_follows_the_metric_and_old_snapshots_go(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([0.1, 0.7, 0.7, 0.2, 0.3, 0.4])
    monkeypatch.setattr(loop.CaptionValidation, "measure", lambda *_: {"CIDEr": next(values)})
    run = train(fake("train.snapshot_every=1", "train.keep_last=2"))
    assert read_best(run) == {"step": 2, "metric": "CIDEr", "value": 0.7}, "of equals the first"
    assert snapshot_steps(run) == [2, 5, 6]


def test_untrained_parameters_stay_and_still_shape_the_rest(configured: Any) -> None:
    runs = {
        name: train(configured(f"exp_name={name}", f"model.train_cbr={name}", "loss_weights.cross_modal=1"))
        for name in ("true", "false")
    }
    start = {
        name: tensor.clone()
        for name, tensor in load_system(runs["false"] / "snapshots/3").state_dict().items()
    }
    end = weights(runs["false"], 6)
    cbr = [name for name in end if name.startswith("cbr.")]
    assert cbr and all(torch.equal(start[name], end[name]) for name in cbr)
    assert not all(torch.equal(weights(runs["true"], 6)[name], end[name]) for name in cbr)
    without = train(configured("exp_name=without", "model.train_cbr=false", "loss_weights.cross_modal=0"))
    assert not torch.equal(weights(without, 6)["encoder.project.weight"], end["encoder.project.weight"])


def test_a_loss_of_weight_zero_is_left_out(fake: Any) -> None:
    run = train(fake("loss_weights.size=0", "model.bad_step=2", "train.steps=1"))
    assert curve(run)[0]["loss/total"] == curve(run)[0]["loss/guess"]


@pytest.mark.parametrize(
    "overrides", [["train.precision=bf16"], ["optim.clip=null", "optim.schedule=constant"]]
)
def test_other_settings_train(configured: Any, overrides: list[str]) -> None:
    lines = curve(train(configured(*overrides)))
    assert all(math.isfinite(line["loss/total"]) for line in lines if "loss/total" in line)


def test_clipping_bounds_the_gradient(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    norms = []
    step = torch.optim.Adam.step

    def spy(self: Any, *args: Any, **kwargs: Any) -> Any:
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        norms.append(torch.cat([g.flatten() for g in gradients]).norm().item())
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    train(fake("optim.clip=0.01"))
    assert max(norms) == pytest.approx(0.01, rel=1e-3)


def test_compile_is_asked_for_when_configured(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    original = torch.compile

    def eager(module: Any, **_: Any) -> Any:
        compiled.append(module)
        return original(module, backend="eager")

    monkeypatch.setattr(torch, "compile", eager)
    plain, fast = train(fake("exp_name=plain")), train(fake("exp_name=fast", "train.compile=true"))
    assert compiled
    assert curve(plain) == curve(fast)


# -- learning rate ---------------------------------------------------------------------------------------------


def test_step_schedule_is_the_published_one() -> None:
    per_epoch = 33_830 // 128
    rates = [learning_rate(OptimConfig(), step, 10_000, per_epoch) for step in range(10_000)]
    falls = [step for step in range(1, 10_000) if rates[step] != rates[step - 1]]
    assert [step / per_epoch for step in falls] == [15, 30]
    assert (rates[0], rates[-1]) == (2e-4, pytest.approx(2e-6))


def test_cosine_with_warmup() -> None:
    optim = OptimConfig(lr=1.0, schedule="cosine", warmup=4)
    rates = [learning_rate(optim, step, 24, 5) for step in range(24)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[14] == pytest.approx(0.5) and rates[-1] < 0.01
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_constant_and_warmup_longer_than_training() -> None:
    assert {learning_rate(OptimConfig(lr=0.5, schedule="constant"), s, 9, 2) for s in range(9)} == {0.5}
    optim = OptimConfig(lr=1.0, schedule="cosine", warmup=10)
    assert learning_rate(optim, 4, 5, 1) == 0.5


# -- resuming --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_at", [1, 2, 4])
def test_stopped_and_resumed_is_the_run_that_never_was(
    configured: Any, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    settings = ["train.log_every=2"]
    whole = train(configured("exp_name=whole", *settings))
    take_step = loop.Training.take_step

    def interrupt(self: Any, *args: Any) -> Any:
        result = take_step(self, *args)
        if self.step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)  # noticed in the step that follows
        return result

    monkeypatch.setattr(loop.Training, "take_step", interrupt)
    with pytest.raises(Interrupted):
        train(configured("exp_name=broken", *settings))
    monkeypatch.undo()
    broken = train(configured("exp_name=broken", *settings), resume=True)
    assert curve(broken) == curve(whole)
    assert same(weights(broken, 6), weights(whole, 6)) and same(weights(broken, 3), weights(whole, 3))
    assert read_best(broken) == read_best(whole)
    states = [torch.load(run / "last/state.pt", weights_only=True) for run in (broken, whole)]
    assert states[0]["step"] == states[1]["step"] == 6
    for one, other in zip(*(s["optimizer"]["state"].values() for s in states), strict=True):
        assert same(one, other)


def test_state_is_saved_every_save_every_steps(fake: Any) -> None:
    with pytest.raises(UserError):
        train(fake("train.save_every=2", "model.bad_step=5"))
    assert torch.load(fake().run_folder / "last/state.pt", weights_only=True)["step"] == 4


def test_metrics_beyond_the_state_and_cut_lines_are_forgotten(configured: Any) -> None:
    whole = train(configured("exp_name=whole"))
    short = configured("exp_name=short", "train.steps=3", "optim.schedule=constant")
    run = train(short)
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 4, "loss/total": 99}\n{"step": 5, "los')
    train(configured("exp_name=short", "optim.schedule=constant"), resume=True)
    assert [line["step"] for line in curve(run)] == [line["step"] for line in curve(whole)]
    assert 99 not in [line.get("loss/total") for line in curve(run)]


def test_best_of_the_forgotten_future_is_forgotten(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop.CaptionValidation, "measure", lambda *_: {"CIDEr": 0.5})
    run = train(fake("train.steps=3"))
    (run / "best.json").write_text('{"step": 6, "metric": "CIDEr", "value": 0.9}', encoding="utf-8")
    train(fake(), resume=True)
    assert read_best(run) == {"step": 3, "metric": "CIDEr", "value": 0.5}


def test_resume_by_another_metric_looks_for_the_best_anew(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([(0.9, 1.0), (0.2, 3.0), (0.3, 2.0), (0.8, 1.0)])
    monkeypatch.setattr(
        loop.CaptionValidation,
        "measure",
        lambda *_: dict(zip(("BLEU-4", "CIDEr"), next(values), strict=True)),
    )
    settings = ("train.snapshot_every=1", "optim.schedule=constant")
    run = train(fake("train.steps=3", "train.best_metric=BLEU-4", *settings))
    assert read_best(run) == {"step": 1, "metric": "BLEU-4", "value": 0.9}
    train(fake("train.steps=4", *settings), resume=True)
    assert read_best(run) == {"step": 2, "metric": "CIDEr", "value": 3.0}


def test_resume_goes_on_with_another_rate_and_more_steps(configured: Any) -> None:
    run = train(configured("optim.schedule=constant"))
    train(configured("optim.schedule=constant", "train.steps=8", "optim.lr=0.0001"), resume=True)
    assert snapshot_steps(run) == [3, 6, 8]
    assert curve(run)[-2]["lr"] == 0.0001


def test_resuming_a_finished_run_does_nothing(configured: Any) -> None:
    run = train(configured())
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert train(configured(), resume=True) == run
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_resume_with_nothing_there_begins(configured: Any) -> None:
    assert snapshot_steps(train(configured(), resume=True)) == [3, 6]


def test_interrupted_before_the_first_state_can_begin_again(configured: Any) -> None:
    config = configured()
    config.run_folder.mkdir(parents=True)
    (config.run_folder / "metrics.jsonl").write_text('{"step": 1, "loss/total": 99}\n', encoding="utf-8")
    assert curve(train(config))[0]["loss/total"] != 99


# -- refusing --------------------------------------------------------------------------------------------------


def test_two_runs_are_never_mixed(configured: Any) -> None:
    run = train(configured())
    (run / "notes.txt").write_text("mine", encoding="utf-8")
    before = (run / "metrics.jsonl").read_bytes()
    with pytest.raises(UserError, match="already holds a run") as caught:
        train(configured("seed=2"))
    assert all(way in str(caught.value) for way in ("--resume", "exp_name=", "--overwrite"))
    assert (run / "metrics.jsonl").read_bytes() == before
    train(configured("seed=2", "train.steps=2"), overwrite=True)
    assert snapshot_steps(run) == [2] and (run / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_one_process_at_a_time_trains_a_run(configured: Any) -> None:
    config = configured()
    config.run_folder.mkdir(parents=True)
    metrics = config.run_folder / "metrics.jsonl"
    metrics.write_text('{"step": 1}\n', encoding="utf-8")
    with (
        locked(Path(config.runs) / ".tiny.lock", "busy"),
        pytest.raises(UserError, match=r"is being trained at this moment\. .*exp_name"),
    ):
        train(config)
    assert metrics.read_text(encoding="utf-8") == '{"step": 1}\n'
    assert snapshot_steps(train(config)) == [3, 6]


def test_overwriting_waits_until_the_loggers_are_there(
    configured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(configured())
    monkeypatch.setenv("VISDOM_PORT", str(free_port()))
    with pytest.raises(UserError, match="no visdom server answers"):
        train(configured("logger=[visdom]"), overwrite=True)
    assert snapshot_steps(run) == [3, 6]


def test_resume_refuses_settings_that_do_not_fit_the_state(configured: Any) -> None:
    train(configured())
    for override, said in (
        ("model.dim=16", "model.dim (was 8, now 16)"),
        ("seed=3", "seed (was 1111, now 3)"),
        ("data.train.max_samples=5", "data.train.max_samples (was None, now 5)"),
    ):
        with pytest.raises(UserError, match="cannot be resumed") as caught:
            train(configured(override, "train.steps=9"), resume=True)
        assert said in str(caught.value)


def test_resume_refuses_another_batch(configured: Any) -> None:
    train(configured())
    with pytest.raises(UserError, match=r"another number of scenes a step .*\(4, now 2\)"):
        train(configured("data.train.batch_size=2", "train.steps=9"), resume=True)


def test_resume_refuses_another_vocabulary(configured: Any, tmp_path: Path) -> None:
    train(configured())
    other = make_world(tmp_path / "other")
    names = json.loads((other / "transformer_vocab.json").read_text(encoding="utf-8"))
    renamed = {("green" + word if number == 5 else word): number for word, number in names.items()}
    (other / "other_vocab.json").write_text(json.dumps(renamed), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        train(configured(f"data.vocabulary={other / 'other_vocab.json'}", "train.steps=9"), resume=True)
    assert "vocabulary" in str(caught.value)


def test_resume_refuses_grids_of_another_shape(configured: Any, tmp_path: Path) -> None:
    train(configured())
    other = make_world(tmp_path / "other", shape=(5, 2, 2))
    with pytest.raises(UserError, match=r"features of another shape \(\[4, 2, 2\], now \[5, 2, 2\]\)"):
        train(configured(f"data.root={other}", "train.steps=9"), resume=True)


def test_resume_with_the_state_of_another_model(configured: Any) -> None:
    run = train(configured("exp_name=other", "model.dim=16"))
    here = configured("train.steps=9").run_folder
    (here / "last").mkdir(parents=True)
    (here / "last/state.pt").write_bytes((run / "last/state.pt").read_bytes())
    with pytest.raises(UserError, match="another model than the configuration's"):
        train(configured("train.steps=9"), resume=True)


def test_snapshots_without_a_state_are_not_thrown_away(configured: Any) -> None:
    run = train(configured())
    (run / "last/state.pt").unlink()
    with pytest.raises(UserError, match="no state to resume from"):
        train(configured(), resume=True)
    assert snapshot_steps(run) == [3, 6]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.best_metric=facts.statement", "only rendered worlds"),
        ("train.best_metric=METEOR", "no train.best_metric “METEOR”"),
        ("train.precision=fp16", "fp16 needs a CUDA device"),
        ("data.train.batch_size=100", "a batch of 100 scenes"),
        ("data.root=nowhere", "nowhere"),
        ("data.backbone=resnet101", r"extract_features\.py --root .* --backbone resnet101`"),
        ("train.accelerator=mps", "train.accelerator=mps"),
    ],
)
def test_hopeless_settings_are_refused_before_anything_is_written(
    configured: Any, override: str, said: str
) -> None:
    config = configured(override)
    with pytest.raises(UserError, match=said):
        train(config)
    assert not config.run_folder.exists()


def test_a_loss_without_a_weight_is_an_error(fake: Any) -> None:
    with pytest.raises(UserError, match=r"surprise.*loss_weights"):
        train(fake("model.extra_loss=true"))


# -- bad numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["nan", "inf"])
def test_a_bad_loss_names_step_parts_and_scenes_and_keeps_the_last_state(fake: Any, bad: str) -> None:
    settings = ("train.save_every=2", "model.bad_step=6", f"model.bad={bad}")
    with pytest.raises(UserError) as caught:
        train(fake(*settings))
    said = str(caught.value)
    assert "in step 6" in said and f"size {bad}" in said and "guess" in said
    scenes = said.split("the scenes ")[1].split(". ")[0].split(", ")
    assert len(scenes) == 4 and all(scene.isdigit() for scene in scenes)
    assert "--resume" in said and "optim.lr" in said
    run = fake().run_folder
    state = torch.load(run / "last/state.pt", weights_only=True)
    assert state["step"] == 4 and all(torch.isfinite(t).all() for t in state["system"].values())
    assert snapshot_steps(run) == [3]


def test_what_a_bad_loss_advises_works(fake: Any) -> None:
    with pytest.raises(UserError):
        train(fake("train.save_every=2", "model.bad_step=6"))
    run = fake().run_folder
    train(fake("train.save_every=2", "model.bad_step=6", "optim.lr=0.001"), resume=True)
    assert snapshot_steps(run) == [3, 6], "the fake counts its calls anew"


def test_a_bad_weight_is_never_saved(fake: Any) -> None:
    settings = ("train.save_every=2", "model.bad_step=4", "model.gradient=true", "optim.clip=null")
    with pytest.raises(UserError, match=r"after step 4 the weight guess\.weight holds nan"):
        train(fake(*settings))
    state = torch.load(fake().run_folder / "last/state.pt", weights_only=True)
    assert state["step"] == 2


# -- stopping --------------------------------------------------------------------------------------------------


def test_a_full_disk_is_said_and_the_state_stays(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log_window = loop.Training.log_window

    def full(self: Any, *args: Any) -> None:
        if self.step == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        log_window(self, *args)

    monkeypatch.setattr(loop.Training, "log_window", full)
    with pytest.raises(UserError, match=r"no space left on the disk in step 5.*--resume"):
        train(fake("train.save_every=2"))
    assert torch.load(fake().run_folder / "last/state.pt", weights_only=True)["step"] == 4


def test_signal_handlers_are_put_back(configured: Any) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    train(configured("train.steps=1"))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_configuration_is_frozen(configured: Any) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        configured().seed = 3
