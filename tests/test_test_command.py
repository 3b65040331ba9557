"""`idc.test` with snapshots and data that do not belong together, and its options, in this process."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from idc import test as command
from idc.config import load_config
from idc.training.loop import train
from tests.commands import caller
from tests.tiny_world import make_world, write_config


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, tiny.yaml and runs/tiny."""
    folder = tmp_path_factory.mktemp("trained")
    train(load_config(write_config(folder / "tiny.yaml", make_world(folder / "data"))))
    return folder


@pytest.fixture
def place(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


call = caller(command)


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        (["--run", "runs/tiny"], "runs/tiny/test/3"),
        (["--run", "runs/tiny", "--snapshot", "last"], "runs/tiny/test/6"),
        (["--run", "runs/tiny", "--snapshot", "runs/tiny/snapshots/6"], "runs/tiny/test/6"),
        (["--run", "runs/tiny", "--split", "val", "--search", "sample"], "runs/tiny/val/3"),
        (["--run", "runs/tiny", "--search", "beam", "--beams", "2", "--out", "here"], "here"),
        (["--run", "runs/tiny", "data.test.max_samples=1", "--out", "one"], "one"),
    ],
)
def test_options(place: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], folder: str) -> None:
    (place / "runs/tiny/best.json").write_text('{"step": 3, "metric": "CIDEr", "value": 1}', encoding="utf-8")
    assert call(monkeypatch, *arguments) == 0
    assert {path.name for path in (place / folder).iterdir()} == {"sc_results.json", "nsc_results.json"}
    rows = json.loads((place / folder / "sc_results.json").read_text(encoding="utf-8"))
    assert len(rows) == (1 if "data.test.max_samples=1" in arguments else 2)


def test_by_configuration(place: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "--cfg", "tiny.yaml", "runs=runs", "--snapshot", "6") == 0
    assert (place / "runs/tiny/test/6/sc_results.json").is_file()


def test_greedy_twice_is_the_same(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for out in ("a", "b"):
        assert call(monkeypatch, "--run", "runs/tiny", "--snapshot", "6", "--out", out) == 0
    assert (place / "a/sc_results.json").read_bytes() == (place / "b/sc_results.json").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--run", "runs/none"], "runs/none is no run"),
        (["--run", "runs/tiny", "--snapshot", "4"], "choose last, 3, 6"),
        (["--cfg", "tiny.yaml", "exp_name=other"], "has no snapshots; train first"),
        (["--cfg", "none.yaml"], "there is no configuration at none.yaml"),
        (["--run", "runs/tiny", "data.root=nowhere"], "nowhere"),
        (["--run", "runs/tiny", "--snapshot", "6", "--search", "beam", "--beams", "0"], "beams is 0"),
        (["--run", "runs/tiny", "--snapshot", "6", "--device", "cuda:77"], "--device cuda:77"),
        (["--run", "runs/tiny", "--snapshot", "6", "--device", "toaster"], "--device toaster"),
    ],
)
def test_bad_input(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    assert call(monkeypatch, *arguments) == 2
    assert said in capsys.readouterr().err


def test_features_of_another_shape(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_world(place / "wider", shape=(4, 3, 3))
    assert call(monkeypatch, "--run", "runs/tiny", "--snapshot", "6", "data.root=wider") == 2
    said = capsys.readouterr().err
    assert (
        "(4, 2, 2)" in said
        and "(4, 3, 3)" in said
        and "extract_features.py --root ROOT --backbone X`" in said
    )


def test_features_of_another_backbone(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "data/features_tiny").rename(place / "data/features_other")
    settings = (f"data.root={place / 'data'}", "data.backbone=other")
    assert call(monkeypatch, "--run", "runs/tiny", "--snapshot", "6", *settings) == 2
    assert "of the backbone “tiny”" in capsys.readouterr().err


def test_a_failed_test_leaves_the_old_results(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "--run", "runs/tiny", "--snapshot", "6") == 0
    before = (place / "runs/tiny/test/6/sc_results.json").read_bytes()
    (place / "runs/tiny/snapshots/6/model.safetensors").write_bytes(b"broken")
    assert call(monkeypatch, "--run", "runs/tiny", "--snapshot", "6") == 2
    assert (place / "runs/tiny/test/6/sc_results.json").read_bytes() == before
