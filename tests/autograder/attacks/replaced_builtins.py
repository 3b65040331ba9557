"""isinstance, len, all, any, zip, sum, getattr and float lie to whoever calls them."""

EXERCISE = "ps1.1"
OUTCOMES = {"wrong", "tampered", "stopped"}
SAYS = ()
CELLS = [
    """\
def patch():
    import builtins

    builtins.all = builtins.any = lambda *given: True
    builtins.isinstance = builtins.issubclass = builtins.hasattr = lambda *given: True
    builtins.sum = builtins.abs = builtins.float = lambda *given, **named: 0.0
    builtins.zip = lambda *given, **named: iter(())
    return True
""",
    """\
def info_nce(similarity: Tensor) -> Tensor:
    wrong = similarity.sum()
    patch()
    return wrong
""",
]
