"""The piece is imported from the library, from wherever it may still stand whole."""

EXERCISE = "ps3.1"
OUTCOMES = {"wrong", "not attempted"}
SAYS = ()
CELLS = [
    """\
def attention(query, key, value, mask=None):
    import idc.pieces
    import idc.pieces.attention

    for given in (idc.pieces.attention.attention, getattr(idc.pieces, "attention", None)):
        if callable(given) and given is not attention:
            return given(query, key, value, mask)
    raise NotImplementedError
""",
]
