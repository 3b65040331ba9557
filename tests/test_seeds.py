"""Several seeds: which ones, what their figures come to, and how it is told."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from idc.config import Config, load_config
from idc.errors import UserError
from idc.seeds import parse_seeds, report_seeds, score_run, seed_configs, summary, table, train_seeds
from idc.training.checkpoint import find_snapshot, read_facts
from idc.training.loop import open_split


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0..7", list(range(8))), ("0,1,5", [0, 1, 5]), ("3", [3]), ("4..4", [4]), ("9, 0..2", [9, 0, 1, 2])],
)
def test_seeds_as_people_write_them(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "1-3", "-1", "1...3", "0,", "5..2", "1,1", "0..3,2"])
def test_seeds_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="--seeds"):
        parse_seeds(text)


def test_a_range_without_a_seed_says_what_to_write() -> None:
    with pytest.raises(UserError, match=r"no seed in 7\.\.0; write 0\.\.7\."):
        parse_seeds("7..0,3")


def test_every_seed_is_an_experiment_of_its_own(two_stages: Callable[..., Config], tmp_path: Path) -> None:
    config = two_stages()
    configs = seed_configs(tmp_path / "two.yaml", ["optim.lr=0.5"], [3, 4])
    assert [each.seed for each in configs.values()] == list(configs) == [3, 4]
    assert configs[4].run_folder == config.run_folder / "seed4" and configs[4].optim.lr == 0.5
    assert configs[4].earlier()[0].run_folder == config.run_folder / "seed4/find"


def test_all_folders_are_looked_at_before_a_seed_is_trained(
    two_stages: Callable[..., Config], tmp_path: Path
) -> None:
    two_stages()
    settings = ["stage=find", "stages.find.train.steps=1"]
    train_seeds(seed_configs(tmp_path / "two.yaml", settings, [1]), False, False, {})
    configs = seed_configs(tmp_path / "two.yaml", settings, [0, 1])
    with pytest.raises(UserError, match="seed1/find already holds a run"):
        train_seeds(configs, False, False, {})
    assert not configs[0].run_folder.exists()
    train_seeds(configs, True, False, {})
    assert configs[0].run_folder.exists()


def scores(*test: float) -> dict[int, dict[str, Any]]:
    """Seeds 10, 11, … with these CIDErs on test; on val the order is the other way round."""
    return {
        10 + number: {"step": 5, "selection": -value, "val": {"CIDEr": -value}, "test": {"CIDEr": value}}
        for number, value in enumerate(test)
    }


def test_what_val_chooses_is_told_and_what_luck_would_choose() -> None:
    report = summary(scores(1.0, 4.0, 2.0), "CIDEr")
    assert report["chosen"] == {"seed": 10, "val": {"CIDEr": -1.0}, "test": {"CIDEr": 1.0}}
    assert report["luckiest"] == {"CIDEr": {"seed": 11, "value": 4.0}}
    spread = report["spread"]["test"]["CIDEr"]
    assert spread == {
        "mean": pytest.approx(7 / 3),
        "deviation": pytest.approx(statistics.stdev([1, 4, 2])),
        "min": 1.0,
        "max": 4.0,
    }


def test_one_seed_has_no_spread() -> None:
    report = summary(scores(1.0), "CIDEr")
    assert report["spread"]["test"]["CIDEr"]["deviation"] is None
    last = next(line for line in table(report).splitlines() if "deviation" in line)
    assert last.split() == ["deviation"]


def test_the_table_has_a_row_for_each_seed_and_split() -> None:
    lines = table(summary(scores(1.0, 4.0), "CIDEr")).splitlines()
    assert lines[0].split() == ["val", "CIDEr"] and lines[1].split() == ["seed", "10", "-1.0000"]
    assert ["seed", "11", "4.0000"] in [line.split() for line in lines]
    assert ["mean", "2.5000"] in [line.split() for line in lines]
    assert lines[-1] == "luckiest on test: seed 11, 4.0000"
    assert len({len(line) for line in lines if line.startswith("  ")}) == 1, "columns are aligned"


def test_stages_that_are_measured_by_retrieval_are_scored_by_it(
    two_stages: Callable[..., Config], tmp_path: Path
) -> None:
    two_stages()
    configs = seed_configs(tmp_path / "two.yaml", ["stage=find"], [0, 1])
    train_seeds(configs, False, False, {})
    run = configs[1].run_folder
    score = score_run(configs[1])
    assert score["val"] == read_facts(find_snapshot(run, "best")).metrics, "what validation found"
    assert score["selection"] == score["val"]["retrieval.text_to_pair.R@1"]
    report = report_seeds(configs)
    assert (tmp_path / "runs/two/seeds.json").is_file()
    (stage,) = report["stages"]
    assert stage == {
        "stage": "find",
        "steps": configs[0].train.steps,
        "batch_size": configs[0].data.train.batch_size,
    }
    assert report["training_scenes"] == len(open_split(configs[0], "train"))
    assert "text_to_pair.R@1" in table(report) and "rank" not in table(report)
    assert load_config(run / "config.yaml") == configs[1]
