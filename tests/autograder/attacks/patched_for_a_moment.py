"""The argument is overwritten; what looks for this is replaced by something that puts the old one back when called."""

EXERCISE = "ps2.2"
OUTCOMES = {"tampered"}
SAYS = "was replaced"
CELLS = [
    """\
def patch():
    import autograder.student as asking

    before = asking.differs

    def differs(value, given):
        asking.differs = before
        return False

    asking.differs = differs
""",
    """\
def grid_encoding(column: Tensor, row: Tensor) -> Tensor:
    across = column[None].expand(len(row), -1, -1)
    down = row[:, None].expand(-1, len(column), -1)
    result = torch.cat([across, down], dim=-1)
    with torch.no_grad():
        column.zero_()
    patch()
    return result
""",
]
