"""Where a look's peak lies."""

from __future__ import annotations

import pytest
import torch

from idc.metrics.pointing import chance, peak, pointing

SIZE = (160, 120)


def look_at(row: int, column: int) -> torch.Tensor:
    grid = torch.zeros(6, 8)
    grid[row, column] = 1
    return grid.flatten()


def test_the_peak_is_a_cells_centre() -> None:
    assert peak(look_at(0, 0), (6, 8), SIZE) == (10, 10)
    assert peak(look_at(5, 7), (6, 8), SIZE) == (150, 110)


@pytest.mark.parametrize(("row", "column", "hit"), [(2, 3, True), (2, 5, False), (0, 3, False)])
def test_it_must_lie_in_the_box(row: int, column: int, hit: bool) -> None:
    assert pointing(look_at(row, column), (6, 8), [[60.0, 40.0, 20.0, 20.0]], SIZE) == hit


def test_either_box_counts_and_absent_ones_do_not() -> None:
    boxes = [None, [60.0, 40.0, 20.0, 20.0]]
    assert pointing(look_at(2, 3), (6, 8), boxes, SIZE)
    assert not pointing(look_at(2, 3), (6, 8), [None, None], SIZE)


def test_chance_is_the_share_of_cells_that_would_hit() -> None:
    assert chance((6, 8), [[0.0, 0.0, 160.0, 120.0]], SIZE) == 1
    assert chance((6, 8), [None], SIZE) == 0
    assert chance((6, 8), [[62.0, 42.0, 16.0, 16.0]], SIZE) == pytest.approx(1 / 48)
