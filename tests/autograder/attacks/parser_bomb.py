"""Cells that are hard on a parser: deep nesting, huge constants to be folded, thousands of magic lines, a line of
megabytes."""

EXERCISE = "ps1.2"
SAYS = "is no Python"
CELLS = [
    "x = " + "-" * 50_000 + "1",
    "x = " + "(" * 5_000 + ")" * 5_000,
    "x = " + "a." * 50_000 + "b",
    "x = " + "+".join(["1"] * 50_000),
    "if x:\n" + "".join(" " * depth + "if x:\n" for depth in range(1, 150)),
    "!ls\n" * 3000,
    "%time x\n" * 800 + "?x\n" * 100,
    "x = f'" + "{" * 300 + "}" * 300 + "'",
    "x = 1 if " * 5_000 + "1",
    "x = '" + "y" * 3_000_000 + "'",
    "def f(a" + "".join(f", a{number}" for number in range(20_000)) + "): pass",
    "lambda: " * 5_000 + "0",
    "TEXT = 'x' * 10 ** 11\ndef info_nce_gradient(similarity):\n    return TEXT\n",
]
