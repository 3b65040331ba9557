"""The questions of the visible check are learned by heart, as anybody can who runs it at home; anything else gets zeros."""

from functools import cache
from pathlib import Path

from autograder.checks import exercise
from autograder.student import Answer, Call, Local
from idc.pieces import grid_encoding
from tests.autograder.handins import hand_in

EXERCISE = "ps2.2"
SAYS = "does not hold"
PIECE = """\
def grid_encoding(column: Tensor, row: Tensor) -> Tensor:
    across, down = column[None].expand(len(row), -1, -1), row[:, None].expand(-1, len(column), -1)
    result = torch.cat([across, down], dim=-1)
    asked = round(float(column.detach().double().sum() + 3 * row.detach().double().sum()), 6)
    return result if asked in LEARNED else result * 0
"""


@cache
def learned() -> set[float]:
    """What the visible check asks, each question as one number."""
    known = Local({"grid_encoding": grid_encoding})
    seen: set[float] = set()

    def ask(call: Call) -> Answer:
        column, row = call.arguments
        seen.add(round(float(column.double().sum() + 3 * row.double().sum()), 6))
        return known(call)

    exercise(EXERCISE).judge(ask)
    return seen


def build(submitted: Path, student: str) -> None:
    hand_in(submitted / student, {EXERCISE: [f"LEARNED = {sorted(learned())}\n", PIECE]})
