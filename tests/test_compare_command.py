"""`python -m idc.compare`: the same for all, nothing done twice, and a table that says what the runs say."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from idc import compare
from idc.compare import (
    Budget,
    check_entries,
    draw,
    finished_runs,
    is_finished,
    make_entry,
    markdown,
    seconds_of,
    train_run,
)
from idc.config import load_config
from idc.data.grids import GridWriter
from idc.data.layout import KINDS, picture, split_of
from idc.errors import UserError
from idc.evaluate import evaluate
from idc.show import save_figure
from idc.training.checkpoint import STATE, find_snapshot, load_system, read_best, snapshot_steps
from idc.training.log import METRICS
from idc.training.loop import Interrupted, alone, train
from tests.commands import caller
from tests.tiny_world import make_world, write_config

LAPTOP = Path(__file__).parent.parent / "configs" / "clip4idc" / "laptop.yaml"
WIDER = {"dim": 16, "heads": 2, "word_dim": 8, "encoder_layers": 1, "decoder_layers": 1}
CALL = [
    "a.yaml",
    "b.yaml:optim.lr=0.02",
    "--label",
    "A",
    "--label",
    "B, wider",
    "--seeds",
    "0,1",
    "--steps",
    "4",
]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two configurations over one small world, after the command has compared them."""
    folder = tmp_path_factory.mktemp("compared")
    make_world(folder / "data")
    write_config(folder / "a.yaml", Path("data"))
    write_config(folder / "b.yaml", Path("data"), model=WIDER)
    done = subprocess.run(
        [sys.executable, "-m", "idc.compare", *CALL, "--out", "out"],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "| B, wider | tiny |" in done.stdout
    return folder


@pytest.fixture
def place(compared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, and the current one."""
    shutil.copytree(compared, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


call = caller(compare)


def result_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "comparison.json").read_text(encoding="utf-8"))


def refuse(*arguments: Any, **named: Any) -> Any:
    pytest.fail("this was done before")


# -- what comes out ---------------------------------------------------------------------------------------


@pytest.mark.java
def test_the_figures_are_those_of_the_runs(place: Path) -> None:
    result = result_of(place / "out")
    assert result["test"] == {"pairs": 4, "references": 6}
    assert result["budget"] == {"steps": 4, "minutes": None}
    assert result["machine"]["cores"] == os.cpu_count() and result["machine"]["threads"] >= 1
    assert result["machine"]["versions"]["torch"] == version("torch")
    assert [system["label"] for system in result["systems"]] == ["A", "B, wider"]
    for system, name in zip(result["systems"], ("a", "b-wider"), strict=True):
        assert list(system["seeds"]) == ["0", "1"]
        for seed, figures in system["seeds"].items():
            run = place / "out" / "runs" / name / f"seed{seed}"
            best = read_best(run)
            assert best is not None and figures["step"] == best["step"]
            assert figures["step_seconds"] == seconds_of(run)
        for key, spread in system["figures"].items():
            values = [figures[key] for figures in system["seeds"].values()]
            assert spread["mean"] == pytest.approx(statistics.mean(values))
            assert spread["deviation"] == pytest.approx(statistics.stdev(values))
        model = load_system(find_snapshot(place / "out" / "runs" / name / "seed0", "best"))
        count = sum(parameter.numel() for parameter in model.parameters())
        assert system["parameters"] == system["trained_parameters"] == count
        assert system["stages"] == [{"stage": "caption", "steps": 4, "batch_size": 4}]
    assert result["systems"][1]["parameters"] > result["systems"][0]["parameters"]
    figures = result["systems"][1]["seeds"]["1"]
    report = evaluate(place / "out/runs/b-wider/seed1/test" / str(figures["step"]), place / "data")
    assert {key: figures[key] for key in report["all"]} == pytest.approx(report["all"])


def test_every_run_has_its_seed_and_its_overrides(place: Path) -> None:
    runs = place / "out" / "runs"
    read = {
        (name, seed): load_config(runs / name / f"seed{seed}" / "config.yaml")
        for name in ("a", "b-wider")
        for seed in (0, 1)
    }
    assert {key: config.seed for key, config in read.items()} == {key: key[1] for key in read}
    assert [read[name, 0].optim.lr for name in ("a", "b-wider")] == [0.01, 0.02]
    assert all(config.train.steps == 4 and config.optim.warmup == 1 for config in read.values())


def test_table_and_figure_are_there(place: Path) -> None:
    result = result_of(place / "out")
    table = (place / "out" / "comparison.md").read_text(encoding="utf-8")
    assert table == markdown(result)
    assert f"scored on {os.cpu_count()} cores (" in table
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) == 4 and len({row.count("|") for row in rows}) == 1
    cider = result["systems"][0]["figures"]["CIDEr"]
    assert f"| {cider['mean']:.3f} ± {cider['deviation']:.3f} |" in rows[2]
    with Image.open(place / "out" / "comparison.png") as image:
        assert image.width > 800 and len(np.unique(np.asarray(image))) > 50


FACTS = {"mean": 0.5, "deviation": 0.125, "min": 0.4, "max": 0.6}


def test_what_only_some_systems_have_is_left_empty_for_the_others(place: Path) -> None:
    result = result_of(place / "out")
    second = result["systems"][1]
    second["label"] = "B | wider"
    second["figures"]["facts.statement"] = FACTS
    for figures, value in zip(second["seeds"].values(), (0.4, 0.6), strict=True):
        figures["facts.statement"] = value
    head, _, one, other, *_ = markdown(result).splitlines()
    column = head.split("|").index(" statement true, % ")
    assert one.split("|")[column].strip() == "" and other.split("|")[column] == " 50.0 ± 12.5 "
    assert other.startswith("| B / wider |")
    axes = [axis for axis in draw(result).axes if axis.get_title() == "statement true, %"]
    (dots,) = (line for line in axes[0].lines if line.get_marker() == "o")
    assert list(dots.get_xdata()) == [40, 60]
    save_figure(draw(result), place / "other.pdf")


def test_a_single_seed_has_no_deviation(place: Path) -> None:
    result = result_of(place / "out")
    for figure in result["systems"][0]["figures"].values():
        figure["deviation"] = None
    assert "±" not in markdown(result).splitlines()[2]
    draw(result)


# -- nothing is done twice --------------------------------------------------------------------------------


def test_what_is_finished_is_taken(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (place / "out/comparison.json").read_bytes()
    for name in ("train", "score_split"):
        monkeypatch.setattr(compare, name, refuse)
    assert call(monkeypatch, *CALL, "--out", "out") == 0
    assert (place / "out/comparison.json").read_bytes() == before


@pytest.mark.java
def test_stopped_it_goes_on(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = result_of(place / "out")
    shutil.rmtree(place / "out/runs/b-wider")
    (place / "out/comparison.json").unlink()
    real, begun = compare.train, []

    def stopping(config: Any, **how: Any) -> Path:
        begun.append(config.exp_name)
        if len(begun) == 2:
            raise Interrupted
        return real(config, **how)

    monkeypatch.setattr(compare, "train", stopping)
    assert call(monkeypatch, *CALL, "--out", "out") == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert not (place / "out/comparison.json").exists()
    assert call(monkeypatch, *CALL, "--out", "out") == 0
    assert begun == ["seed0", "seed1", "seed1"]
    again = result_of(place / "out")
    for one, other in zip(expected["systems"], again["systems"], strict=True):
        for seed in one["seeds"]:
            assert one["seeds"][seed]["CIDEr"] == other["seeds"][seed]["CIDEr"]


@pytest.mark.java
def test_a_run_that_was_trained_elsewhere_is_loaded(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "train", refuse)
    listing = {path for path in (place / "out").rglob("*") if path.is_file()}
    arguments = [
        "out/runs/a/seed1",
        "a.yaml",
        "--label",
        "there",
        "--label",
        "A",
        "--seeds",
        "0",
        "--steps",
        "4",
    ]
    shutil.copytree("out/runs/a/seed0", "new/runs/a/seed0")
    assert call(monkeypatch, *arguments, "--out", "new") == 0
    there = result_of(place / "new")["systems"][0]
    assert list(there["seeds"]) == ["1"]
    assert there["seeds"]["1"]["CIDEr"] == result_of(place / "out")["systems"][0]["seeds"]["1"]["CIDEr"]
    assert {path for path in (place / "out").rglob("*") if path.is_file()} == listing


@pytest.mark.java
def test_the_seeds_of_an_experiment_are_loaded_together(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "train", refuse)
    arguments = ["out/runs/a", "a.yaml", "--label", "there", "--label", "A", "--seeds", "0", "--steps", "4"]
    shutil.copytree("out/runs/a/seed0", "new/runs/a/seed0")
    assert call(monkeypatch, *arguments, "--out", "new") == 0
    there, here = result_of(place / "new")["systems"]
    assert list(there["seeds"]) == ["0", "1"] and (there["trained_before"], here["trained_before"]) == (
        True,
        False,
    )
    before = result_of(place / "out")["systems"][0]["seeds"]
    assert [there["seeds"][seed]["CIDEr"] for seed in before] == [run["CIDEr"] for run in before.values()]
    table = (place / "new" / "comparison.md").read_text(encoding="utf-8")
    assert "4 steps of training for each run, except there: trained before, as configured" in table
    assert table.count(f"caption 4 x 4 of {there['training_scenes']} |") == 2


def test_an_unfinished_run_is_not_taken(place: Path) -> None:
    config = place / "out/runs/a/seed1/config.yaml"
    config.write_text(
        re.sub(r"steps: 4\b", "steps: 40", config.read_text(encoding="utf-8")), encoding="utf-8"
    )
    for folder in ("out/runs/a", "out/runs/a/seed1"):
        with pytest.raises(
            UserError, match=r"seed1 is not finished: it has taken 4 of 40 steps\. .*--resume"
        ):
            make_entry(folder, None, [0], place / "new", Budget(4, None, place / "new"))


def test_a_run_that_was_killed_while_its_last_files_were_written_is_not_finished(place: Path) -> None:
    (config,) = finished_runs(place / "out/runs/a/seed1")
    state = config.run_folder / STATE
    assert is_finished(config)
    kept = torch.load(state, weights_only=True)
    torch.save(kept | {"step": 3}, state)
    assert not is_finished(config)
    state.unlink()
    assert is_finished(config), "a copy without its state"
    (config.run_folder / "best.json").unlink()
    assert not is_finished(config)
    with alone(config), pytest.raises(UserError, match="is being trained at this moment"):
        train_run(config)
    assert snapshot_steps(config.run_folder) != [], "another process's snapshots are left alone"
    train_run(config)
    assert is_finished(config)


def test_a_run_of_other_settings_is_not_taken(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, *CALL[:-1], "6", "--out", "out") == 2
    said = capsys.readouterr().err
    assert "seed0 was trained with other settings" in said and "train.steps (was 4, now 6)" in said


@pytest.mark.java
def test_a_system_of_two_stages_with_and_without_the_first(
    two_stages: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One budget for both: what the first stage does not take, the second has."""
    two_stages()
    config, labels = str(tmp_path / "two.yaml"), ["--label", "both", "--label", "second alone"]
    budget = ["--seeds", "3", "--steps", "22", "--out", str(tmp_path / "out")]
    assert call(monkeypatch, config, f"{config}:stages.find.skip=true", *labels, *budget) == 0
    both, alone = result_of(tmp_path / "out")["systems"]
    assert [(stage["stage"], stage["steps"]) for stage in both["stages"]] == [("find", 10), ("guess", 12)]
    assert [(stage["stage"], stage["steps"]) for stage in alone["stages"]] == [("guess", 22)]
    assert (
        both["trained_parameters"] == both["parameters"] == alone["parameters"] > alone["trained_parameters"]
    )
    run = tmp_path / "out" / "runs" / "both" / "seed3"
    whole = 10 * seconds_of(run / "find") + 12 * seconds_of(run)
    assert both["seeds"]["3"]["step_seconds"] == pytest.approx(whole / 22)
    assert not (tmp_path / "out" / "runs" / "second-alone" / "seed3" / "find").exists()
    seconds = Budget(None, 1.0, tmp_path / "pilot").step_seconds(
        "two", Path(config), ["train.accelerator=cpu"]
    )
    assert list(seconds) == ["find", "guess"] and min(seconds.values()) > 0


# -- the budget -------------------------------------------------------------------------------------------


def stages(settings: list[str], *overrides: str) -> dict[str, Any]:
    config = load_config(LAPTOP, [*overrides, *settings])
    return {stage.present.name: stage for stage in config.to_train()}


def test_steps_are_shared_by_the_stages(tmp_path: Path) -> None:
    found = stages(Budget(800, None, tmp_path).settings("x", LAPTOP, []))
    assert {name: stage.train.steps for name, stage in found.items()} == {"adapt": 300, "caption": 500}
    assert {name: stage.optim.warmup for name, stage in found.items()} == {"adapt": 35, "caption": 20}
    assert {name: stage.train.snapshot_every for name, stage in found.items()} == {
        "adapt": 75,
        "caption": 100,
    }


def test_a_stage_that_is_skipped_leaves_its_steps_to_the_others(tmp_path: Path) -> None:
    skip = "stages.adapt.skip=true"
    found = stages(Budget(850, None, tmp_path).settings("x", LAPTOP, [skip]), skip)
    assert {name: stage.train.steps for name, stage in found.items()} == {"caption": 850}


def test_minutes_become_steps_by_the_time_that_one_takes(tmp_path: Path) -> None:
    known = {"x": {"adapt": 0.5, "caption": 0.1}}
    (tmp_path / "step_seconds.json").write_text(json.dumps(known), encoding="utf-8")
    found = stages(Budget(None, 1.5, tmp_path).settings("x", LAPTOP, []))
    assert {name: stage.train.steps for name, stage in found.items()} == {"adapt": 135, "caption": 225}


def test_the_time_of_a_step_is_found_out_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget(None, 1.0, place / "pilot")
    first = budget.settings("a.yaml", Path("a.yaml"), ["train.accelerator=cpu"])
    assert [path.name for path in (place / "pilot").iterdir()] == ["step_seconds.json"]
    monkeypatch.setattr(compare, "train", refuse)
    assert budget.settings("a.yaml", Path("a.yaml"), ["train.accelerator=cpu"]) == first
    seconds = json.loads((place / "pilot/step_seconds.json").read_text(encoding="utf-8"))["a.yaml"]["caption"]
    assert f"train.steps={round(60 / seconds)}" in first


def test_what_another_process_found_out_meanwhile_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commands with one --out: the second had its pilot at the same time and was the first to be done."""
    theirs = {"a.yaml": {"caption": 0.25}, "b.yaml": {"caption": 0.5}}
    (place / "pilot" / "pilot-theirs").mkdir(parents=True)  # of a third one, which still runs

    def train_beside_another(config: Any) -> None:
        train(config)
        (place / "pilot" / "step_seconds.json").write_text(json.dumps(theirs), encoding="utf-8")

    monkeypatch.setattr(compare, "train", train_beside_another)
    settings = Budget(None, 1.0, place / "pilot").settings(
        "a.yaml", Path("a.yaml"), ["train.accelerator=cpu"]
    )
    assert "train.steps=240" in settings
    assert sorted(path.name for path in (place / "pilot").iterdir()) == ["pilot-theirs", "step_seconds.json"]
    assert json.loads((place / "pilot" / "step_seconds.json").read_text(encoding="utf-8")) == theirs


def test_without_a_budget_nothing_is_changed(tmp_path: Path) -> None:
    assert Budget(None, None, tmp_path).settings("x", LAPTOP, []) == []


# -- the same for all -------------------------------------------------------------------------------------


def entries(place: Path, *texts: str) -> list[compare.Entry]:
    return [make_entry(text, None, [0], place, Budget(None, None, place)) for text in texts]


def test_another_backbone_over_the_same_scenes_is_fine(place: Path) -> None:
    for split in ("train", "val", "test"):
        names = [picture(kind, scene) for scene in split_of(place / "data", split) for kind in KINDS]
        with GridWriter(
            place / "data/features_other" / split, names, (2, 1, 1), {"backbone": "other"}
        ) as writer:
            writer.append(np.zeros((len(names), 2, 1, 1), np.float32))
            writer.finish()
    check_entries(entries(place, "a.yaml", "a.yaml:data.backbone=other"))


def test_other_test_scenes_are_refused(place: Path) -> None:
    make_world(place / "more", scenes=15)
    with pytest.raises(
        UserError, match=r"“.*a” and “.*a data.root=more” are not tested on the same scenes: 8 pairs"
    ):
        check_entries(entries(place, "a.yaml", "a.yaml:data.root=more"))
    with pytest.raises(UserError, match=r"same scenes: 2 pairs .* data.test.max_samples"):
        check_entries(entries(place, "a.yaml", "a.yaml:data.test.max_samples=1"))


def test_other_references_are_refused(place: Path) -> None:
    shutil.copytree("data", "other")
    path = place / "other" / "total_change_captions_reformat.json"
    path.write_text(path.read_text(encoding="utf-8").replace("it moved", "it has moved"), encoding="utf-8")
    with pytest.raises(UserError, match="other captions, first 0000"):
        check_entries(entries(place, "a.yaml", "a.yaml:data.root=other"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.yaml", "b.yaml", "--label", "A"], "2 entries, but 1 labels"),
        (["a.yaml", "b.yaml", "--label", "A", "--label", "a"], "more than one system is called “A”"),
        (["a.yaml", "--steps", "0"], "--steps is 0"),
        (["a.yaml", "--minutes", "-1"], "--minutes is -1"),
        (["a.yaml", "--seeds", "one"], "--seeds one"),
        (["data"], "data has no config.yaml, nor folders seed0"),
        (["out/runs/a/seed0:optim.lr=1"], "seed0 cannot be changed any more"),
        (["none.yaml"], "there is no configuration at none.yaml"),
        (["a.yaml:optim.rl=1"], "did you mean “optim.lr”"),
    ],
)
def test_bad_input(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.setattr(compare, "train", refuse)
    assert call(monkeypatch, *arguments, "--out", "new") == 2
    assert said in capsys.readouterr().err


def test_a_run_that_did_not_keep_its_times(place: Path) -> None:
    (place / METRICS).write_text('{"step": 1, "loss/caption": 1.0}\n', encoding="utf-8")
    with pytest.raises(UserError, match="how long a training step took"):
        seconds_of(place)
