"""Problem set 2, hidden: positions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from autograder.checks.inputs import numbers
from autograder.proxy import Pieces
from idc.pieces import sinusoidal_encoding

from .comparing import has_slopes, same

WORDS, GRID = pytest.mark.exercise("ps2.1"), pytest.mark.exercise("ps2.2")


@WORDS
def test_moving_on_is_one_rotation_everywhere(student: Pieces, rng: np.random.Generator) -> None:
    dim, steps = 2 * int(rng.integers(2, 6)), int(rng.integers(1, 9))
    hands = torch.view_as_complex(student.sinusoidal_encoding(40, dim).double().unflatten(-1, (-1, 2)))
    turn = hands[steps:] / hands[:-steps]
    same(torch.view_as_real(turn), torch.view_as_real(turn[:1].expand_as(turn)), 5e-3)


@WORDS
@pytest.mark.parametrize(("length", "dim"), [(500, 64), (3, 512), (1, 6)])
def test_long_wide_and_short(student: Pieces, length: int, dim: int) -> None:
    table = student.sinusoidal_encoding(length, dim)
    same(table.double(), sinusoidal_encoding(length, dim).double(), 3e-3)


@WORDS
def test_a_single_pair_turns_by_one_radian(student: Pieces) -> None:
    table = student.sinusoidal_encoding(12, 2).double()
    expected = [[math.sin(place), math.cos(place)] for place in range(12)]
    same(table, torch.tensor(expected, dtype=torch.float64), 1e-3)


@WORDS
def test_no_two_words_wear_the_same_label(student: Pieces) -> None:
    table = student.sinusoidal_encoding(300, 32).double()
    apart = torch.cdist(table, table) + 10 * torch.eye(300, dtype=torch.float64)
    assert apart.min() > 0.1


@GRID
def test_the_gradient_is_the_slope(student: Pieces, rng: np.random.Generator) -> None:
    has_slopes(student.grid_encoding, numbers(rng, 3, 2), numbers(rng, 4, 2))


@GRID
def test_a_vector_learns_from_all_its_cells(student: Pieces, rng: np.random.Generator) -> None:
    column, row = numbers(rng, 3, 2).requires_grad_(), numbers(rng, 5, 2).requires_grad_()
    student.grid_encoding(column, row).sum().backward()
    assert column.grad is not None and row.grad is not None
    same(column.grad, torch.full_like(column, 5))
    same(row.grad, torch.full_like(row, 3))


def cell_by_cell(column: Tensor, row: Tensor) -> Tensor:
    return torch.stack([torch.stack([torch.cat([across, down]) for across in column]) for down in row])


@GRID
@pytest.mark.parametrize(("columns", "rows", "width"), [(1, 1, 1), (7, 1, 2), (1, 6, 3), (11, 13, 4)])
def test_of_any_size(student: Pieces, rng: np.random.Generator, columns: int, rows: int, width: int) -> None:
    column, row = numbers(rng, columns, width), numbers(rng, rows, width)
    same(student.grid_encoding(column, row), cell_by_cell(column, row))


@GRID
def test_half_precision_is_copied_as_it_is(student: Pieces, rng: np.random.Generator) -> None:
    column, row = numbers(rng, 3, 4, dtype=torch.float16), numbers(rng, 2, 4, dtype=torch.float16)
    found = student.grid_encoding(column, row)
    assert found.dtype == torch.float16
    assert torch.equal(found, cell_by_cell(column, row))


@GRID
def test_tables_that_are_parts_of_others(student: Pieces, rng: np.random.Generator) -> None:
    whole = numbers(rng, 9, 6)
    column, row = whole[::2, 1:4], whole[:4, ::2]
    same(student.grid_encoding(column, row), cell_by_cell(column, row))
