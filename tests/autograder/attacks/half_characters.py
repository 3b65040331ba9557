"""Messages and names hold what cannot be written to a file: half characters, zero bytes, ends of lines in the
middle."""

EXERCISE = "ps2.2"
SAYS = "not yet"
CELLS = [
    """\
def grid_encoding(column: Tensor, row: Tensor) -> Tensor:
    raise type("\\ud800Error", (ValueError,), {})("\\udcff\\ud800 zero\\x00byte \\x85\\u2028\\r\\n,;\\"'" + chr(0x10FFFF))
""",
]
