"""Problem set 2: positions."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from autograder.checks.exercise import Asking, Exercise, Idea, Property
from autograder.checks.inputs import generator, numbers
from autograder.student import Call

WORDS, GRID = "sinusoidal_encoding", "grid_encoding"


def word_cases(rng: np.random.Generator) -> list[Call]:
    sizes = [(7, 8), (4, 4), (1, 2), (9, 6), (5, 2), (3, 8)]
    return [Call(WORDS, size) for size in sizes]


def starts_at_rest(ask: Asking) -> bool:
    first = ask(Call(WORDS, (3, 10)))[0]
    return first.shape == (10,) and bool(
        torch.allclose(first.double(), torch.tensor([0.0, 1.0] * 5).double())
    )


def pairs_are_points_on_a_circle(ask: Asking) -> bool:
    pairs = ask(Call(WORDS, (11, 6))).double().unflatten(-1, (-1, 2))
    return bool(torch.allclose(pairs.norm(dim=-1), torch.ones(()).double(), atol=1e-3))


def ignores_length(ask: Asking) -> bool:
    short, long = (ask(Call(WORDS, (length, 8))).double() for length in (4, 15))
    return bool(torch.allclose(short, long[:4], atol=1e-3))


def near_is_the_same_everywhere(ask: Asking) -> bool:
    table = ask(Call(WORDS, (30, 12))).double()
    likeness = [(table[k:] * table[: len(table) - k]).sum(-1) for k in (1, 5)]
    return all(bool(torch.allclose(each, each[:1], atol=1e-2)) for each in likeness)


def slows_down(ask: Asking) -> bool:
    """Of four hands the last is a thousand times slower than the first."""
    step = ask(Call(WORDS, (2, 8)))[1].double()
    first, last = math.asin(float(step[0].clamp(-1, 1))), math.asin(float(step[6].clamp(-1, 1)))
    return abs(first - 1) < 1e-2 and abs(1000 * last - first) < 5e-2


def refuses_odd_widths(ask: Asking) -> bool:
    failures = [ask.student(Call(WORDS, (4, dim))).failure for dim in (5, 1, 0, -2)]
    return all(failure is not None and failure.kind == "ValueError" for failure in failures)


def grid_cases(rng: np.random.Generator) -> list[Call]:
    """Wide, tall and square grids."""
    sizes = [(3, 2, 2), (2, 4, 3), (3, 3, 2)]  # columns, rows, width
    calls = [
        Call(GRID, (numbers(rng, w, d), numbers(rng, h, d)), want=(numbers(rng, h, w, 2 * d),))
        for w, h, d in sizes
    ]
    single = [numbers(rng, length, 2, dtype=torch.float32) for length in (5, 3)]
    return [
        *calls,
        Call(GRID, (single[0], single[1])),
        Call(GRID, (numbers(rng, 1, 4), numbers(rng, 3, 4))),
        Call(GRID, (numbers(rng, 4, 1), numbers(rng, 1, 1))),
    ]


def some_grid(ask: Asking) -> Tensor:
    rng = generator(4)
    return ask(Call(GRID, (numbers(rng, 4, 3), numbers(rng, 5, 3))))


def rows_differ(ask: Asking) -> bool:
    cells = some_grid(ask)
    return cells.ndim == 3 and not torch.equal(cells[0], cells[1])


def columns_differ(ask: Asking) -> bool:
    cells = some_grid(ask)
    return cells.ndim == 3 and not torch.equal(cells[:, 0], cells[:, 1])


def labels_arrive_unchanged(ask: Asking) -> bool:
    rng = generator(4)
    given = torch.cat([numbers(rng, 4, 3), numbers(rng, 5, 3)]).flatten()
    return bool(torch.isin(some_grid(ask), given).all())


CLOCKS = "A clock for every pair"
SPEED = "How fast does each hand turn?"
TABLE = "From hands to numbers"
CELLS = "Two labels, one vector"

EXERCISES = (
    Exercise(
        id="ps2.1",
        title="Sinusoidal encoding",
        piece=WORDS,
        points=5,
        minutes=15,
        difficulty=2,
        importance=4,
        hints=(
            "Forget sines for a moment. What you need first is a table of angles: one row for every position, one column for "
            "every hand. Its shape is (length, dim / 2). Each entry is a position times the speed of a hand.",
            "`torch.arange` counts positions; with a step of 2 it also gives the numbers 2i of the exponents. Positions as a "
            "column, speeds as a row: multiplying the two broadcasts to the whole table of angles.",
            "Take the sine and the cosine of the table of angles, two tables (length, dim / 2). `torch.stack` them along a new "
            "last axis, so that partners are neighbours, shape (length, dim / 2, 2); then flatten the last two axes. Or make "
            "an empty table and fill every second column.",
        ),
        explanation=(
            "You built a counter whose digits turn smoothly. Fast hands tell neighbours apart, slow hands tell early from late. "
            "Because moving on by k words turns every hand by a fixed angle, “three words earlier” is one and the same "
            "rotation everywhere in the sentence, and the dot product of two positions depends on their distance alone. A "
            "linear layer can learn that rotation, which is why attention gets along so well with this table. The decoder of "
            "the captioner adds it to the embedding of every word."
        ),
        cases=word_cases,
        any_dtype=True,
        tolerance=(1e-3, 1e-3),
        ideas={
            "halves": Idea(
                "sines and cosines stand in two halves",
                "All numbers are there, but the sines fill the left half of the row and the cosines the right half. Here the "
                "sine and the cosine of the same hand are neighbours, like the two coordinates of a point. Many programs on "
                "the web use halves; weights trained with one layout are useless with the other.",
                TABLE,
            ),
            "swapped": Idea(
                "sine and cosine have changed places",
                "In every pair the sine comes first, then the cosine. At position 0 all hands lie at angle zero: think what "
                "the first row must look like, and compare it with yours.",
                TABLE,
            ),
            "from-one": Idea(
                "positions are counted from 1",
                "The first word stands at position 0, where no hand has turned yet. Your table begins one step later, so that "
                "every word wears the label of its neighbour.",
                TABLE,
            ),
            "exponent": Idea(
                "the hands slow down only half as much",
                "The exponent counts 2i/d, and i runs over the d/2 pairs; so it goes from 0 almost to 1. Yours ends near one "
                "half. Dividing i by d does that, and so does 100 in place of 10000: the two are the same thing.",
                SPEED,
            ),
            "double-exponent": Idea(
                "the factor 2 of the exponent is taken twice",
                "The exponent 2i/d stays below 1. Yours runs almost to 2, so the hands slow down far too fast. If a range with "
                "step 2 gave you the numbers 0, 2, 4, …, then these already are 2i.",
                SPEED,
            ),
            "endpoint": Idea(
                "the slowest hand is placed exactly at the end",
                "You spread the speeds so that the last one is exactly 10000 times slower. In the formula the exponent is "
                "2i/d, which stops one step before 1, like an hour that ends at minute 59. By what do you divide?",
                SPEED,
            ),
            "inverted": Idea(
                "the hands get faster instead of slower",
                "You multiply by the power of 10000 where the position should be divided by it. Neighbouring positions then "
                "turn the last hands round hundreds of times and look unrelated. What is the sign of the exponent?",
                SPEED,
            ),
            "base-e": Idea(
                "10000 has got lost, e took its place",
                "A power of 10000 can be written with exp, but then the logarithm of 10000 belongs into the exponent. Without "
                "it the slowest hand is not even three times slower than the first.",
                SPEED,
            ),
            "speeds": Idea(
                "the hands slow down by another law",
                "The first hand turns by one radian a word. Every following one is slower by one and the same factor, which "
                "depends on d. For d = 8 the four hands turn by 1, 1/10, 1/100 and 1/1000 radian: check yours.",
                SPEED,
            ),
            "integer-division": Idea(
                "all hands turn equally fast",
                "Every pair of your table repeats the first one. Often that is a division of whole numbers, //, whose result is "
                "0 for each exponent; or the pair's number never enters the exponent.",
                SPEED,
            ),
            "unpaired": Idea(
                "sine and cosine of a pair belong to different hands",
                "Two neighbours are the height and the width of one hand's tip: they share one angle, and their squares add up "
                "to 1. You gave every column an exponent of its own. There are d/2 speeds, not d.",
                CLOCKS,
            ),
            "transposed": Idea(
                "rows and columns are exchanged",
                "A row is a position, a column is one number of its label: the result has the shape (length, dim). Which of the "
                "two factors stands upright, the positions or the speeds?",
                TABLE,
            ),
            "normalised": Idea(
                "the label depends on how long the table is",
                "Position 3 gets another label in a longer table. You divide positions by the length, or spread them between "
                "two fixed ends. Then “the next word” means a different turn in every sentence; plain counting avoids it.",
                CLOCKS,
            ),
            "start": Idea(
                "the first row is not at rest",
                "At position 0 no hand has turned: every angle is zero. You know the sine and the cosine of zero, and in which "
                "order they alternate. Print your first row and compare. Perhaps zero stands in the middle of your table, or a list "
                "of all sines and then all cosines was cut into rows.",
                TABLE,
            ),
            "uneven": Idea(
                "steps are not equal",
                "From any position to the next, each hand turns by the same angle. In your table the step near the beginning "
                "differs from a step further on. Is the angle plainly position times speed?",
                CLOCKS,
            ),
            "odd": Idea(
                "an odd width is accepted",
                "Numbers come in pairs here, so an odd dim, zero or a negative one has no meaning and must raise a ValueError. "
                "The lines that do so stood at the top of the function; put them back.",
                TABLE,
            ),
        },
        properties=(
            Property("the first row", "start", starts_at_rest),
            Property("sine and cosine of one angle", "unpaired", pairs_are_points_on_a_circle),
            Property("a longer table begins like a shorter one", "normalised", ignores_length),
            Property("equal steps", "uneven", near_is_the_same_everywhere),
            Property("the law of the speeds", "speeds", slows_down),
            Property("odd widths", "odd", refuses_odd_widths),
        ),
    ),
    Exercise(
        id="ps2.2",
        title="Grid encoding",
        piece=GRID,
        points=5,
        minutes=10,
        difficulty=2,
        importance=3,
        hints=(
            "Make two tables of the same shape (H, W, d) first: in one every cell holds the vector of its column, in the other "
            "every cell holds the vector of its row. Putting them side by side is then one call.",
            "The table of columns is `column` repeated once for every row: a new first axis, stretched to H. The table of rows "
            "needs its new axis in the middle, stretched to W. `expand` stretches an axis of size 1 without copying.",
            "`row[:, None]` has the shape (H, 1, d), and `column` with a new axis in front has (1, W, d). Expand both to "
            "(H, W, d) and concatenate along the last axis, the columns' table first.",
        ),
        explanation=(
            "W + H vectors label W × H cells. Every cell of a row shares half of its label, so what the model learns about “far "
            "left” in one corner holds in all of them. Concatenation keeps the two halves apart: a linear layer can read the "
            "column while ignoring the row. And the gradient of a cell flows into exactly one vector of either table. The "
            "SCORER encoder adds this grid to every picture before the two pictures look at each other."
        ),
        cases=grid_cases,
        ideas={
            "row-first": Idea(
                "the row comes before the column",
                "Both halves are right, but in the wrong order. The label of a cell begins with the vector of its column, x, "
                "and ends with that of its row, y, although the index is written [y, x]. Trained weights rely on this order.",
                CELLS,
            ),
            "transposed": Idea(
                "the first axis runs over columns",
                "Your result has the shape (W, H, …): its first index is x. A grid is stored row by row, like a page, so the "
                "first index is y. On a square grid the shape looks right and everything is mirrored along the diagonal.",
                CELLS,
            ),
            "exchanged": Idea(
                "columns and rows are taken for each other",
                "You treat the vectors of the columns as if they belonged to the rows, and the other way round. The first "
                "argument has one vector for each of the W columns. Square grids hide this; draw a wide one.",
                CELLS,
            ),
            "added": Idea(
                "the two vectors are added",
                "A cell's label is the column's vector followed by the row's, twice as wide as either. You add them, and with "
                "equal tables the cells (1, 3) and (3, 1) can no longer be told apart.",
                CELLS,
            ),
            "interleaved": Idea(
                "the numbers of both vectors alternate",
                "Alternating was right for sines and cosines, which belong together as pairs. Here the whole vector of the "
                "column comes first, then the whole vector of the row. Think of two labels side by side.",
                CELLS,
            ),
            "column-major": Idea(
                "the cells are listed column by column",
                "The shape is right, but the cells are in the wrong places: you list them down the first column, then down the "
                "second, and cut that list into rows. `reshape` and `view` never turn a table; they only cut the list anew.",
                CELLS,
            ),
            "repeat-interleave": Idea(
                "each column's vector is repeated side by side",
                "Row by row, the columns' vectors come as 0, 1, 2, 0, 1, 2, …; yours come as 0, 0, 1, 1, …. `repeat_interleave` "
                "repeats every vector on the spot, `repeat` the whole table. A new axis and broadcasting spare you the choice.",
                CELLS,
            ),
            "repeat": Idea(
                "the rows' vectors change along a row",
                "Along a row of cells the row's vector stays the same; yours moves on with every cell. `repeat` starts the "
                "table over and over, `repeat_interleave` repeats each vector on the spot. Broadcasting spares you the choice.",
                CELLS,
            ),
            "flat": Idea(
                "the grid is flattened",
                "You give back a list of H · W cells. The result keeps its two axes, (H, W, 2 d); whoever needs a list of "
                "tokens flattens it later.",
                CELLS,
            ),
            "same-row": Idea(
                "every cell gets the same row",
                "Cells above each other have the same label in your grid, so nothing tells top from bottom. Often an index is "
                "fixed, or a loop variable is used after its loop has ended. Where does y enter?",
                CELLS,
            ),
            "same-column": Idea(
                "every cell gets the same column",
                "Cells of one row all have the same label in your grid, so nothing tells left from right. Where does x enter, "
                "and does it still change when it is used?",
                CELLS,
            ),
            "altered": Idea(
                "the vectors do not arrive unchanged",
                "Every number of a label is copied from one of the two tables. In your result there are numbers that stand in "
                "neither. Nothing is computed here: no sum, no mean, no scaling, only arranging.",
                CELLS,
            ),
        },
        properties=(
            Property("rows are told apart", "same-row", rows_differ),
            Property("columns are told apart", "same-column", columns_differ),
            Property("labels are copies", "altered", labels_arrive_unchanged),
        ),
    ),
)
