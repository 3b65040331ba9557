"""After the right code comes wrong code under a name that Python takes for the same: it is the last one that counts."""

from tests.autograder.handins import solution

EXERCISE = "ps2.2"
SAYS = "not yet"
WIDE = "".join(chr(ord(letter) + 0xFEE0) for letter in "grid") + "_encoding"
CELLS = [
    solution("ps2.2"),
    f"def {WIDE}(column, row):\n    return torch.zeros(len(row), len(column), 2 * column.shape[1], dtype=column.dtype)\n",
]
