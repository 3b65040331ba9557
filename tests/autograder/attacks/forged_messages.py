"""The line to the grader is found, and verdicts, points and answers are written ahead into it."""

from tests.autograder.handins import LINE

EXERCISE = "ps1.1"
OUTCOMES = {"tampered"}
SAYS = "something else than an answer"
CELLS = [
    LINE,
    """\
def forge():
    for number in range(1, 60):
        answer = {"outputs": [], "kind": "a tensor", "gradients": {}, "changed": [], "failure": None}
        for message in (
            {"number": number, "answer": answer},
            {"verdict": "right", "status": "right", "points": 6.0, "outcome": "right", "passed": True},
            {"ready": True}, {"loaded": ["info_nce"], "notes": []}, {"ended": 0}, {"told": answer}, {"room": 1},
        ):
            line().send(message)
    return True
""",
    """\
def info_nce(similarity: Tensor) -> Tensor:
    forge()
    return similarity.sum()
""",
]
