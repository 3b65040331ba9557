"""Training in stages: their order, what each may move and how fast, resuming in any of them, refusing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from idc.captioner.search import Search
from idc.config import Config, OptimConfig, load_config
from idc.data.captions import preprocess
from idc.errors import UserError
from idc.systems import SYSTEMS
from idc.systems.system import Group
from idc.training import loop, validate
from idc.training.checkpoint import load_system, read_best, snapshot_steps
from idc.training.log import read_metrics
from idc.training.loop import Interrupted, build_system, make_optimizer, open_split, train
from tests.tiny_world import write_config
from tests.training.runs import curve, same, weights
from tests.two_stages import TwoStages

Make = Callable[..., Config]


def part(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of one part of the system."""
    return {key: tensor for key, tensor in state.items() if key.startswith(f"{name}.")}


def files(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


# -- what the stages leave -------------------------------------------------------------------------------------


def test_each_stage_is_a_run_measured_in_its_own_way(two_stages: Make) -> None:
    run = train(two_stages())
    first = run / "find"
    assert run.name == "two" and snapshot_steps(first) == [2, 4, 5] and snapshot_steps(run) == [3, 6]
    found, said = curve(first), curve(run)
    assert {key for line in found for key in line if key.startswith("loss/")} == {"loss/apart", "loss/total"}
    assert {key for line in said for key in line if key.startswith("loss/")} == {"loss/guess", "loss/total"}
    assert "val/retrieval.pair_to_text.median_rank" in found[2] and "val/CIDEr" not in found[2]
    assert "val/CIDEr" in said[3] and not [key for key in said[3] if "retrieval" in key]
    for folder, metric in ((first, "retrieval.text_to_pair.R@1"), (run, "CIDEr")):
        best = read_best(folder)
        assert best is not None and best["metric"] == metric
    config = load_config(first / "config.yaml")
    assert (config.stage, config.train.steps, config.run_folder) == ("find", 5, first)
    assert load_config(run / "config.yaml") == two_stages()
    system = load_system(first / "snapshots/5")
    assert isinstance(system, TwoStages) and system.stage == "find"


def test_a_stage_begins_with_the_best_weights_of_the_one_before(
    two_stages: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter([0.1, 0.7, 0.2])
    monkeypatch.setattr(
        loop.RetrievalValidation, "measure", lambda *_: {"retrieval.text_to_pair.R@1": next(values)}
    )
    run = train(two_stages())
    best = weights(run / "find", 4)
    frozen = part(best, "words")
    assert frozen and same(part(weights(run, 6), "words"), frozen), "the second stage leaves the words alone"
    assert not same(part(weights(run / "find", 5), "words"), frozen), "they would have moved on"
    assert not same(part(weights(run, 6), "pairs"), part(best, "pairs"))


def test_what_is_in_no_group_is_frozen(two_stages: Make) -> None:
    config = two_stages("stage=find")
    fresh = build_system(config, open_split(config, "train"))
    assert {name for name, p in fresh.named_parameters() if not p.requires_grad} == {
        "head.weight",
        "head.bias",
    }
    start = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
    end = weights(train(config), 5)
    assert same(part(start, "head"), part(end, "head"))
    assert not same(part(start, "pairs"), part(end, "pairs"))
    assert not same(part(start, "words"), part(end, "words"))


def test_groups_move_at_their_rates(two_stages: Make) -> None:
    """The first step of Adam is the learning rate long in every coordinate that has a gradient."""
    config = two_stages("stage=find", "stages.find.train.steps=1", "stages.find.optim.weight_decay=0")
    start = build_system(config, open_split(config, "train")).state_dict()
    end = weights(train(config), 1)
    moved = {name: (end[name] - start[name]).abs().max().item() for name in end}
    rate = read_metrics(config.run_folder / "metrics.jsonl")[0]["lr"]
    assert moved["pairs.weight"] == pytest.approx(rate, rel=1e-2)
    assert moved["words.weight"] == pytest.approx(0.1 * rate, rel=1e-2)
    assert moved["head.weight"] == 0


@pytest.mark.parametrize("method", ["adam", "adamw"])
def test_only_groups_that_decay_decay(method: str) -> None:
    optim = OptimConfig(method=method, lr=0.1, weight_decay=0.5)  # type: ignore[arg-type]
    decaying, other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = make_optimizer(optim, [Group((decaying,)), Group((other,), decays=False)])
    for parameter in (decaying, other):
        parameter.grad = torch.zeros(2)
    optimizer.step()
    assert torch.equal(other, torch.ones(2))
    # a gradient of its own turns decay into a step of the whole rate; a step of its own is lr times decay long
    expected = {"adam": 1 - 0.1, "adamw": 1 - 0.1 * 0.5}[method]
    assert decaying.tolist() == pytest.approx([expected, expected])


def test_validation_says_what_the_system_says(two_stages: Make) -> None:
    config = two_stages()
    data = open_split(config, "val")
    system = build_system(config, data)
    assert isinstance(system, TwoStages)
    system.head.bias.data[data.vocabulary.index["red"]] = 100
    said = validate.caption_split(system, data, 2, Search())
    assert said == dict.fromkeys(("000008.png", "000009.png", "000008.png_n", "000009.png_n"), "red")


# -- retrieval on val ------------------------------------------------------------------------------------------


def test_vectors_of_a_split(two_stages: Make) -> None:
    config = two_stages("stage=find")
    data = open_split(config, "val")
    system = build_system(config, data).eval()
    found = validate.embed_split(system, data, 1)
    assert found.image_ids == data.image_ids() and found.pairs.shape == (2, 6)
    assert found.captions == ("the green ball moved", "it moved", "the red ball moved", "it moved")
    assert found.owner.tolist() == [0, 0, 1, 1]
    assert torch.equal(found.texts[1], found.texts[3]), "one sentence, one vector"
    ids = torch.tensor([data.vocabulary.encode("the red ball moved", data.longest)])
    assert torch.allclose(found.texts[2:3], system.embed_words(ids))
    pairs = data.collate([data[0], data[1]]).change
    assert torch.allclose(found.pairs, system.embed_pairs(pairs))


def test_captions_with_marks_keep_their_ids(small_world: Callable[..., Path]) -> None:
    vocabulary = preprocess(small_world()).vocabulary
    ids = vocabulary.encode("a red cube was newly placed; look, strange", 24)
    assert validate.caption_ids([vocabulary.decode(ids)], vocabulary, 24).tolist() == [ids]


def test_a_perfect_finder_scores_100(two_stages: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    config = two_stages("stage=find")
    data = open_split(config, "val")
    names = list(data.image_ids())
    sentences = {"the green ball moved": 0, "the red ball moved": 1}

    def pairs(self: Any, pairs: Any) -> Tensor:
        return torch.eye(2)[[names.index(name) for name in pairs.image_ids]]

    def words(self: Any, words: Tensor) -> Tensor:
        said = [data.vocabulary.decode(row) for row in words.tolist()]
        return torch.stack(
            [torch.eye(2)[sentences[s]] if s in sentences else torch.full((2,), 0.5**0.5) for s in said]
        )

    monkeypatch.setattr(TwoStages, "embed_pairs", pairs)
    monkeypatch.setattr(TwoStages, "embed_words", words)
    system = build_system(config, data)
    figures = validate.RetrievalValidation(data).measure(system, 2, "cpu")
    assert figures["retrieval.pair_to_text.R@1"] == 100
    assert figures["retrieval.text_to_pair.R@1"] == 75, "the sentence of both finds each half the time"
    assert set(validate.RETRIEVAL_METRICS) <= set(figures)


# -- resuming --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "stop_at"), [("find", 1), ("find", 4), ("guess", 1), ("guess", 4)])
def test_stopped_in_any_stage_and_resumed_is_the_run_that_never_was(
    two_stages: Make, monkeypatch: pytest.MonkeyPatch, stage: str, stop_at: int
) -> None:
    whole = train(two_stages("exp_name=whole"))
    take_step = loop.Training.take_step

    def interrupt(self: Any, *args: Any) -> Any:
        result = take_step(self, *args)
        if self.config.present.name == stage and self.step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)  # noticed in the step that follows
        return result

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(loop.Training, "take_step", interrupt)
        train(two_stages("exp_name=broken"))
    broken = train(two_stages("exp_name=broken"), resume=True)
    for one, other in ((broken / "find", whole / "find"), (broken, whole)):
        assert curve(one) == curve(other) and read_best(one) == read_best(other)
        assert snapshot_steps(one) == snapshot_steps(other)
        assert all(same(weights(one, step), weights(other, step)) for step in snapshot_steps(one))


def test_resuming_between_the_stages(two_stages: Make) -> None:
    whole = train(two_stages("exp_name=whole"))
    train(two_stages("exp_name=parts", "stage=find"))
    before = files(two_stages("exp_name=parts", "stage=find").run_folder)
    parts = train(two_stages("exp_name=parts"), resume=True)
    assert curve(parts) == curve(whole) and same(weights(parts, 6), weights(whole, 6))
    assert files(parts / "find") == before


def test_resuming_a_later_stage_does_not_need_the_earlier_ones(two_stages: Make) -> None:
    run = train(two_stages("optim.schedule=constant"))
    before = files(run / "find")
    more = two_stages("optim.schedule=constant", "train.steps=8", "stages.find.train.steps=9")
    assert snapshot_steps(train(more, resume=True)) == [3, 6, 8]
    assert files(run / "find") == before, "what the captions began with is history"


def test_resuming_finished_stages_does_nothing(two_stages: Make) -> None:
    run = train(two_stages())
    before = files(run)
    assert train(two_stages(), resume=True) == run
    assert files(run) == before


# -- one stage alone, and none ---------------------------------------------------------------------------------


def test_stages_can_be_trained_one_by_one(two_stages: Make) -> None:
    whole = train(two_stages("exp_name=whole"))
    first = train(two_stages("exp_name=apart", "stage=find"))
    assert first == whole.parent / "apart/find" and not (whole.parent / "apart/config.yaml").exists()
    second = train(two_stages("exp_name=apart", "stage=guess"))
    assert curve(first) == curve(whole / "find") and curve(second) == curve(whole)


def test_a_skipped_stage_is_left_out(two_stages: Make) -> None:
    config = two_stages("stages.find.skip=true")
    start = part(build_system(config, open_split(config, "train")).state_dict(), "words")
    run = train(config)
    assert not (run / "find").exists()
    assert same(part(weights(run, 6), "words"), start), "they are as they were initialised"


def test_a_skipped_stage_is_not_begun_with_even_if_it_is_there(two_stages: Make) -> None:
    train(two_stages("stage=find"))
    run = train(two_stages("stages.find.skip=true"))
    other = train(two_stages("exp_name=other", "stages.find.skip=true"))
    assert same(weights(run, 6), weights(other, 6))


# -- refusing --------------------------------------------------------------------------------------------------


def test_a_stage_needs_the_one_before(two_stages: Make) -> None:
    config = two_stages("stage=guess")
    with pytest.raises(
        UserError, match=r"“guess” begins with the best weights of the stage “find”.*skip=true"
    ):
        train(config)
    assert not config.run_folder.exists()


def test_all_folders_are_looked_at_before_anything_is_trained(two_stages: Make) -> None:
    run = train(two_stages("stages.find.skip=true"))
    before = files(run)
    with pytest.raises(UserError, match="already holds a run"):
        train(two_stages())
    assert files(run) == before


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.best_metric=retrieval.text_to_pair.R@1", r"no train.best_metric .* in the stage “guess”"),
        ("stages.find.train.best_metric=CIDEr", r"“CIDEr” in the stage “find”; .*retrieval.text_to_pair.R@1"),
        ("stages.find.train.best_metric=retrieval.text_to_pair.median_rank", "median_rank"),
    ],
)
def test_metrics_are_looked_at_before_anything_is_trained(two_stages: Make, override: str, said: str) -> None:
    config = two_stages(override)
    with pytest.raises(UserError, match=said):
        train(config)
    assert not config.run_folder.exists()


def test_overwriting_replaces_every_stage_at_once(two_stages: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train(two_stages())
    (run / "notes.txt").write_text("mine", encoding="utf-8")
    monkeypatch.setattr(loop.Training, "fit", lambda self: (_ for _ in ()).throw(Interrupted()))
    with pytest.raises(Interrupted):
        train(two_stages("seed=2"), overwrite=True)
    assert not (run / "last").exists() and snapshot_steps(run) == snapshot_steps(run / "find") == []
    assert (run / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_overwriting_one_stage_leaves_the_one_before(two_stages: Make) -> None:
    run = train(two_stages())
    before = files(run / "find")
    train(two_stages("stage=guess", "optim.lr=0.02"), overwrite=True)
    assert files(run / "find") == before


def test_weights_of_another_model_are_refused(two_stages: Make) -> None:
    train(two_stages("stage=find"))
    with pytest.raises(UserError, match=r"another model than the stage “guess” is to train .*share `model`"):
        train(two_stages("stage=guess", "model.dim=5"))


def test_a_system_without_retrieval_says_so(configured_scorer: Config) -> None:
    data = open_split(configured_scorer, "val")
    with pytest.raises(UserError, match="ScorerCBR has no retrieval"):
        validate.embed_split(build_system(configured_scorer, data), data, 2)


@pytest.fixture
def configured_scorer(tmp_path: Path, world: Path) -> Config:
    return load_config(write_config(tmp_path / "tiny.yaml", world))


@pytest.mark.parametrize("path", sorted(Path(loop.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_the_loop_names_no_system(path: Path) -> None:
    text = path.read_text(encoding="utf-8").lower().replace("_", "")
    names = {name.lower().replace("_", "") for pair in SYSTEMS.items() for name in pair}
    assert not [name for name in names | {"scorer", "clip4idc"} if name in text]
