"""Snapshots and states: whole or not there, and never code from outside."""

from __future__ import annotations

import dataclasses
import errno
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from idc.captioner.search import Search
from idc.config import Config, load_config
from idc.errors import UserError
from idc.systems.system import System
from idc.training import checkpoint
from idc.training.checkpoint import (
    SnapshotFacts,
    find_snapshot,
    load_state,
    load_system,
    prune_snapshots,
    read_facts,
    save_snapshot,
    save_state,
    snapshot_steps,
    write_best,
)
from idc.training.loop import build_system, open_split
from idc.training.validate import caption_split
from tests.tiny_world import make_world, write_config


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("world")
    return load_config(write_config(folder / "tiny.yaml", make_world(folder / "data")))


@pytest.fixture(scope="module")
def system(config: Config) -> System:
    return build_system(config, open_split(config, "train")).eval()


FACTS = SnapshotFacts("scorer_cbr", 7, (4, 2, 2), 24, "tiny", {"CIDEr": 0.5})


@pytest.fixture
def snapshot(tmp_path: Path, system: System, config: Config) -> Path:
    folder = tmp_path / "run" / "snapshots" / "7"
    save_snapshot(folder, system, config, FACTS)
    return folder


def test_a_snapshot_says_the_same_captions(snapshot: Path, system: System, config: Config) -> None:
    loaded = load_system(snapshot)
    assert not loaded.training
    assert loaded.vocabulary == system.vocabulary
    data = open_split(config, "test")
    one, other = (caption_split(each, data, 2, Search()) for each in (system, loaded))
    assert one == other and len(one) == 2 * len(data)
    assert {name.endswith("_n") for name in one} == {True, False}


def test_a_snapshot_needs_nothing_else(
    snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    snapshot.rename(elsewhere)
    monkeypatch.chdir(elsewhere)
    assert load_system(".").vocabulary.words[:2] == ("<NULL>", "<UNK>")
    assert {path.name for path in elsewhere.iterdir()} == {
        "model.safetensors",
        "config.yaml",
        "vocab.json",
        "snapshot.json",
    }


def test_facts_come_back(snapshot: Path) -> None:
    assert read_facts(snapshot) == FACTS


def test_half_precision_weights_load_as_single(snapshot: Path) -> None:
    weights = load_file(snapshot / "model.safetensors")
    save_file({name: tensor.half() for name, tensor in weights.items()}, snapshot / "model.safetensors")
    assert {tensor.dtype for tensor in load_system(snapshot).state_dict().values()} == {torch.float32}


def test_a_snapshot_of_that_step_is_replaced(snapshot: Path, system: System, config: Config) -> None:
    save_snapshot(snapshot, system, config, dataclasses.replace(FACTS, metrics={}))
    assert read_facts(snapshot).metrics == {}


def test_no_space_leaves_nothing_half_written(
    tmp_path: Path, snapshot: Path, system: System, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_state(tmp_path / "run", {"step": 1})

    def full(self: Path, content: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"no space left .*state\.pt"):
        save_state(tmp_path / "run", {"step": 2})
    with pytest.raises(UserError, match=r"no space left .*model\.safetensors"):
        save_snapshot(snapshot.with_name("8"), system, config, FACTS)
    with pytest.raises(UserError, match="no space left"):
        save_snapshot(snapshot, system, config, FACTS)
    monkeypatch.undo()
    assert load_state(tmp_path / "run") == {"step": 1}
    assert snapshot_steps(tmp_path / "run") == [7]
    load_system(snapshot)
    assert not list((tmp_path / "run").rglob(".*"))


def test_a_folder_that_is_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no snapshot: it has no snapshot\.json"):
        load_system(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"system": "scorer_cbr"}', '{"step": "x"}'])
def test_broken_facts(snapshot: Path, content: str) -> None:
    (snapshot / "snapshot.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match="does not describe a snapshot"):
        load_system(snapshot)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise"])
def test_broken_weights(snapshot: Path, damage: str) -> None:
    path = snapshot / "model.safetensors"
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "noise": b"\x80" * 64}[damage])
    with pytest.raises(UserError, match=r"model\.safetensors are missing or broken"):
        load_system(snapshot)


@pytest.mark.parametrize("setting", ["dim: 16", "decoder_layers: 2", "cbr: false"])
def test_weights_of_another_model(snapshot: Path, setting: str) -> None:
    path = snapshot / "config.yaml"
    name = setting.split(":")[0]
    lines = path.read_text(encoding="utf-8").splitlines()
    changed = [f"  {setting}" if line.strip().startswith(f"{name}:") else line for line in lines]
    assert changed != lines
    path.write_text("\n".join(changed), encoding="utf-8")
    with pytest.raises(UserError, match="those of another model"):
        load_system(snapshot)


def test_weights_of_another_vocabulary(snapshot: Path) -> None:
    path = snapshot / "vocab.json"
    words = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(words | {"zebra": len(words)}), encoding="utf-8")
    with pytest.raises(UserError, match="those of another model"):
        load_system(snapshot)


def test_a_snapshot_of_another_or_unknown_system(snapshot: Path) -> None:
    facts = json.loads((snapshot / "snapshot.json").read_text(encoding="utf-8"))
    (snapshot / "snapshot.json").write_text(json.dumps(facts | {"system": "clip4idc"}), encoding="utf-8")
    with pytest.raises(UserError, match="snapshot of the system “clip4idc”"):
        load_system(snapshot)


@pytest.mark.parametrize("name", ["config.yaml", "vocab.json"])
def test_a_snapshot_with_a_missing_file(snapshot: Path, name: str) -> None:
    (snapshot / name).unlink()
    with pytest.raises(UserError, match=name):
        load_system(snapshot)


# -- finding ---------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path, system: System, config: Config) -> Path:
    for step in (3, 6, 10):
        save_snapshot(
            tmp_path / "run/snapshots" / str(step), system, config, dataclasses.replace(FACTS, step=step)
        )
    write_best(tmp_path / "run", {"step": 6, "metric": "CIDEr", "value": 0.5})
    return tmp_path / "run"


def test_snapshots_are_found_by_name(run: Path) -> None:
    names = {"best": "6", "last": "10", "3": "3", "0010": "10", str(run / "snapshots/3"): "3"}
    assert {which: find_snapshot(run, which).name for which in names} == names


@pytest.mark.parametrize("which", ["4", "newest", "-1", "nowhere/7", ""])
def test_a_missing_snapshot_names_those_that_exist(run: Path, which: str) -> None:
    with pytest.raises(UserError, match="last, 3, 6, 10"):
        find_snapshot(run, which)


def test_no_best_yet_is_said(run: Path) -> None:
    (run / "best.json").unlink()
    with pytest.raises(UserError, match="no snapshot “best”"):
        find_snapshot(run, "best")


def test_no_snapshots_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="train first"):
        find_snapshot(tmp_path / "none", "best")


def test_a_half_written_snapshot_is_not_one(run: Path) -> None:
    (run / "snapshots/3").rename(run / "snapshots/.3.partial")
    assert snapshot_steps(run) == [6, 10]


def test_pruning_keeps_the_newest_and_the_best(run: Path) -> None:
    prune_snapshots(run, None, 6)
    assert snapshot_steps(run) == [3, 6, 10]
    prune_snapshots(run, 1, 6)
    assert snapshot_steps(run) == [6, 10]
    prune_snapshots(run, 1, None)
    assert snapshot_steps(run) == [10]


# -- the state -------------------------------------------------------------------------------------------------


def test_the_state_comes_back(tmp_path: Path) -> None:
    state = {
        "step": 3,
        "weights": {"w": torch.arange(3.0)},
        "best": None,
        "window": {"a": 0.1},
        "words": ["a"],
    }
    save_state(tmp_path, state)
    loaded = load_state(tmp_path)
    assert loaded is not None and torch.equal(loaded["weights"].pop("w"), state["weights"].pop("w"))  # type: ignore[attr-defined]
    assert loaded == state


def test_no_state_yet(tmp_path: Path) -> None:
    assert load_state(tmp_path) is None


@pytest.mark.parametrize("damage", ["empty", "cut", "noise"])
def test_a_broken_state(tmp_path: Path, damage: str) -> None:
    save_state(tmp_path, {"weights": torch.zeros(1000)})
    path = tmp_path / checkpoint.STATE
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": content[:1500], "noise": b"noise" * 99}[damage])
    with pytest.raises(UserError, match="is broken"):
        load_state(tmp_path)


class Bomb:
    """Pickled, it creates a file when it is unpickled without care."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self) -> Any:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_state_cannot_run_code(tmp_path: Path, how: str) -> None:
    path = tmp_path / checkpoint.STATE
    path.parent.mkdir()
    bomb = {"step": 1, "system": Bomb(tmp_path / "exploded")}
    if how == "torch":
        torch.save(bomb, path)
    else:
        path.write_bytes(pickle.dumps(bomb, protocol=2))
    with pytest.raises(UserError, match="is broken"):
        load_state(tmp_path)
    assert not (tmp_path / "exploded").exists()
