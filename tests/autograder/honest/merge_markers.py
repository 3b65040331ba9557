"""Marks of a merge that git could not finish are left in a cell that no answer needs."""

from tests.autograder.handins import solution

ANSWERS = {
    "ps2.1": [
        "<<<<<<< HEAD\ntemperature = 0.1\n=======\ntemperature = 0.2\n>>>>>>> main\n",
        solution("ps2.1"),
    ],
    "ps2.2": [
        "def plot(x):\n<<<<<<< HEAD\n    return x\n=======\n    return 2 * x\n>>>>>>> main\n",
        solution("ps2.2"),
    ],
}
