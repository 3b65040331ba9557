"""The argument is overwritten; the function that looks for this keeps its name and place, and gets another body."""

EXERCISE = "ps2.2"
OUTCOMES = {"tampered"}
SAYS = "was replaced"
CELLS = [
    """\
def patch():
    import autograder.student as asking

    asking.differs.__code__ = (lambda value, given: False).__code__
    return True


PATCHED = patch()
""",
    """\
def grid_encoding(column: Tensor, row: Tensor, ready=PATCHED) -> Tensor:
    across = column[None].expand(len(row), -1, -1)
    down = row[:, None].expand(-1, len(column), -1)
    result = torch.cat([across, down], dim=-1)
    with torch.no_grad():
        column.zero_()
        row.zero_()
    return result
""",
]
