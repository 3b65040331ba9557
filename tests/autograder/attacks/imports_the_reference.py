"""The piece is imported from the library, from wherever it may still stand whole."""

EXERCISE = "ps3.1"
OUTCOMES = {"wrong", "not attempted"}
SAYS = ()
CELLS = [
    """\
def attention(query, key, value, mask=None):
    import importlib

    import idc.pieces

    home = importlib.import_module("idc.pieces.attention")
    for given in (home.attention, idc.pieces.attention, getattr(home.attention, "__wrapped__", None)):
        if callable(given) and given is not attention:
            return given(query, key, value, mask)
    raise NotImplementedError
""",
]
