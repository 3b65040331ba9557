"""The command that extracts features, with the small backbone and random weights."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from idc.backbones import load_backbone
from idc.backbones.rendered import RenderedBackbone
from idc.data.features import extract_flat
from idc.data.grids import NpyGrids, open_grids
from idc.data.layout import picture

SCRIPT = Path(__file__).parents[2] / "data_scripts" / "extract_features.py"
World = Callable[..., Path]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "rendered.safetensors"
    state = RenderedBackbone().state_dict()
    save_file({name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}, path)
    return path


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, str(SCRIPT), *map(str, arguments), "--device", "cpu"]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


def test_both_stores(small_world: World, weights: Path) -> None:
    root = small_world()
    result = run("--root", root, "--backbone", "rendered", "--weights", weights, "--batch-size", "5")
    assert result.returncode == 0, result.stderr
    flat = open_grids(root / "features_rendered", "train")
    assert flat.shape == (384, 7, 7) and flat.backbone == "rendered"
    result = run("--root", root, "--weights", weights, "--store", "npy", "--out", root / "published")
    assert result.returncode == 0, result.stderr
    npy = open_grids(root / "published", "train")
    assert isinstance(npy, NpyGrids) and npy.shape == (384, 7, 7)
    for kind in ("default", "semantic", "nonsemantic"):
        name = picture(kind, 4)
        assert npy[name].dtype == np.float32
        np.testing.assert_array_max_ulp(flat[name], npy[name].astype(np.float16), maxulp=1, dtype=np.float16)


def test_killed_and_taken_up_again(small_world: World, weights: Path) -> None:
    """Kill -9 as soon as a first row is on the disk; the second run continues and gives the whole."""
    root = small_world()
    arguments = ("--root", root, "--weights", weights, "--batch-size", "1")
    partial = root / "features_rendered" / "train" / "grids.partial"
    process = subprocess.Popen(command(*arguments), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (partial.is_file() and partial.stat().st_size) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    extract_flat(root, root / "whole", load_backbone("rendered", weights), 1, torch.device("cpu"))
    for split in ("train", "val", "test"):
        first, second = (
            np.fromfile(out / split / "grids.fp16", np.float16)
            for out in (root / "features_rendered", root / "whole")
        )
        np.testing.assert_array_max_ulp(first, second, maxulp=1, dtype=np.float16)


def test_errors_are_one_paragraph(small_world: World, weights: Path) -> None:
    root = small_world()
    broken = root / "nsc_images" / picture("nonsemantic", 1)
    broken.write_bytes(broken.read_bytes()[:100])
    result = run("--root", root, "--weights", weights)
    assert result.returncode == 2 and "CLEVR_nonsemantic_000001.png cannot be read" in result.stderr
    assert "Traceback" not in result.stderr
