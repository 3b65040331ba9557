"""The later exercise is as it was given, and its check stopped the notebook."""

from tests.autograder.handins import solution, stub

ANSWERS = {
    "ps4.1": [solution("ps4.1")],
    "ps4.2": [stub("ps4.2")],
    "ps4.3": [stub("ps4.3")],
    "ps4.4": [solution("ps4.4")],
}
FULL = ("ps4.1", "ps4.4")
NONE = ("ps4.2", "ps4.3")
