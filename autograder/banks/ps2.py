"""Problem set 2: what proves it."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.checks.exercise import Bank
from idc.pieces.positions import grid_encoding, sinusoidal_encoding

# ps2.1, wrong


def guard(dim: int) -> None:
    """The given first lines of the stub."""
    if dim <= 0 or dim % 2:
        raise ValueError(f"dim must be a positive even number; it is {dim}")


def alternating(angle: Tensor) -> Tensor:
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


def table(length: int, dim: int, power: Tensor, base: float = 10000.0) -> Tensor:
    """The right layout with any exponents."""
    guard(dim)
    return alternating(torch.arange(length)[:, None] / base**power)


def exponents(dim: int) -> Tensor:
    return torch.arange(0, dim, 2) / dim


def halves(length: int, dim: int) -> Tensor:
    guard(dim)
    angle = torch.arange(length)[:, None] / 10000 ** exponents(dim)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def swapped(length: int, dim: int) -> Tensor:
    right = sinusoidal_encoding(length, dim)
    result = torch.empty_like(right)
    result[:, 0::2], result[:, 1::2] = right[:, 1::2], right[:, 0::2]
    return result


def from_one(length: int, dim: int) -> Tensor:
    return sinusoidal_encoding(length + 1, dim)[1:]


def half_exponent(length: int, dim: int) -> Tensor:
    return table(length, dim, torch.arange(dim // 2) / dim)


def double_exponent(length: int, dim: int) -> Tensor:
    return table(length, dim, 2 * torch.arange(0, dim, 2) / dim)


def endpoint(length: int, dim: int) -> Tensor:
    return table(length, dim, torch.arange(dim // 2) / max(dim // 2 - 1, 1))


def inverted(length: int, dim: int) -> Tensor:
    return table(length, dim, -exponents(dim).double())


def base_e(length: int, dim: int) -> Tensor:
    return table(length, dim, exponents(dim), math.e)


def base_thousand(length: int, dim: int) -> Tensor:
    return table(length, dim, exponents(dim), 1000)


def integer_division(length: int, dim: int) -> Tensor:
    return table(length, dim, torch.arange(0, dim, 2) // dim)


def unpaired(length: int, dim: int) -> Tensor:
    guard(dim)
    angle = torch.arange(length)[:, None] / 10000 ** (torch.arange(dim) / dim)
    angle[:, 0::2] = angle[:, 0::2].sin()
    angle[:, 1::2] = angle[:, 1::2].cos()
    return angle


def transposed(length: int, dim: int) -> Tensor:
    return sinusoidal_encoding(length, dim).T


def normalised(length: int, dim: int) -> Tensor:
    guard(dim)
    return alternating(torch.arange(length)[:, None] / length / 10000 ** exponents(dim))


def centred(length: int, dim: int) -> Tensor:
    guard(dim)
    return alternating((torch.arange(length) - (length - 1) / 2)[:, None] / 10000 ** exponents(dim))


def squared(length: int, dim: int) -> Tensor:
    guard(dim)
    return alternating(torch.arange(length)[:, None] ** 2 / 10000 ** exponents(dim))


def odd(length: int, dim: int) -> Tensor:
    if dim <= 0:
        return torch.empty(length, 0)
    result = torch.zeros(length, dim)
    angle = torch.arange(length)[:, None] / 10000 ** exponents(dim)
    result[:, 0::2], result[:, 1::2] = angle.sin(), angle.cos()[:, : dim // 2]
    return result


# ps2.1, honest


def numbers_one_by_one(length: int, dim: int) -> Tensor:
    guard(dim)
    rows = []
    for position in range(length):
        row: list[float] = []
        for pair in range(dim // 2):
            angle = position / 10000 ** (2 * pair / dim)
            row += [math.sin(angle), math.cos(angle)]
        rows.append(row)
    return torch.tensor(rows)


def single_precision_powers(length: int, dim: int) -> Tensor:
    guard(dim)
    return alternating(torch.arange(length)[:, None] / 10000 ** (torch.arange(0, dim, 2) / dim))


def every_second_column(length: int, dim: int) -> Tensor:
    guard(dim)
    angle = torch.arange(length)[:, None] * torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
    result = torch.zeros(length, dim)
    result[:, 0::2] = torch.sin(angle)
    result[:, 1::2] = torch.cos(angle)
    return result


def by_einsum(length: int, dim: int) -> Tensor:
    guard(dim)
    speed = torch.pow(1e-4, torch.arange(dim // 2, dtype=torch.float64) / (dim // 2))
    angle = torch.einsum("p,i->pi", torch.arange(length, dtype=torch.float64), speed)
    return alternating(angle)


def complex_numbers(length: int, dim: int) -> Tensor:
    guard(dim)
    angle = torch.outer(torch.arange(length).float(), 10000 ** -exponents(dim))
    hands = torch.polar(torch.ones_like(angle), angle)
    return torch.view_as_real(hands).flip(-1).reshape(length, dim)


def through_numpy(length: int, dim: int) -> Tensor:
    guard(dim)
    angle = np.outer(np.arange(length), 10000.0 ** -(np.arange(0, dim, 2) / dim))
    return torch.from_numpy(np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(length, dim))


def shifted_sine(length: int, dim: int) -> Tensor:
    """cos(a) = sin(a + pi / 2)."""
    guard(dim)
    column = torch.arange(dim)
    speed = 10000.0 ** (-(column - column % 2) / dim)
    return torch.sin(torch.arange(length)[:, None] * speed + column % 2 * math.pi / 2)


def turned_on(length: int, dim: int) -> Tensor:
    """Every row is the one before, turned."""
    guard(dim)
    turn = torch.polar(torch.ones(dim // 2).double(), 10000 ** -exponents(dim).double())
    hands = [torch.ones_like(turn)]
    for _ in range(length - 1):
        hands.append(hands[-1] * turn)
    return torch.stack([torch.stack([hand.imag, hand.real], -1).flatten() for hand in hands]).float()


class AsModule(nn.Module):
    def forward(self, length: int, dim: int) -> Tensor:
        return every_second_column(length, dim)


# ps2.2, wrong


def row_first(column: Tensor, row: Tensor) -> Tensor:
    return grid_encoding(column, row).roll(column.shape[1], -1)


def columns_down(column: Tensor, row: Tensor) -> Tensor:
    return grid_encoding(column, row).transpose(0, 1)


def exchanged(column: Tensor, row: Tensor) -> Tensor:
    return grid_encoding(row, column)


def added(column: Tensor, row: Tensor) -> Tensor:
    return column[None] + row[:, None]


def interleaved(column: Tensor, row: Tensor) -> Tensor:
    shape = (len(row), len(column), column.shape[1])
    return torch.stack([column.expand(shape), row[:, None].expand(shape)], dim=-1).flatten(2)


def column_major(column: Tensor, row: Tensor) -> Tensor:
    cells = [torch.cat([across, down]) for across in column for down in row]
    return torch.stack(cells).view(len(row), len(column), -1)


def column_repeated_on_the_spot(column: Tensor, row: Tensor) -> Tensor:
    height, width = len(row), len(column)
    cells = torch.cat([column.repeat_interleave(height, 0), row.repeat_interleave(width, 0)], dim=1)
    return cells.view(height, width, -1)


def row_started_over(column: Tensor, row: Tensor) -> Tensor:
    height, width = len(row), len(column)
    return torch.cat([column.repeat(height, 1), row.repeat(width, 1)], dim=1).view(height, width, -1)


def flat(column: Tensor, row: Tensor) -> Tensor:
    return grid_encoding(column, row).flatten(0, 1)


def last_row(column: Tensor, row: Tensor) -> Tensor:
    return grid_encoding(column, row[-1:].expand_as(row))


def first_column(column: Tensor, row: Tensor) -> Tensor:
    return grid_encoding(column[:1].expand_as(column), row)


def scaled(column: Tensor, row: Tensor) -> Tensor:
    return grid_encoding(column, row) * column.shape[1] ** -0.5 * 2


def detached(column: Tensor, row: Tensor) -> Tensor:
    return torch.tensor([[[*c, *r] for c in column.tolist()] for r in row.tolist()], dtype=column.dtype)


def only_column_learns(column: Tensor, row: Tensor) -> Tensor:
    return grid_encoding(column, row.detach())


def in_place(column: Tensor, row: Tensor) -> Tensor:
    column.unsqueeze_(0)
    row.unsqueeze_(1)
    return torch.cat([column.expand(len(row), -1, -1), row.expand(-1, column.shape[1], -1)], dim=-1)


def single(column: Tensor, row: Tensor) -> Tensor:
    result = torch.zeros(len(row), len(column), 2 * column.shape[1])
    result[..., : column.shape[1]] = column
    result[..., column.shape[1] :] = row[:, None]
    return result


# ps2.2, honest


def cell_by_cell(column: Tensor, row: Tensor) -> Tensor:
    return torch.stack([torch.stack([torch.cat([across, down]) for across in column]) for down in row])


def by_index(column: Tensor, row: Tensor) -> Tensor:
    y, x = torch.meshgrid(torch.arange(len(row)), torch.arange(len(column)), indexing="ij")
    return torch.cat((column[x], row[y]), -1)


def ones_by_einsum(column: Tensor, row: Tensor) -> Tensor:
    across = torch.einsum("y,xd->yxd", column.new_ones(len(row)), column)
    down = torch.einsum("x,yd->yxd", column.new_ones(len(column)), row)
    return torch.cat([across, down], dim=2)


def filled(column: Tensor, row: Tensor) -> Tensor:
    width = column.shape[1]
    result = column.new_empty(row.shape[0], column.shape[0], 2 * width)
    result[:, :, :width] = column
    result[:, :, width:] = row.unsqueeze(1)
    return result


def repeated(column: Tensor, row: Tensor) -> Tensor:
    height, width = row.size(0), column.size(0)
    cells = torch.hstack([column.repeat(height, 1), row.repeat_interleave(width, dim=0)])
    return cells.reshape(height, width, -1)


def padded(column: Tensor, row: Tensor) -> Tensor:
    width = column.shape[1]
    return F.pad(column, (0, width))[None] + F.pad(row, (width, 0))[:, None]


def in_double(column: Tensor, row: Tensor) -> Tensor:
    return cell_by_cell(column.double(), row.double()).to(column.dtype)


class GridModule(nn.Module):
    def forward(self, c: Tensor, r: Tensor) -> Tensor:
        shape = torch.broadcast_shapes((1, len(c), 1), (len(r), 1, 1))[:2]
        return torch.cat([torch.broadcast_to(c, (*shape, c.shape[-1])), r[:, None].repeat(1, len(c), 1)], -1)


BANKS = {
    "ps2.1": Bank(
        right=sinusoidal_encoding,
        wrong={
            "halves": halves,
            "swapped": swapped,
            "from-one": from_one,
            "exponent": half_exponent,
            "double-exponent": double_exponent,
            "endpoint": endpoint,
            "inverted": inverted,
            "base-e": base_e,
            "speeds": base_thousand,
            "integer-division": integer_division,
            "unpaired": unpaired,
            "transposed": transposed,
            "normalised": normalised,
            "start": centred,
            "uneven": squared,
            "odd": odd,
        },
        honest={
            "loop": numbers_one_by_one,
            "float32 powers": single_precision_powers,
            "every second column": every_second_column,
            "einsum in float64": by_einsum,
            "complex numbers": complex_numbers,
            "NumPy": through_numpy,
            "only sines": shifted_sine,
            "each row turned on": turned_on,
            "a module": AsModule(),
            "other argument names": lambda count, width: every_second_column(count, width),
        },
    ),
    "ps2.2": Bank(
        right=grid_encoding,
        wrong={
            "row-first": row_first,
            "transposed": columns_down,
            "exchanged": exchanged,
            "added": added,
            "interleaved": interleaved,
            "column-major": column_major,
            "repeat-interleave": column_repeated_on_the_spot,
            "repeat": row_started_over,
            "flat": flat,
            "same-row": last_row,
            "same-column": first_column,
            "altered": scaled,
            "no-gradient": detached,
            "changes-input": in_place,
            "dtype": single,
        },
        honest={
            "loop": cell_by_cell,
            "meshgrid": by_index,
            "einsum with ones": ones_by_einsum,
            "filled": filled,
            "repeat": repeated,
            "padded and added": padded,
            "float64 inside": in_double,
            "a module with other argument names": GridModule(),
        },
    ),
}
