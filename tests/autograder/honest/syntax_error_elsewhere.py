"""A cell that is no Python, with a colon missing, and one that holds plain prose."""

from tests.autograder.handins import solution

ANSWERS = {
    "ps1.1": ["def broken(x)\n    return x\n", "for in range(3:\n", solution("ps1.1")],
    "ps1.2": [
        "This is a note to myself: the gradient is softmax minus one-hot!\n",
        "x = (1,\n",
        solution("ps1.2"),
    ],
}
