"""The hand-in destroys its own traces: its sources, its module, the cells it came from, and then the worker's."""

EXERCISE = "ps4.4"
OUTCOMES = {"wrong", "tampered", "stopped"}
SAYS = ()
HARMFUL = True
CELLS = [
    """\
def vanish():
    import gc
    import linecache
    import os
    import sys

    linecache.cache.clear()
    for folder, folders, files in os.walk("/kit"):
        for name in files:
            try:
                os.remove(f"{folder}/{name}")
            except OSError:
                pass
    for each in gc.get_objects():
        if type(each).__name__ in ("Sources", "Own", "Local"):
            vars(each).clear()
    for name in [name for name in sys.modules if name.startswith(("autograder", "idc"))]:
        vars(sys.modules.pop(name)).clear()


def difference_tokens(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    wrong = before - after
    vanish()
    return wrong
""",
]
