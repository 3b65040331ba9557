"""The grader's own functions are replaced in the modules where they live, so that every verdict is “right”."""

EXERCISE = "ps1.2"
SAYS = "not yet"
CELLS = [
    """\
def patch():
    import importlib

    judging = importlib.import_module("autograder.checks.exercise")
    right = judging.Verdict(judging.Status.RIGHT, "right")
    judging.close = judging.holds = lambda *given, **named: True
    judging.Exercise.same = lambda *given: True
    judging.Exercise.slopes = lambda *given: None
    judging.Exercise.judge = judging.Exercise.verdict = lambda *given: right
    return True


PATCHED = patch()
""",
    """\
def info_nce_gradient(similarity: Tensor, ready=PATCHED) -> Tensor:
    patch()
    return torch.zeros_like(similarity)
""",
]
