"""Figures that must survive kills, full disks and servers that go away."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from idc.errors import UserError
from idc.training.log import METRICS, environment_name, make_loggers, read_metrics, truncate_metrics


def test_each_line_is_on_disk_at_once_and_is_strict_json(tmp_path: Path) -> None:
    logger = make_loggers([], tmp_path)
    logger.log(1, {"loss/caption": 2.5, "lr": 1e-4})
    assert read_metrics(tmp_path / METRICS) == [{"step": 1, "loss/caption": 2.5, "lr": 1e-4}]
    logger.log(2, {"loss/caption": math.nan, "lr": math.inf})

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} is not JSON")

    last = (tmp_path / METRICS).read_text(encoding="utf-8").splitlines()[-1]
    assert json.loads(last, parse_constant=refuse) == {"step": 2, "loss/caption": None, "lr": None}
    logger.close()


def test_a_second_logger_appends(tmp_path: Path) -> None:
    for step in (1, 2):
        logger = make_loggers(["jsonl"], tmp_path / "new" / "run")
        logger.log(step, {"a": 1.0})
        logger.close()
    assert [line["step"] for line in read_metrics(tmp_path / "new" / "run" / METRICS)] == [1, 2]


@pytest.mark.parametrize("cut", range(1, len('{"step": 3, "a": 1.0}')))
def test_a_last_line_cut_anywhere_is_left_aside(tmp_path: Path, cut: int) -> None:
    path = tmp_path / METRICS
    path.write_text('{"step": 1, "a": 1.0}\n{"step": 2, "a": 1.0}\n' + '{"step": 3, "a": 1.0}'[:cut])
    assert [line["step"] for line in read_metrics(path)] == [1, 2]
    truncate_metrics(path, 1)
    assert path.read_text() == '{"step": 1, "a": 1.0}\n'


def test_zero_bytes_left_by_a_crash_are_left_aside(tmp_path: Path) -> None:
    path = tmp_path / METRICS
    path.write_bytes(b'{"step": 1}\n' + b"\0" * 40)
    assert read_metrics(path) == [{"step": 1}]


@pytest.mark.parametrize("broken", ["{", "[1, 2]", "3", '{"a": 1}', "\xff", ""])
def test_a_broken_line_in_the_middle_is_an_error_that_names_it(tmp_path: Path, broken: str) -> None:
    path = tmp_path / METRICS
    path.write_bytes(b'{"step": 1}\n' + broken.encode("latin-1") + b'\n{"step": 3}\n')
    with pytest.raises(UserError, match=r"line 2 of .*metrics\.jsonl"):
        read_metrics(path)


def test_truncating_keeps_the_step_and_drops_later_ones(tmp_path: Path) -> None:
    path = tmp_path / METRICS
    path.write_text("".join(json.dumps({"step": step}) + "\n" for step in (1, 2, 2, 3, 5)))
    truncate_metrics(path, 2)
    assert [line["step"] for line in read_metrics(path)] == [1, 2, 2]
    truncate_metrics(path, 0)
    assert path.read_text() == ""


def test_truncating_nothing_makes_an_empty_file(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / METRICS) == []
    truncate_metrics(tmp_path / METRICS, 5)
    assert list(tmp_path.iterdir()) == [tmp_path / METRICS]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_said_and_what_was_written_stays(tmp_path: Path) -> None:
    (tmp_path / METRICS).symlink_to("/dev/full")
    logger = make_loggers([], tmp_path)
    with pytest.raises(UserError, match=r"step 7 could not be written .*--resume"):
        logger.log(7, {"a": 1.0})
    logger.close()


def test_no_two_runs_have_the_same_page(tmp_path: Path) -> None:
    for folder, name in (
        ("runs/a", "a"),
        ("runs/a/seed0", "a_seed0"),
        ("x/runs/b/runs/c/adapt", "c_adapt"),
        ("d", "d"),
    ):
        assert environment_name(tmp_path / folder) == name


def test_an_unknown_logger_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no logger “wandb”; choose from jsonl, tensorboard, visdom"):
        make_loggers(["jsonl", "wandb"], tmp_path)


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    """What TensorBoard draws."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_tensorboard_shows_one_curve_of_a_killed_and_resumed_run(tmp_path: Path) -> None:
    logger = make_loggers(["tensorboard"], tmp_path)
    for step in (1, 2, 3, 4):
        logger.log(step, {"loss/caption": float(step)})
    logger.close()
    truncate_metrics(tmp_path / METRICS, 2)
    resumed = make_loggers(["tensorboard"], tmp_path, first=2)
    for step in (3, 4, 5):
        resumed.log(step, {"loss/caption": 10.0 * step})
    resumed.close()
    expected = [(1, 1.0), (2, 2.0), (3, 30.0), (4, 40.0), (5, 50.0)]
    assert scalars(tmp_path, "loss/caption") == expected
    lines = read_metrics(tmp_path / METRICS)
    assert [(line["step"], line["loss/caption"]) for line in lines] == expected
