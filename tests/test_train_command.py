"""`python -m idc.train` and `python -m idc.test` as commands: killed, resumed, on two processes, and with bad input."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from idc.config import load_config
from idc.seeds import seed_configs
from idc.training.log import read_metrics
from idc.training.loop import train
from tests.tiny_world import make_world, write_config
from tests.training.runs import curve, same, weights
from tests.two_stages import write_two_stages

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent.parent)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, tiny.yaml, and two.yaml of a system that trains in two stages."""
    folder = tmp_path_factory.mktemp("place")
    write_config(folder / "tiny.yaml", make_world(folder / "data"))
    write_two_stages(folder / "two.yaml", folder / "data")
    return folder


def command(name: str, *arguments: object, launcher: tuple[str, ...] = ()) -> list[str]:
    return [sys.executable, *launcher, "-m", name, *map(str, arguments)]


def run_command(place: Path, line: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        line, cwd=place, env=ENVIRONMENT, capture_output=True, text=True, timeout=200, check=False
    )


STEPS = 60
LONG = (f"train.steps={STEPS}", "train.snapshot_every=20", "train.save_every=5", "train.keep_last=2")


@pytest.fixture(scope="module")
def whole(place: Path) -> Path:
    """The folder of a run that nobody disturbed."""
    done = run_command(place, command("idc.train", "--cfg", "tiny.yaml", "exp_name=whole", *LONG))
    assert done.returncode == 0, done.stderr
    assert "snapshots are in" in done.stdout and "100%" in done.stderr
    return place / "runs/whole"


def test_killed_at_random_moments_and_resumed_is_the_run_that_never_was(place: Path, whole: Path) -> None:
    rng = random.Random(0)
    metrics = place / "runs/killed/metrics.jsonl"
    line = command("idc.train", "--cfg", "tiny.yaml", "exp_name=killed", "--resume", *LONG)
    for target in (rng.randrange(8, 25), rng.randrange(30, 55)):
        process = subprocess.Popen(line, cwd=place, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        while (
            process.poll() is None and max((row["step"] for row in read_metrics(metrics)), default=0) < target
        ):
            time.sleep(0.001)
        time.sleep(rng.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it should not have come to its end"
    finished = run_command(place, line)
    assert finished.returncode == 0, finished.stderr

    assert curve(place / "runs/killed") == curve(whole)
    one, other = (weights(run, STEPS) for run in (place / "runs/killed", whole))
    assert same(one, other)
    assert (place / "runs/killed/best.json").read_bytes() == (whole / "best.json").read_bytes()
    assert not [
        p for p in (place / "runs/killed/last").iterdir() if p.name == "state.pt" and p.stat().st_size == 0
    ]


def test_a_polite_kill_saves_and_says_how_to_go_on(place: Path) -> None:
    line = command(
        "idc.train", "--cfg", "tiny.yaml", "exp_name=polite", "train.steps=100000", "train.save_every=99999"
    )
    process = subprocess.Popen(
        [*line, "train.snapshot_every=99999"], cwd=place, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    metrics = place / "runs/polite/metrics.jsonl"
    while process.poll() is None and len(read_metrics(metrics)) < 5:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume continues runs/polite" in said.replace(str(place) + "/", "")
    state = torch.load(place / "runs/polite/last/state.pt", weights_only=True)
    assert state["step"] == read_metrics(metrics)[-1]["step"] >= 5


@pytest.mark.distributed
def test_two_processes_do_what_one_does_with_twice_the_batch(place: Path) -> None:
    # Adam blows up the rounding of gradients that are zero by symmetry, unless eps is larger than that
    settings = (
        "model.dropout=0",
        "model.encoder_layers=2",
        "loss_weights.cross_modal=0.5",
        "optim.eps=0.001",
    )
    train(load_config(place / "tiny.yaml", ["exp_name=one", "data.train.batch_size=4", *settings]))
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    two = run_command(
        place,
        command(
            "idc.train",
            "--cfg",
            "tiny.yaml",
            "exp_name=two",
            "data.train.batch_size=2",
            *settings,
            launcher=launcher,
        ),
    )
    assert two.returncode == 0, two.stderr
    assert two.stdout.count("snapshots are in") == 1
    for a, b in zip(curve(place / "runs/one"), curve(place / "runs/two"), strict=True):
        assert a == pytest.approx(b, abs=1e-5)
    for step in (3, 6):
        a, b = weights(place / "runs/one", step), weights(place / "runs/two", step)
        assert all(torch.allclose(a[name], b[name], atol=1e-4) for name in a)


@pytest.mark.distributed
def test_two_processes_go_through_both_stages_like_one(place: Path, two_stages: Any) -> None:
    settings = ("model.dropout=0", "optim.eps=0.001")
    one = train(two_stages("exp_name=one_process", *settings))
    halves = ("train.devices=2", "data.train.batch_size=2", "stages.find.data.train.batch_size=1")
    line = command("tests.two_stages", "--cfg", "two.yaml", "exp_name=two_processes", *settings, *halves)
    done = run_command(place, line)
    assert done.returncode == 0, done.stderr
    two = place / "runs/two_processes"
    said = [line.split(";")[0] for line in done.stdout.splitlines()]
    assert said == [f"snapshots are in {run / 'snapshots'}" for run in (two / "find", two)], (
        "once for each stage"
    )
    for run, other, steps in ((one / "find", two / "find", (2, 4, 5)), (one, two, (3, 6))):
        for a, b in zip(curve(run), curve(other), strict=True):
            assert a == pytest.approx(b, abs=1e-5)
        for step in steps:
            a, b = weights(run, step), weights(other, step)
            assert all(torch.allclose(a[name], b[name], atol=1e-5) for name in a)


def test_killed_in_the_second_stage_and_resumed_is_the_run_that_never_was(
    place: Path, two_stages: Any
) -> None:
    settings = ("train.steps=60", "train.save_every=5", "train.snapshot_every=20", "train.log_every=1")
    whole = train(two_stages(*settings))
    killed = place / "runs/killed_stages"
    line = command("tests.two_stages", "--cfg", "two.yaml", "exp_name=killed_stages", "--resume", *settings)
    process = subprocess.Popen(line, cwd=place, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    metrics = killed / "metrics.jsonl"
    while process.poll() is None and not any(row["step"] > 10 for row in read_metrics(metrics)):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it should not have come to its end"
    first = (killed / "find/last/state.pt").stat().st_mtime_ns
    finished = run_command(place, line)
    assert finished.returncode == 0, finished.stderr
    assert (killed / "find/last/state.pt").stat().st_mtime_ns == first, "what is finished stays"
    for run, other, last in ((killed / "find", whole / "find", 5), (killed, whole, 60)):
        assert curve(run) == curve(other)
        assert same(weights(run, last), weights(other, last))
        assert (run / "best.json").read_bytes() == (other / "best.json").read_bytes()


def test_several_seeds_are_trained_scored_and_reported(place: Path) -> None:
    settings = ["exp_name=many", "train.steps=3"]
    finished = train(seed_configs(place / "tiny.yaml", settings, [1])[1])
    before = {path: path.stat().st_mtime_ns for path in (finished / "snapshots").rglob("*")}
    line = command("idc.train", "--cfg", "tiny.yaml", *settings, "--seeds", "0..1", "--resume")
    done = run_command(place, line)
    assert done.returncode == 0, done.stderr
    runs = place / "runs/many"
    assert not (runs / "config.yaml").exists()
    assert load_config(runs / "seed0/config.yaml").seed == 0
    after = {path: path.stat().st_mtime_ns for path in (finished / "snapshots").rglob("*")}
    assert after == before, "a finished seed is not trained again"
    report = json.loads((runs / "seeds.json").read_text(encoding="utf-8"))
    assert list(report["seeds"]) == ["0", "1"] and report["metric"] == "CIDEr"
    for split in ("val", "test"):
        values = [score[split]["CIDEr"] for score in report["seeds"].values()]
        assert report["spread"][split]["CIDEr"]["mean"] == pytest.approx(sum(values) / 2)
        assert {"BLEU-4", "METEOR", "ROUGE-L", "CIDEr"} <= set(report["seeds"]["1"][split])
    best = max(report["seeds"], key=lambda seed: report["seeds"][seed]["selection"])
    assert report["chosen"]["seed"] == int(best)
    assert report["chosen"]["test"] == report["seeds"][best]["test"]
    for words in ("seed 1", "mean", "deviation", "METEOR", f"best on val by CIDEr: seed {best}"):
        assert words in done.stdout


def test_bad_input_is_one_paragraph_and_exit_code_2(place: Path) -> None:
    wrong = run_command(place, command("idc.train", "--cfg", "tiny.yaml", "data.train.batch_sise=3"))
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: ") and wrong.stderr.count("\n") == 1
    assert "did you mean “data.train.batch_size”" in wrong.stderr
    assert not (place / "runs/tiny").exists()


def test_test_writes_results_for_every_pair(place: Path, whole: Path) -> None:
    done = run_command(place, command("idc.test", "--run", "runs/whole", "--snapshot", "60"))
    assert done.returncode == 0, done.stderr
    assert "captions are in runs/whole/test/60" in done.stdout and "captioning test" in done.stderr
    scenes = json.loads((place / "data/splits.json").read_text(encoding="utf-8"))["test"]
    for file, ending in (("sc_results.json", ""), ("nsc_results.json", "_n")):
        rows = json.loads((whole / "test/60" / file).read_text(encoding="utf-8"))
        assert [row["image_id"] for row in rows] == [f"{scene:06d}.png{ending}" for scene in scenes]
        assert all(isinstance(row["caption"], str) and set(row) == {"caption", "image_id"} for row in rows)
