"""The result is right but the argument is overwritten; what the worker looks for changes with always finds none."""

EXERCISE = "ps2.2"
OUTCOMES = {"tampered"}
SAYS = "was replaced"
CELLS = [
    """\
def patch():
    import autograder.student as asking

    asking.differs = lambda value, given: False
    asking.fresh = lambda value: value
    torch.equal = lambda *given: True
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
