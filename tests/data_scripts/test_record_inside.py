"""What the problem sets show of the inside of the bundled model is what it computes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from data_scripts.record_inside import FILES, RECORDED
from idc.pieces import CrossAttention
from idc.show import BUNDLED

SCRIPT = Path(__file__).resolve().parents[2] / "data_scripts" / "record_inside.py"


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files, written anew by the command."""
    folder = tmp_path_factory.mktemp("recorded")
    subprocess.run(
        [sys.executable, SCRIPT, "--out", folder], check=True, capture_output=True, text=True, timeout=240
    )
    return folder


@pytest.mark.parametrize("name", FILES)
def test_the_recorded_arrays_are_fresh(name: str, again: Path) -> None:
    assert (RECORDED / f"{name}.npz").stat().st_size < 200 * 1024
    with np.load(RECORDED / f"{name}.npz") as recorded, np.load(again / f"{name}.npz") as now:
        assert sorted(recorded.files) == sorted(now.files)
        for key in recorded.files:
            assert recorded[key].dtype == now[key].dtype
            np.testing.assert_allclose(
                recorded[key].astype(np.float32), now[key].astype(np.float32), rtol=0.02, atol=0.005
            )


def test_the_trained_projections_give_the_recorded_looks() -> None:
    """The notebook puts the trained weights into the reader's own class and compares."""
    with np.load(RECORDED / "looks.npz") as recorded:
        before, after, weights = (
            torch.from_numpy(recorded[name]).float() for name in ("before", "after", "weights")
        )
    trained = load_file(BUNDLED / "model.safetensors")
    start = "encoder.layers.1.attention."
    attention = CrossAttention(128, 4)
    attention.load_state_dict(
        {name.removeprefix(start): part for name, part in trained.items() if name.startswith(start)}
    )
    with torch.inference_mode():
        _, found = attention(before, after)
    torch.testing.assert_close(found, weights, rtol=0.05, atol=0.01)


def test_the_vanished_cylinder_finds_nothing() -> None:
    """The notebook says so: its look is spread over many more cells than that of a cube that stayed."""
    with np.load(RECORDED / "looks.npz") as recorded:
        row = recorded["scenes"].tolist().index(44)
        weights = recorded["weights"][row].astype(np.float64).mean(0)
    cells = np.exp(-(weights * np.log(weights + 1e-12)).sum(-1))  # over how many cells a look is spread
    cylinder, cube = 3 * 7 + 1, 3 * 7 + 3
    assert cells[cylinder] > 2 * cells[cube]


def test_the_ball_that_moved_is_found_where_it_is_now() -> None:
    """The notebook draws the lines: from the middle of every object to where it looks most."""
    with np.load(RECORDED / "looks.npz") as recorded:
        row = recorded["scenes"].tolist().index(41)
        best = recorded["weights"][row].astype(np.float64).mean(0).argmax(-1)
    assert best[[17, 39, 10, 25]].tolist() == [17, 22, 11, 32]
